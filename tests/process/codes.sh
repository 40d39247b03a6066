#!/bin/bash
# SPDX-License-Identifier: GPL-3.0-or-later
# The code: right, wrong, wrong too often, none at all, and where it is read from.
# shellcheck source=lib.bash
. "$(dirname "$0")/lib.bash"

a_file() {
    random_file file 1000
}

# wrong_code RUN: waits for the code of this run and types another one.
wrong_code() {
    wait_for tablet '"event":"code-wanted"' "$patience" "$1" && wait_for anchor '"event":"code"' "$patience" "$1" &&
        type_line tablet "$(another_code "$(shown_code anchor)")"
}

three_wrong_codes() {
    local run codes
    a_file
    share anchor --once --item "file=$dir/file"
    sync tablet
    for run in 1 2 3; do
        wrong_code $run
    done
    fails tablet 4 confirm.locked-out
    fails anchor 4 confirm.locked-out
    codes=$(sed -n 's/.*"event":"code".*"code":"\([0-9]*\)".*/\1/p' "$dir/anchor.out" | sort -u | wc -l)
    [ "$codes" = 3 ] || fail "$codes codes for three runs"
    [ ! -e "$dir/tablet.dir/file" ] || fail "a file arrived"
    run "$SIMHOP" devices --json --state "$dir/anchor.state"
    says run '"count":0'

    # Neither a restart of the anchor nor one of the tablet opens it.
    share anchor --once --item "file=$dir/file"
    sync tablet
    fails tablet 4 confirm.locked-out
    fails anchor 4 confirm.locked-out
    says anchor '"detail":"wait [0-9]+ seconds"'
    never_says anchor '"event":"code"'

    # A person does.
    share anchor --once --unlock --item "file=$dir/file"
    sync tablet
    type_code tablet anchor
    both_done anchor tablet
    same "$dir/file" "$dir/tablet.dir/file"
    nothing_left tablet
}

an_anchor_that_goes_on_stays_locked() {
    local run
    a_file
    share anchor --item "file=$dir/file"
    sync tablet
    for run in 1 2 3; do
        wrong_code $run
    done
    fails tablet 4 confirm.locked-out
    sync watch
    fails watch 4 confirm.locked-out
    kill -TERM "${pid_of[anchor]}"
    exits anchor 9
}

# Three failures lie in three syncs as well as in one; the second success begins anew.
failures_add_up() {
    a_file
    share anchor --item "file=$dir/file"
    sync tablet
    wrong_code 1
    wrong_code 2
    wait_for tablet '"event":"code-wanted"' "$patience" 3 && type_line tablet "$(shown_code_of_run 3)"
    exits tablet 0
    sync watch
    wait_for watch '"event":"code-wanted"'
    type_line watch "$(another_code "$(shown_code_of_run 4)")"
    wait_for watch '"event":"code-wanted"' "$patience" 2
    type_line watch "$(shown_code_of_run 5)"
    exits watch 0
    kill -TERM "${pid_of[anchor]}"
    dones=2 exits anchor 0
}
shown_code_of_run() {
    wait_for anchor '"event":"code"' "$patience" "$1" && shown_code anchor
}

wrong_then_right() {
    a_file
    share anchor --once --item "file=$dir/file"
    sync tablet
    wrong_code 1
    type_code tablet anchor 2
    both_done anchor tablet
    same "$dir/file" "$dir/tablet.dir/file"
    says tablet '"event":"note".*"text":"That was not the code'
    never_says tablet '"event":"cause"'
    never_says anchor '"event":"cause"'
}

letters_are_asked_again() {
    local code
    a_file
    share anchor --once --item "file=$dir/file"
    sync tablet
    wait_for tablet '"event":"code-wanted"' && wait_for anchor '"event":"code"'
    code=$(shown_code anchor)
    type_line tablet 'hello'
    type_line tablet '12345'
    type_line tablet "${code}1"
    type_line tablet ''
    type_line tablet "$(printf '%0300d' 0)"
    wait_for tablet 'The code has six digits' "$patience" 4
    type_line tablet " ${code:0:3}-${code:3} "
    both_done anchor tablet
    [ "$(grep -c '"event":"code-wanted"' "$dir/tablet.out")" = 1 ] || fail "an attempt was charged for letters"
}

# without_a_code ARGUMENTS...: standard input is $input.
without_a_code() {
    a_file
    share anchor --once --item "file=$dir/file"
    start tablet "$SIMHOP" sync --json --radio "sim:$air" --name tablet --state "$dir/tablet.state" --dir "$dir/out" "$@"
    fails tablet 4 "${cause:-confirm.no-code}"
    fails anchor 4 "${cause:-confirm.no-code}"
    [ ! -e "$dir/out/file" ] || fail "a file arrived"
    nothing_left
}
input_is_empty() {
    input=/dev/null without_a_code
}
descriptor_is_not_open() {
    without_a_code --code-fd 9
}
input_is_closed() {
    a_file
    share anchor --once --item "file=$dir/file"
    # shellcheck disable=SC2016 # for the inner shell
    start tablet bash -c 'exec "$@" <&-' - "$SIMHOP" sync --json --radio "sim:$air" --name tablet --state "$dir/tablet.state" \
        --dir "$dir/out"
    fails tablet 4 confirm.no-code
    fails anchor 4 confirm.no-code
}
input_ends_after_letters() {
    printf 'no code\nat all' > "$dir/text"
    input=$dir/text without_a_code
}
input_ends_after_a_wrong_code() {
    # One of a million is right: then it is the other one that is wrong.
    printf '123456\n' > "$dir/text"
    cause=confirm.wrong-code input=$dir/text without_a_code
}

code_in_a_file() {
    a_file
    faults 'delay message:code-ready 6500'
    : > "$dir/text"
    share anchor --once --item "file=$dir/file"
    input=$dir/text start tablet "$SIMHOP" sync --json --radio "sim:$air" --name tablet --state "$dir/tablet.state" \
        --dir "$dir/out"
    wait_for anchor '"event":"code"'
    shown_code anchor > "$dir/text"
    both_done anchor tablet
}

code_from_a_pipe_that_ends() {
    a_file
    share anchor --once --item "file=$dir/file"
    mkfifo "$dir/pipe"
    { wait_for anchor '"event":"code"' && printf '%s' "$(shown_code anchor)"; } > "$dir/pipe" & # no newline either
    started+=($!)
    input=$dir/pipe start tablet "$SIMHOP" sync --json --radio "sim:$air" --name tablet --state "$dir/tablet.state" \
        --dir "$dir/out"
    both_done anchor tablet
}

code_from_another_descriptor() {
    a_file
    share anchor --once --item "file=$dir/file"
    mkfifo "$dir/pipe"
    exec 7<> "$dir/pipe"
    start tablet "$SIMHOP" sync --json --radio "sim:$air" --name tablet --state "$dir/tablet.state" --dir "$dir/out" --code-fd 7
    wait_for anchor '"event":"code"'
    shown_code anchor >&7
    both_done anchor tablet
}

a_device_that_is_linked_may_pair_again() {
    a_file
    share anchor --once --item "file=$dir/file"
    sync tablet
    type_code tablet anchor
    both_done anchor tablet
    share anchor --once --item "file=$dir/file"
    sync tablet --pair
    type_code tablet anchor
    both_done anchor tablet
}

run_tests three_wrong_codes an_anchor_that_goes_on_stays_locked failures_add_up wrong_then_right letters_are_asked_again \
    input_is_empty descriptor_is_not_open input_is_closed input_ends_after_letters input_ends_after_a_wrong_code code_in_a_file \
    code_from_a_pipe_that_ends code_from_another_descriptor a_device_that_is_linked_may_pair_again

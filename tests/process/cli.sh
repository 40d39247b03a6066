#!/bin/bash
# SPDX-License-Identifier: GPL-3.0-or-later
# The program from outside: help, version, what a wrong command line gets, devices.
# valgrind
set -u
: "${SIMHOP:?path of the program}"

work=$(mktemp -d "${TMPDIR:-/tmp}/simhop-cli.XXXXXX")
trap 'rm -rf "$work"' EXIT
failed=0
why='' skipped=''

# A test is a function; fail says why and the rest of the test goes on.
fail() {
    why=${why:+$why; }$1
}
run_test() {
    local name=$1
    why='' skipped=''
    "$name"
    if [ -n "$skipped" ]; then
        echo "skip $name: $skipped"
    elif [ -z "$why" ]; then
        echo "ok $name"
    else
        echo "not ok $name: $why"
        failed=1
    fi
}

# simhop ARGUMENTS...: sets $status; what it said stands in $work/out and $work/err.
simhop() {
    status=0
    timeout -k 5 60 "$SIMHOP" "$@" > "$work/out" 2> "$work/err" < /dev/null || status=$?
}
exits() {
    [ "$status" = "$1" ] || fail "exit status $status, not $1: $(head -c 300 "$work/err")"
}
says() {
    grep -qF -- "$2" "$work/$1" || fail "no \"$2\" in $1: $(head -c 300 "$work/$1")"
}
says_nothing() {
    [ ! -s "$work/$1" ] || fail "something in $1: $(head -c 300 "$work/$1")"
}

version() {
    simhop --version
    exits 0
    [ "$(cat "$work/out")" = 'simhop 0.1.0' ] || fail "says $(cat "$work/out")"
    says_nothing err
}

help_names_every_verb_and_exit_status() {
    simhop --help
    exits 0
    local verb
    for verb in share sync resume bundle devices doctor; do
        grep -qE "^  $verb +[A-Z]" "$work/out" || fail "no $verb in the help"
    done
    says out 'Exit status: 0 done'
    says_nothing err
}

each_verb_has_help() {
    local verb
    for verb in share sync resume bundle devices doctor; do
        simhop "$verb" --no-such --help
        exits 0
        says out "Usage: simhop $verb"
        says out '--state DIR'
        [ "$(awk 'length($0) > 100' "$work/out" | wc -l)" = 0 ] || fail "$verb: lines over 100 columns"
        says_nothing err
    done
}

no_verb_is_a_usage_error() {
    simhop
    exits 2
    says err 'Usage: simhop VERB'
    says_nothing out
}

unknown_verb_is_a_usage_error() {
    simhop frobnicate
    exits 2
    says err '(usage.bad-option)'
    says err 'frobnicate: there is no such verb'
    says err '  Next: '
    says_nothing out
}

unknown_options_are_usage_errors() {
    local verb
    for verb in share sync resume bundle devices doctor; do
        simhop "$verb" --frobnicate
        exits 2
        says err '--frobnicate: there is no such option'
    done
    simhop devices --deadline soon
    exits 2
    simhop devices --state
    exits 2
    simhop devices list --name $'evil\e[2J'
    exits 2
    grep -q $'\e' "$work/err" && fail 'an escape sequence reached the terminal'
}

a_usage_error_is_an_event_with_json() {
    simhop devices --json --frobnicate
    exits 2
    says out '"event":"cause"'
    says out '"cause":"usage.bad-option","category":"usage"'
    says err 'simhop: The command line is not right. (usage.bad-option)'
}

devices_of_an_empty_state() {
    simhop devices --state "$work/empty"
    exits 0
    says out 'No device is linked.'
    says_nothing err
    simhop devices list --json --state "$work/empty"
    exits 0
    says out '"event":"devices"'
    says out '"count":0'
    [ "$(stat -c %a "$work/empty")" = 700 ] || fail "the state folder has mode $(stat -c %a "$work/empty")"
    [ "$(stat -c %a "$work/empty/registry.db")" = 600 ] || fail 'the registry can be read by others'
}

devices_that_are_not_there() {
    simhop devices show tablet --state "$work/empty"
    exits 10
    says err '(linked.unknown)'
    simhop devices revoke 0123abcd --state "$work/empty"
    exits 10
}

devices_with_wrong_words() {
    simhop devices frobnicate --state "$work/empty"
    exits 2
    simhop devices show --state "$work/empty"
    exits 2
    simhop devices list tablet --state "$work/empty"
    exits 2
}

closed_descriptors_do_no_harm() {
    status=0
    timeout -k 5 60 "$SIMHOP" devices --state "$work/empty" <&- >&- 2>&- || status=$?
    exits 0
    simhop devices --state "$work/empty"
    exits 0
    timeout -k 5 60 "$SIMHOP" doctor --state "$work/empty" 2> /dev/null | true
    simhop devices --state "$work/empty"
    exits 0
}

# A list that did not fit is not taken for a whole one; a reader that has enough is no failure.
output_that_does_not_fit() {
    status=0
    timeout -k 5 60 "$SIMHOP" devices --state "$work/empty" > /dev/full 2> "$work/err" || status=$?
    exits 8
    says err '(store.io-error)'
    says err 'standard output'
    status=0
    timeout -k 5 60 "$SIMHOP" devices --state "$work/empty" 2> "$work/err" | true
    status=${PIPESTATUS[0]}
    exits 0
}

# Else the first file that is opened, such as the registry, would be standard output.
closed_descriptors_are_taken() {
    local pid i fd
    if [ -n "${SIMHOP_VALGRIND-}" ]; then
        skipped='valgrind takes closed descriptors for itself'
        return
    fi
    : > "$work/item"
    mkdir "$work/air"
    "$SIMHOP" share --radio "sim:$work/air" --name anchor --state "$work/empty" --item "x=$work/item" <&- >&- 2>&- &
    pid=$!
    for ((i = 0; i < 200; i++)); do
        [ -z "$(ls -A "$work/air")" ] || break
        sleep 0.1
    done
    for fd in 0 1 2; do
        [ "$(readlink "/proc/$pid/fd/$fd")" = /dev/null ] || fail "$fd is $(readlink "/proc/$pid/fd/$fd")"
        [[ $(stat -c %A "/proc/$pid/fd/$fd") == lrw* ]] || fail "$fd cannot be written"
    done
    kill -TERM "$pid"
    wait "$pid"
    [ $? = 9 ] || fail 'exit status is not 9 after SIGTERM'
    [ -z "$(ls -A "$work/air")" ] || fail "it left $(ls -A "$work/air") in the air"
}

for test in version help_names_every_verb_and_exit_status each_verb_has_help no_verb_is_a_usage_error \
    unknown_verb_is_a_usage_error unknown_options_are_usage_errors a_usage_error_is_an_event_with_json \
    devices_of_an_empty_state devices_that_are_not_there devices_with_wrong_words \
    closed_descriptors_do_no_harm output_that_does_not_fit closed_descriptors_are_taken; do
    run_test "$test"
done
exit $failed

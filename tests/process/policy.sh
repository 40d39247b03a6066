#!/bin/bash
# SPDX-License-Identifier: GPL-3.0-or-later
# --proximity, and the limits that a machine's configuration file sets.
# shellcheck source=lib.bash
. "$(dirname "$0")/lib.bash"

# share_asked NAME OPTIONS...: an anchor whose answers come from a pipe (see type_line).
share_asked() {
    local name=$1 fd
    shift
    mkfifo "$dir/$name.code" || fail "no pipe"
    exec {fd}<> "$dir/$name.code"
    code_fd_of[$name]=$fd
    input=$dir/$name.code start "$name" "$SIMHOP" share --json --radio "sim:$air" --name "$name" --state "$dir/$name.state" "$@"
}

both_agree() {
    random_file file 1000
    place anchor 0 tablet 6
    share_asked anchor --once --item "file=$dir/file" --proximity off-with-consent
    sync tablet --proximity=off-with-consent
    wait_for anchor '"event":"consent-wanted".*"what":"proximity"'
    wait_for tablet '"event":"consent-wanted".*"what":"proximity"'
    never_says anchor '"event":"phase"'
    never_says tablet '"event":"phase"'
    type_line anchor yes
    type_line tablet YES
    type_code tablet anchor
    both_done anchor tablet
    same "$dir/file" "$dir/tablet.dir/file"
    # It was measured, and said.
    says tablet '"event":"proximity".*"accept":false.*"final":true'
    says tablet '"event":"note".*not demanded here'
    says anchor '"event":"note".*not demanded here'
    run "$SIMHOP" devices show anchor --json --state "$dir/tablet.state"
    says run '"policy":"off-with-consent"'
}
one_agrees() {
    random_file file 1000
    place anchor 0 tablet 6
    share anchor --item "file=$dir/file"
    sync tablet --proximity off-with-consent
    wait_for tablet '"event":"consent-wanted"' && type_line tablet yes
    exits tablet 3
    says tablet '"cause":"near.peer-too-far"'
    never_says anchor '"event":"code"'
}
strict_is_nearer() {
    random_file file 1000
    air_is 'sigma 0' 'shadow 0' 'fade 0'
    place anchor 0 tablet 0.55
    share anchor --item "file=$dir/file"
    sync tablet --proximity strict
    exits tablet 3
    sync tablet
    type_code tablet anchor
    exits tablet 0
    run "$SIMHOP" devices show anchor --json --state "$dir/tablet.state"
    says run '"policy":"normal"'
}
nobody_agrees() {
    local answer
    random_file file 1000
    for answer in no '' 'yes please' "$(printf 'y%.0s' {1..500})"; do
        sync tablet --proximity off-with-consent
        wait_for tablet '"event":"consent-wanted"' && type_line tablet "$answer"
        fails tablet 4 refused.consent
        never_says tablet '"event":"phase"'
    done
    # Nobody is there to answer.
    start tablet "$SIMHOP" sync --json --radio "sim:$air" --name tablet --state "$dir/tablet.state" --proximity off-with-consent
    fails tablet 4 refused.consent
    start anchor "$SIMHOP" share --json --radio "sim:$air" --name anchor --state "$dir/anchor.state" --item "file=$dir/file" \
        --proximity off-with-consent --code-fd 9
    fails anchor 4 refused.consent
    sync tablet --proximity off-with-consent --deadline 1
    fails tablet 9 session.deadline
    sync tablet --proximity off-with-consent
    wait_for tablet '"event":"consent-wanted"'
    kill -INT "${pid_of[tablet]}"
    fails tablet 9 session.interrupted
}
no_such_word() {
    sync tablet --proximity lax
    fails tablet 2 usage.bad-option
}

# limited LINE OPTIONS...: sync on a machine whose configuration says this.
limited() {
    local line=$1
    shift
    printf '%b\n' "$line" > "$dir/conf"
    # shellcheck disable=SC2016 # for the inner shell
    start tablet unshare --user --map-root-user --mount sh -c \
        'mount -t tmpfs none /etc && mkdir /etc/simhop && cp "$0" /etc/simhop/simhop.conf && exec "$@"' "$dir/conf" \
        "$SIMHOP" sync --json --radio "sim:$air" --name tablet --state "$dir/tablet.state" --deadline 1 "$@"
}
a_machine_that_demands_more() {
    unshare --user --map-root-user --mount mount -t tmpfs none /etc 2> /dev/null || skip_test 'nothing can be mounted here'
    limited 'proximity-least normal' --proximity off-with-consent
    fails tablet 4 refused.policy
    limited 'proximity-least strict' --proximity normal
    fails tablet 4 refused.policy
    limited '# ours\n\nproximity-least strict'
    fails tablet 3 near.no-anchor
    limited 'proximity-least normal' --proximity strict
    fails tablet 3 near.no-anchor
    limited '# ours\nproximity-least none'
    fails tablet 2 usage.bad-config
    grep -q '/etc/simhop/simhop.conf: line 2: ' "$dir/tablet.err" || fail "no line: $(cat "$dir/tablet.err")"
    limited "$(printf '#%.0s' {1..70000})"
    fails tablet 2 usage.bad-config
}

run_tests both_agree one_agrees strict_is_nearer nobody_agrees no_such_word a_machine_that_demands_more

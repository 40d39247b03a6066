#!/bin/bash
# SPDX-License-Identifier: GPL-3.0-or-later
# Many devices at one anchor: each has a code of its own, and one too many is told so.
# shellcheck source=lib.bash
. "$(dirname "$0")/lib.bash"

code_for() {
    sed -n "s/.*\"event\":\"code\".*\"code\":\"\([0-9]*\)\".*\"peer\":\"$1\".*/\1/p" "$dir/anchor.out" | tail -n 1
}

eight_at_once() {
    local i codes
    random_file file 300000
    dones=8
    share anchor --item "file=$dir/file"
    for i in 1 2 3 4 5 6 7 8; do
        sync "tablet$i"
    done
    for i in 1 2 3 4 5 6 7 8; do
        wait_for "tablet$i" '"event":"code-wanted"'
    done
    codes=$(sed -n 's/.*"event":"code".*"code":"\([0-9]*\)".*/\1/p' "$dir/anchor.out" | sort -u | wc -l)
    [ "$codes" = 8 ] || fail "$codes codes for eight devices"
    sync ninth
    fails ninth 4 refused.busy
    # In another order than they came; another one's code would be wrong.
    for i in 3 8 1; do
        type_line "tablet$i" "$(code_for "tablet$i")"
    done
    for i in 3 8 1; do
        exits "tablet$i" 0
        same "$dir/file" "$dir/tablet$i.dir/file"
    done
    kill -TERM "${pid_of[tablet5]}"
    exits tablet5 9
    # There is room again.
    sync tenth
    wait_for tenth '"event":"code-wanted"' && type_line tenth "$(code_for tenth)"
    exits tenth 0
    same "$dir/file" "$dir/tenth.dir/file"
    kill -TERM "${pid_of[anchor]}"
    exits anchor 9
    fails tablet2 9 session.peer-stopped
}

run_tests eight_at_once

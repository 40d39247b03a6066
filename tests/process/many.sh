#!/bin/bash
# SPDX-License-Identifier: GPL-3.0-or-later
# Many devices at one anchor: each has a code of its own, and one too many is told so; linked ones that come over the network may be
# many more.
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

# linked COUNT: so many folders of state that one linked device left, and all stand too far away for a radio.
linked() {
    local i places=(anchor 0)
    random_file first 1000
    place anchor 0 tablet 0.25
    share anchor --once --item "first=$dir/first"
    sync tablet
    type_code tablet anchor
    both_done anchor tablet
    for ((i = 1; i <= $1; i++)); do
        cp -r "$dir/tablet.state" "$dir/copy$i.state"
        places+=("copy$i" 50)
    done
    place "${places[@]}"
}

thirty_two_directly() {
    local i n kept=0
    linked 32
    random_file file 4000000
    dones=32
    # So that most of those who came first are not through when the last one comes.
    air_is 'lan_rate 60000'
    share anchor -v --item "file=$dir/file"
    for ((i = 1; i <= 32; i++)); do
        sync "copy$i"
        wait_for "copy$i" '"phase":"transfer"'
    done
    [ "$(grep -c '"event":"done"' "$dir/anchor.out")" -le 23 ] || fail "not even nine were at once"
    rm "$air/air"
    for ((i = 1; i <= 32; i++)); do
        dones=1 exits "copy$i" 0
        same "$dir/file" "$dir/copy$i.dir/file"
        never_says "copy$i" 'refused.busy|"event":"code-wanted"'
        [ "$(done_number "copy$i" lan)" = 4000000 ] || fail "$(done_number "copy$i" lan) bytes over lan"
    done
    kill -TERM "${pid_of[anchor]}"
    exits anchor 0
    [ "$(grep -c '"event":"done"' "$dir/anchor.out")" = 32 ] || fail "the anchor was done $(grep -c '"event":"done"' "$dir/anchor.out") times"
    never_says anchor '"event":"cause"'
    # Each receipt was kept with those of its turn.
    for n in $(sed -n 's/.*receipts: \([0-9]*\) in one: ok$/\1/p' "$dir/anchor.err"); do
        kept=$((kept + n))
    done
    [ "$kept" = 32 ] || fail "$kept receipts were kept"
}

# One too many hears why, and gets what it wants when one of the others is gone.
directly_one_too_many() {
    local i
    linked 3
    random_file file 3000000
    # So that those who came first are not through when the last one comes.
    air_is 'lan_rate 60000'
    dones=3
    share anchor --at-once 2 --item "file=$dir/file"
    for i in 1 2; do
        sync "copy$i"
        wait_for "copy$i" '"event":"progress".*"verified":[1-9]'
    done
    sync copy3
    wait_for copy3 '"event":"link".*"state":"failed".*refused.busy'
    rm "$air/air"
    for i in 1 2 3; do
        exits "copy$i" 0
        same "$dir/file" "$dir/copy$i.dir/file"
    done
    kill -TERM "${pid_of[anchor]}"
    exits anchor 0
}

# Who shares once ends with the first device; another one whose transfer is under way is not cut off, and nobody new is taken.
once_for_two() {
    local i
    linked 3
    random_file file 1200000
    air_is 'lan_rate 60000'
    share anchor --once --item "file=$dir/file"
    sync copy1
    wait_for copy1 '"event":"progress".*"verified":[1-9]'
    sync copy2
    wait_for copy2 '"event":"progress".*"verified":[1-9]'
    exits copy1 0
    sync copy3 --deadline 4
    exits copy2 0
    for i in 1 2; do
        same "$dir/file" "$dir/copy$i.dir/file"
    done
    fails copy3 3 near.no-anchor
    dones=2 exits anchor 0
    never_says anchor '"event":"cause"'
}

run_tests eight_at_once thirty_two_directly directly_one_too_many once_for_two

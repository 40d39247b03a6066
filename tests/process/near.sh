#!/bin/bash
# SPDX-License-Identifier: GPL-3.0-or-later
# Who is near enough, who is nearest, and what is said where nobody is.
# shellcheck source=lib.bash
. "$(dirname "$0")/lib.bash"

three_metres() {
    random_file file 1000
    place anchor 0 tablet 3
    share anchor --item "file=$dir/file"
    sync tablet
    fails tablet 3 near.too-far
    says tablet '"event":"note".*"text":"Come closer'
    says tablet '"event":"proximity".*"accept":false'
    never_says tablet '"phase":"connect"'
    never_says anchor '"event":"code"'
    kill -TERM "${pid_of[anchor]}"
    exits anchor 9
    nothing_left tablet
}

walking_in() {
    random_file file 1000
    place anchor 0 tablet 3
    share anchor --once --item "file=$dir/file"
    sync tablet
    wait_for tablet '"event":"proximity".*"accept":false' "$patience" 5
    never_says tablet '"phase":"connect"'
    place anchor 0 tablet 0.25
    type_code tablet anchor
    both_done anchor tablet
    same "$dir/file" "$dir/tablet.dir/file"
}

# The anchor changes its power and its identifier each second; what is heard of each step says where it stands.
while_the_power_is_stepped() {
    local until=$((SECONDS + patience))
    random_file file 1000
    place anchor 0 tablet 0.25
    share anchor -v --once --item "file=$dir/file"
    for power in +0 -8 -16; do
        until grep -q "a new identifier, power $power dB" "$dir/anchor.err"; do
            if [ "$SECONDS" -ge "$until" ]; then
                fail "no step of $power dB"
                return
            fi
            sleep 0.05
        done
    done
    sync tablet
    type_code tablet anchor
    both_done anchor tablet
    same "$dir/file" "$dir/tablet.dir/file"
}

walking_away_while_measured() {
    random_file file 1000
    place anchor 0 tablet 0.25
    air_is 'sample 600' # nothing is decided before they are apart
    share anchor --once --item "file=$dir/file"
    sync tablet
    wait_for tablet '"phase":"measure"'
    place anchor 0 tablet 4
    exits tablet 3
    exits anchor 3
    says tablet '"cause":"near\.(too-far|peer-too-far)"'
    says anchor '"cause":"near\.(too-far|peer-too-far)"'
    never_says anchor '"event":"code"'
}

# The measurement is over, the person has not typed yet: nobody may take the device away with the code on show.
walking_away_while_the_code_is_awaited() {
    random_file file 1000
    place anchor 0 tablet 0.25
    share anchor --once --item "file=$dir/file"
    sync tablet
    wait_for tablet '"event":"code-wanted"'
    place anchor 0 tablet 8
    exits tablet 3
    exits anchor 3
    says tablet '"cause":"near\.(too-far|peer-too-far)"'
    says anchor '"cause":"near\.(too-far|peer-too-far)"'
    never_says tablet '"phase":"enrol"'
    nothing_left tablet
}

# A step aside, a hand before the radio: that is no reason to begin anew.
a_moment_away_while_the_code_is_awaited() {
    random_file file 1000
    place anchor 0 tablet 0.25
    share anchor --once --item "file=$dir/file"
    sync tablet
    wait_for tablet '"event":"code-wanted"'
    place anchor 0 tablet 8
    sleep 1
    place anchor 0 tablet 0.5
    sleep 4
    type_code tablet anchor
    both_done anchor tablet
}

# Out of Bluetooth's reach: what is up goes on over the LAN.
walking_away_in_the_transfer() {
    random_file file 1500000
    air_is 'lan_rate 100000' 'ble_rate 20000'
    place anchor 0 tablet 0.25
    share anchor --once --item "file=$dir/file"
    sync tablet
    type_code tablet anchor
    wait_for tablet '"event":"link".*"lan","state":"up"'
    place anchor 0 tablet 50
    both_done anchor tablet
    same "$dir/file" "$dir/tablet.dir/file"
    says tablet '"event":"link".*"link":"ble","state":"down"'
    nothing_left tablet
}

two_anchors() {
    random_file near-file 1000
    random_file far-file 1000
    place near 0.3 far 0.5 tablet 0
    # Each is heard so seldom that a moment in which one of them does not run is none in which only the other one counts.
    air_is 'sigma 0.5' 'shadow 0' 'fade 0' 'interval 300'
    share near --item "file=$dir/near-file"
    share far --item "file=$dir/far-file"
    sync tablet "$@"
}

the_nearer_of_two_is_taken() {
    two_anchors
    type_code tablet near
    exits tablet 0
    same "$dir/near-file" "$dir/tablet.dir/file"
    never_says far '"event":"code"'
}

the_one_that_is_named_is_taken() {
    two_anchors --anchor far
    type_code tablet far
    exits tablet 0
    same "$dir/far-file" "$dir/tablet.dir/file"
    never_says near '"event":"code"'
    says tablet '"phase":"transfer".*"peer":"far"'
    # Known by now: found again without asking the other one.
    sync tablet --anchor far
    exits tablet 0
    never_says tablet '"event":"code-wanted"'
    never_says tablet '"peer":"near"'
}

nobody_of_that_name() {
    random_file file 1000
    share anchor --item "file=$dir/file"
    sync tablet --anchor somebody --deadline 12
    fails tablet 3 near.no-anchor
    never_says anchor '"event":"code"'
    is_alive "${pid_of[anchor]}" || fail "the anchor ended"
}

nobody_at_all() {
    sync tablet --deadline 15
    sync watch --deadline 2
    fails watch 3 near.no-anchor
    fails tablet 3 near.no-anchor
    says tablet '"event":"note".*"text":"Nobody is sharing nearby'
    nothing_left tablet watch
}

an_anchor_that_nobody_visits() {
    random_file file 1000
    share anchor --item "file=$dir/file" --deadline 1
    fails anchor 9 session.deadline
}

an_anchor_that_comes_late() {
    random_file file 1000
    sync tablet
    sleep 1
    share anchor --once --item "file=$dir/file"
    type_code tablet anchor
    both_done anchor tablet
}

deadline_while_a_code_is_wanted() {
    random_file file 1000
    share anchor --once --item "file=$dir/file"
    sync tablet --deadline 20
    wait_for tablet '"event":"code-wanted"'
    fails tablet 9 session.deadline
    exits anchor 9
}

run_tests three_metres walking_in while_the_power_is_stepped walking_away_while_measured walking_away_while_the_code_is_awaited \
    a_moment_away_while_the_code_is_awaited walking_away_in_the_transfer the_nearer_of_two_is_taken \
    the_one_that_is_named_is_taken nobody_of_that_name nobody_at_all an_anchor_that_nobody_visits an_anchor_that_comes_late \
    deadline_while_a_code_is_wanted

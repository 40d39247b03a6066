#!/bin/bash
# SPDX-License-Identifier: GPL-3.0-or-later
# limit: 500
# Near and far, standing and walking, with signal strengths that real kernels hand on.
# shellcheck source=lib.bash
. "$(dirname "$(realpath "$0")")/lib.bash"
more_bluetooth phone # a second anchor

# bluetoothd takes the interval that an advertisement asks for only with -E; without it the kernel's default counts,
# 1.28 s, so that the four advertisements that an approach wants are some 5 s. Whoever sets up an anchor can have it otherwise in
# main.conf, in units of 0.625 ms: 100 ms, as the phones that people know from such flows do.
every_100_ms=('[LE]' MinAdvertisementInterval=160 MaxAdvertisementInterval=160)

# advertising_is KIND [LINE...]: radios up, with a bluetoothd of this configuration.
advertising_is() {
    local kind=$1
    shift
    bluetooth_lines=("$@")
    [ "$(cat "$daemons/advertising" 2> /dev/null)" = "$kind" ] || stop bluetoothd
    echo "$kind" > "$daemons/advertising"
    radios_up
}
fast() {
    advertising_is fast "${every_100_ms[@]}"
}

# ends NAME STATUS CAUSE [SECONDS]: with one of these causes, a pattern.
ends() {
    exits "$1" "$2" "${4:-30}"
    says "$1" "\"event\":\"cause\".*\"cause\":\"($3)\""
}
both_too_far() {
    ends tablet 3 'near\.(peer-)?too-far' 20
    ends anchor 3 'near\.(peer-)?too-far' 20
    told 'the tablet says' "$(causes_of tablet)"
    told 'the anchor says' "$(causes_of anchor)"
}
last_metres() {
    sed -n 's/.*"event":"proximity".*"metres":\([0-9.]*\).*/\1/p' "$dir/$1.out" | tail -n 1
}
# rate_of NAME: samples of the connection a second while it measured.
rate_of() {
    sed -n -e 's/.*"event":"phase".*"phase":"measure".*/measure/p' \
        -e 's/.*"event":"proximity","t":\([0-9.]*\).*"samples":\([0-9]*\).*/\1 \2/p' "$dir/$1.out" |
        awk '$1 == "measure" { on = 1; n = 0; next }
            on && n++ == 0 { t0 = $1; s0 = $2 }
            on && $1 < t0 + 2.6 { t = $1; s = $2 }
            END { if (t > t0) printf "%.1f", (s - s0) / (t - t0); else print 0 }'
}

# Near enough to be connected, then three metres away: the connection's own levels refuse, on whichever side is first.
both_measure_and_refuse_at_three_metres() {
    fast
    place anchor 0 tablet 0.25
    random_file file 20000
    share anchor --once --item "file=$dir/file"
    sync tablet
    wait_for tablet '"phase":"measure"' 30 || return
    place anchor 0 tablet 3
    both_too_far
    grep -hE '"event":"proximity".*"accept":false.*"final":true' "$dir"/*.out > /dev/null || fail 'nobody decided by measuring'
    never_says tablet '"event":"code-wanted"'
    never_says anchor '"event":"code"'
    told 'last estimates' "tablet $(last_metres tablet) m, anchor $(last_metres anchor) m"
}

alone_it_does_not_even_connect() {
    fast
    place anchor 0 tablet 3
    random_file file 20000
    share anchor --once --item "file=$dir/file"
    sync tablet --deadline 10
    fails tablet 3 near.too-far 30
    says tablet '"phase":"approach"'
    never_says tablet '"phase":"connect"'
    never_says tablet '"event":"proximity".*"accept":true'
    told 'last estimate' "$(last_metres tablet) m"
    is_alive "${pid_of[anchor]}" || fail 'the anchor did not wait'
    never_says anchor '"phase":"measure"|"event":"cause"'
}

# walk_up SECONDS: from three metres; accepted at the latest so long after the arrival.
walk_up() {
    local from early accepted='"event":"proximity".*"accept":true'
    place anchor 0 tablet 3
    share anchor --once --item "file=$dir/file"
    sync tablet
    wait_for tablet '"phase":"approach"' 30 || return 1
    until_true 10 grep -qE '"event":"proximity".*"samples":[4-9]' "$dir/tablet.out"
    from=$(now_ms)
    walk tablet 3 0.25 1
    wait "$!"
    told 'the walk took' "$(seconds_since "$from") s"
    early=$(grep -c "$accepted" "$dir/tablet.out")
    from=$(now_ms)
    wait_for tablet "$accepted" "$1" || return 1
    if [ "$early" = 0 ]; then
        told 'accepted after arriving' "$(seconds_since "$from") s"
    else
        told 'accepted' 'on the way'
    fi
    told 'accepted at an estimated' "$(grep -m 1 "$accepted" "$dir/tablet.out" | sed 's/.*"metres":\([0-9.]*\).*/\1/') m"
}

walking_up_is_accepted_and_syncs() {
    fast
    random_file file 20000
    walk_up 3 || return
    complete tablet anchor 60
    same "$dir/file" "$dir/tablet.dir/file"
}

# What people have whose bluetoothd is as it was installed; it may be slow, it must not fail.
walking_up_with_the_intervals_of_a_fresh_installation() {
    advertising_is default
    random_file file 20000
    walk_up 20
}

walking_away_ends_both_while_the_code_is_awaited() {
    local from
    fast
    place anchor 0 tablet 0.25
    random_file file 20000
    share anchor --once --item "file=$dir/file"
    sync tablet
    wait_for tablet '"event":"code-wanted"' 45 || return
    walk tablet 0.25 8 2
    wait "$!"
    from=$(now_ms)
    both_too_far
    told 'both ended after' "$(seconds_since "$from") s at 8 m"
    says tablet '"phase":"confirm"'
    never_says tablet '"phase":"enrol"'
}

# A guest is slow, a machine is not: wanted are 20 to 50.
the_connection_is_sampled_often() {
    local name rate
    fast
    place anchor 0 tablet 0.25
    random_file file 20000
    share anchor --once --item "file=$dir/file"
    sync tablet
    wait_for tablet '"event":"code-wanted"' 45 || return
    for name in tablet anchor; do
        rate=$(rate_of "$name")
        told "samples a second, $name" "$rate"
        [ "${rate%.*}" -gt 10 ] || fail "$name took $rate samples a second"
    done
}

# Where raw HCI is refused the kernel is asked by its management interface, which looks once a second.
the_connection_is_measured_without_raw_hci() {
    fast
    place anchor 0 tablet 0.15
    random_file file 20000
    share anchor --once --links ble --item "file=$dir/file"
    export LAB_NO_RAW_HCI=1
    sync tablet --links ble
    unset LAB_NO_RAW_HCI
    wait_for tablet '"event":"code-wanted"' 60 || return
    grep -q 'rssi: HCI Read RSSI on hci1: Operation not permitted' "$dir/tablet.err" || fail 'raw HCI was not refused'
    grep -q 'rssi: Get Connection Information on hci1' "$dir/tablet.err" || fail 'nobody else was asked'
    told 'samples a second, tablet' "$(rate_of tablet)"
    complete tablet anchor 60
    same "$dir/file" "$dir/tablet.dir/file"
}

# ---- Gestures ----------------------------------------------------------------------------------
# What people do with two devices, and with three, in a room that fades as real ones do: one of those of tests/sim/test_gestures.c, which
# says how often it goes so.

# room LINE...: as pairing/air.h has a real one, with the level at one metre that is assumed of radios which nobody calibrated; seed 130,
# where neither the noise nor a second earlier or later decides how any of these tests ends.
room() {
    fast
    air_is 'seed 130' 'exponent 1.4' 'tx1m -62' "$@"
}
a_real_room() {
    room 'shadow 2.5' 'fade 5' 'sigma 2' "$@"
}

# shares NAME...: anchors with one file.
shares() {
    local name
    random_file file 20000
    for name; do
        share "$name" --once --links ble --item "file=$dir/file"
    done
}
# is_heard: the tablet hears anchors often enough to tell where they are.
is_heard() {
    wait_for tablet '"event":"proximity".*"samples":([4-9]|[0-9]{2})' 30
}
# is_refused SECONDS: the tablet, with the words what to do; nobody came to the code.
is_refused() {
    local name
    exits tablet 3 "$1"
    says tablet '"event":"cause".*"cause":"near\.(peer-)?too-far".*"next":"Hold the two devices side by side'
    grep -q '^  Next: Hold the two devices side by side' "$dir/tablet.err" || fail 'no next step'
    for name in tablet anchor; do
        never_says "$name" '"phase":"confirm"|"event":"code(-wanted)?"'
    done
    told 'refused' "$(causes_of tablet)"
    told 'the last phase' "$(sed -n 's/.*"event":"phase".*"phase":"\([a-z-]*\)".*/\1/p' "$dir/tablet.out" | tail -n 1)"
}
# is_linked_with NAME OTHER: with this anchor, not that one, up to the code.
is_linked_with() {
    wait_for tablet '"event":"code-wanted"' 45 && wait_for "$1" '"event":"code"' || return
    says tablet "\"event\":\"code-wanted\".*\"peer\":\"$1\""
    never_says "$2" '"phase":"(measure|confirm)"|"event":"code"'
}

# On a line 1.5 m beside the anchor, from three metres to three metres in six seconds.
passes_by() {
    local from gone=0
    from=$(now_ms)
    while [ "$gone" -lt 6000 ]; do
        stands anchor 0 0 tablet "$((gone * 5196 / 6000 - 2598))e-3" 1.5
        pause 0.1
        gone=$(($(now_ms) - from))
    done
    stands anchor 0 0 tablet 2.6 1.5
}
# To and fro by a hand's breadth, once a second, in the background: as one holds a device and moves it.
is_held_and_moved() {
    (
        while :; do
            for mm in 0 59 95 95 59 0 -59 -95 -95 -59; do
                stands anchor 0.4 0 phone -1.2 0 tablet "${mm}e-3" "$((mm / 2))e-3"
                sleep 0.1
            done
        done
    ) &
    started+=($!)
}

who_passes_by_is_not_linked() {
    a_real_room
    stands anchor 0 0 tablet -2.6 1.5
    shares anchor
    sync tablet --links ble --deadline 20
    is_heard || return
    passes_by
    is_refused 40
    told 'the nearest estimate' "$(sed -n 's/.*"event":"proximity".*"metres":\([0-9][0-9.]*\).*/\1/p' "$dir/tablet.out" | sort -n | head -n 1) m"
}

what_lies_next_door_is_told_what_to_do() {
    a_real_room
    stands anchor 0 0 tablet 4 0
    shares anchor
    sync tablet --links ble --deadline 8
    is_refused 30
    never_says tablet '"phase":"connect"'
    told 'last estimate' "$(last_metres tablet) m"
}

# Radios so much louder than is assumed that both anchors sound near.
the_nearer_of_two_is_meant() {
    a_real_room 'tx1m -56'
    stands anchor 0.4 0 phone -1.2 0 tablet 0 0
    shares anchor phone
    is_held_and_moved
    sync tablet --links ble
    is_linked_with anchor phone || return
    told 'anchors at 0.4 and 1.2 m' "linked with the nearer one, $(grep -c 'about as near' "$dir/tablet.out") times unsure"
}

# The second comes while the first one's file is on its way: two connections at one adapter.
two_at_one_anchor() {
    fast
    place anchor 0 tablet 0.25 phone -0.25
    random_file file 1000000
    share anchor --links ble --item "file=$dir/file"
    sync tablet --links ble
    type_code tablet anchor || return
    wait_for tablet '"event":"progress"' 30 || return
    sync phone --links ble
    wait_for phone '"event":"code-wanted"' 45 && wait_for anchor '"event":"code"' "$limit" 2 || return
    type_line phone "$(shown_code anchor)"
    wait_for phone '"event":"progress"' 30 || return
    never_says tablet '"event":"done"'
    exits tablet 0 90
    exits phone 0 90
    same "$dir/file" "$dir/tablet.dir/file"
    same "$dir/file" "$dir/phone.dir/file"
}

# Side by side with both; then, as it is asked for, close to the one that is meant.
between_two_as_near_it_is_asked() {
    local from
    room 'shadow 0.5' 'fade 1' 'sigma 1'
    stands anchor 0.4 0 phone -0.4 0 tablet 0 0
    shares anchor phone
    sync tablet --links ble
    wait_for tablet '"event":"note".*Two sharing devices are about as near' 30 || return
    never_says tablet '"phase":"connect"'
    from=$(now_ms)
    stands anchor 0.4 0 phone -0.4 0 tablet -0.32 0
    is_linked_with phone anchor || return
    told 'held close to the other one, linked after' "$(seconds_since "$from") s"
}

run_tests walking_up_with_the_intervals_of_a_fresh_installation both_measure_and_refuse_at_three_metres \
    alone_it_does_not_even_connect walking_up_is_accepted_and_syncs walking_away_ends_both_while_the_code_is_awaited \
    the_connection_is_sampled_often the_connection_is_measured_without_raw_hci who_passes_by_is_not_linked what_lies_next_door_is_told_what_to_do the_nearer_of_two_is_meant \
    between_two_as_near_it_is_asked two_at_one_anchor

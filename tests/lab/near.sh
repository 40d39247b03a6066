#!/bin/bash
# SPDX-License-Identifier: GPL-3.0-or-later
# limit: 420
# Near and far, standing and walking, with signal strengths that real kernels hand on.
# shellcheck source=lib.bash
. "$(dirname "$(realpath "$0")")/lib.bash"

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

run_tests walking_up_with_the_intervals_of_a_fresh_installation both_measure_and_refuse_at_three_metres \
    alone_it_does_not_even_connect walking_up_is_accepted_and_syncs walking_away_ends_both_while_the_code_is_awaited \
    the_connection_is_sampled_often

#!/bin/bash
# SPDX-License-Identifier: GPL-3.0-or-later
# limit: 420
# Neighbours that mean no good, and radios and daemons that go away at the worst time.
# shellcheck source=lib.bash
. "$(dirname "$(realpath "$0")")/lib.bash"
# shellcheck disable=SC2034 # of process/lib.bash: an anchor that stays serves often
dones=99
rss_growth=8192 # KiB that an anchor may have more after all that

rss_of() {
    awk '/^VmRSS/ { print $2 }' "/proc/${pid_of[$1]}/status"
}
# honest_sync: of the tablet with an anchor that stays; a code is typed if one is wanted.
honest_sync() {
    sync tablet --links ble
    wait_for tablet '"event":"(code-wanted|done)"|"phase":"transfer"' 45 || return 1
    if grep -q '"event":"code-wanted"' "$dir/tablet.out"; then
        type_code tablet anchor "$(grep -c '"event":"code"' "$dir/anchor.out")" || type_line tablet "$(shown_code anchor)"
    fi
    exits tablet 0 60
    says tablet '"event":"done"'
    same "$dir/file" "$dir/tablet.dir/file"
}

# Fifty a second, of whom some are stronger than the anchor and some look like one.
advertisements_of_others_are_no_hindrance() {
    local from
    radios_up
    place anchor 0 tablet 0.25
    random_file file 20000
    noise 50
    share anchor --once --links ble --item "file=$dir/file"
    from=$(now_ms)
    sync tablet --links ble
    wait_for tablet '"phase":"connect"' 60 || return
    told 'found after' "$(seconds_since "$from") s"
    complete tablet anchor 60
    told 'advertisements of others meanwhile' "$((($(now_ms) - from) / 20))"
    same "$dir/file" "$dir/tablet.dir/file"
    noise 0
}

# attack MODE N: on the anchor, to its end.
attack() {
    # On a connection of its own, as from another device. bluetoothd takes 2 s to end the one before.
    dbus-send --system --print-reply --reply-timeout=5000 --dest=org.bluez \
        "/org/bluez/${adapter[tablet]}/dev_$(address_of anchor | tr : _)" org.bluez.Device1.Disconnect > "$dir/disconnect" 2>&1
    sleep 3
    in_ns tablet "$SIMHOP_LAB_BIN/lab_l2cap_peer" "$(address_of tablet)" "$(address_of anchor)" "$psm" "$1" "$2" \
        > "$dir/attack-$1" 2>&1 || fail "$1: $(tail -n 1 "$dir/attack-$1")"
    told "$1" "$(tr '\n' ';' < "$dir/attack-$1") VmRSS $(rss_of anchor) KiB"
}
survives() {
    is_alive "${pid_of[anchor]}" || fail "$1: the anchor is gone"
    [ -z "$why" ] || return 1
    honest_sync || fail "after $1"
}

# The peer knows no private addresses.
channels_that_mean_no_good() {
    local psm before now each
    privacy=off
    stop bluetoothd
    radios_up
    place anchor 0 tablet 0.25
    random_file file 20000
    share anchor -v --links ble --item "file=$dir/file"
    until_true 20 grep -q 'listening on PSM' "$dir/anchor.err" || fail 'no PSM'
    psm=$(sed -n 's/.*listening on PSM \(0x[0-9a-f]*\).*/\1/p' "$dir/anchor.err" | tail -n 1)
    honest_sync || return
    before=$(rss_of anchor)
    told 'VmRSS before' "$before KiB"
    for each in 'flood 5' 'storm 200' 'silent 40' 'half 1' 'greet 4'; do
        # shellcheck disable=SC2086 # two words
        attack $each
        survives "$each" || return
    done
    now=$(rss_of anchor)
    told 'VmRSS after all' "$now KiB"
    [ "$now" -lt $((before + rss_growth)) ] || fail "the anchor grew from $before to $now KiB"
    stop bluetoothd
}

unplug() {
    echo "$1" > "$shared_air/unplugged"
    until_true "$limit" [ ! -e "/sys/class/bluetooth/${adapter[$1]}" ] || fail 'the adapter is still there'
}
plug_in() {
    echo > "$shared_air/unplugged"
    until_true "$limit" [ -e "/sys/class/bluetooth/${adapter[$1]}" ] || fail 'the adapter is not back'
}

an_adapter_that_is_back_in_time_goes_on() {
    radios_up
    place anchor 0 tablet 0.25
    random_file file 20000
    share anchor --once --links ble --item "file=$dir/file"
    sleep 2
    unplug anchor
    sleep 2
    plug_in anchor
    sync tablet --links ble
    complete tablet anchor 60
    same "$dir/file" "$dir/tablet.dir/file"
}

an_adapter_that_stays_away_is_named() {
    local from
    radios_up
    random_file file 20000
    share anchor --once --links ble --item "file=$dir/file"
    sleep 2
    unplug anchor
    from=$(now_ms)
    fails anchor 8 bluetooth.no-adapter 25
    told 'named after' "$(seconds_since "$from") s: $(causes_of anchor)"
    plug_in anchor
    until_true "$limit" powered anchor || fail 'the adapter is not on again'
}

hang() {
    kill -STOP "$(cat "$daemons/bluetoothd")"
}
go_on() {
    kill -CONT "$(cat "$daemons/bluetoothd")"
}
ends_with_a_cause_of_bluetooth() {
    local from
    from=$(now_ms)
    exits tablet 8 "$1"
    says tablet '"event":"cause".*"cause":"bluetooth\.'
    told "$2" "$(seconds_since "$from") s: $(causes_of tablet)"
}

a_daemon_that_hangs_is_named() {
    radios_up
    place anchor 0 tablet 40
    random_file file 20000
    share anchor --once --links ble --item "file=$dir/file"
    sync tablet --links ble
    sleep 4
    hang
    ends_with_a_cause_of_bluetooth 60 'hangs while looking: named after'
    # The anchor has as much patience, from when it noticed; the two together may be too much for it.
    go_on
    ! grep -q 'Waiting' "$dir/anchor.out" || wait_for anchor 'Bluetooth is back'
    hang
    sync tablet --links ble
    ends_with_a_cause_of_bluetooth 20 'hangs at the start: named after'
    go_on
    is_alive "${pid_of[anchor]}" || fail "the anchor did not outlast it: $(causes_of anchor)"
    place anchor 0 tablet 0.25
    sync tablet --links ble
    complete tablet anchor 60
    same "$dir/file" "$dir/tablet.dir/file"
}

run_tests advertisements_of_others_are_no_hindrance channels_that_mean_no_good an_adapter_that_is_back_in_time_goes_on \
    an_adapter_that_stays_away_is_named a_daemon_that_hangs_is_named

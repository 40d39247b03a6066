#!/bin/bash
# SPDX-License-Identifier: GPL-3.0-or-later
# The lab itself: what simhop finds in it, without simhop's own radios.
# shellcheck source=lib.bash
. "$(dirname "$(realpath "$0")")/lib.bash"

# A bluetoothctl that is given lines by `ctl DEVICE LINE...`.
ctl_up() {
    local device=$1 fd
    mkfifo "$dir/ctl-$device"
    exec {fd}<> "$dir/ctl-$device"
    ctl_fd[$device]=$fd
    input=$dir/ctl-$device start "ctl-$device" bluetoothctl
    ctl "$device" "select $(address_of "$device")"
}
ctl() {
    local device=$1 line
    shift
    for line; do
        echo "$line" >&"${ctl_fd[$device]}"
        sleep 0.3
    done
}
declare -A ctl_fd=()

# levels_while SECONDS: the RSSI values that bluetoothd signals meanwhile.
levels_while() {
    timeout "$1" dbus-monitor --system "type='signal',sender='org.bluez'" 2> /dev/null |
        awk '/"RSSI"/ { on = 1 } on && /int16/ { print $NF; on = 0 }' > "$dir/levels"
    n=$(wc -l < "$dir/levels")
    mean=$(awk '{ s += $1 } END { if (NR) printf "%.1f", s / NR; else print "none" }' "$dir/levels")
    told "RSSI at ${2} m" "mean $mean dBm of $n signals in $1 s"
}
# near_model METRES: the mean is what the model of pairing/air.h says, give or take its shadow and fades.
near_model() {
    awk -v m="$mean" -v d="$1" 'BEGIN { e = -59 - 20 * log(d) / log(10); exit !(m != "none" && m - e < 5 && e - m < 5) }' ||
        fail "at $1 m the mean is $mean dBm"
}

an_advertisement_is_heard_with_the_level_of_its_distance() {
    radios_up
    place anchor 0 tablet 1
    ctl_up anchor
    ctl_up tablet
    ctl anchor 'menu advertise' 'uuids 0xfd5a' 'back' 'advertise on'
    ctl tablet 'menu scan' 'transport le' 'duplicate-data on' 'back' 'scan on'
    sleep 2
    levels_while 8 1
    near_model 1
    [ "$n" -ge 3 ] || fail "only $n signals at 1 m"
    place anchor 0 tablet 8
    sleep 1
    levels_while 8 8
    near_model 8
    place anchor 0 tablet 40
    sleep 1
    levels_while 4 40
    [ "$n" = 0 ] || fail "heard from 40 m"
}

# l2test knows no private addresses.
a_channel_of_l2cap_and_the_level_of_its_connection() {
    local from anchor
    privacy=off
    stop bluetoothd
    radios_up
    anchor=$(address_of anchor)
    place anchor 0 tablet 0.5
    ctl_up anchor
    ctl anchor 'menu advertise' 'uuids 0xfd5a' 'back' 'advertise on'
    start server l2test -r -P 129 -V le_public -b 512
    from=$(now_ms)
    start client l2test -s -i "${adapter[tablet]}" -P 129 -V le_public -b 512 -N 2000 -D 20 "$anchor"
    until_true "$limit" grep -q 'Connected to' "$dir/client.err" || fail 'not connected'
    told 'connected after' "$(seconds_since "$from") s"
    timeout 10 btmgmt --index "${adapter[tablet]#hci}" conn-info -t public "$anchor" > "$dir/info" 2>&1 < /dev/null
    told 'connection' "$(grep -o 'RSSI.*' "$dir/info" | tr '\n' ' ')"
    cat "$dir/info"
    place anchor 0 tablet 40
    from=$(now_ms)
    until_true 10 grep -qE 'Disconnect|reset by peer|timed out' "$dir/server.err" "$dir/client.err" || fail 'it lives on at 40 m'
    told 'it ended after' "$(seconds_since "$from") s at 40 m"
    stop bluetoothd
}

a_group_is_made_joined_and_crossed() {
    local from group ssid psk bssid id
    radios_up
    from=$(now_ms)
    wpa_interface=p2p-dev-wlan0 wpa anchor p2p_group_add freq=2412 > /dev/null
    until_true "$limit" [ -n "$(group_interface anchor)" ] || fail 'no group'
    until_true "$limit" group_is_up || fail 'no group'
    group=$(group_interface anchor)
    told 'group up after' "$(seconds_since "$from") s, $group"
    psk=$(wpa_interface=$group wpa anchor p2p_get_passphrase)
    ssid=$(wpa_interface=$group wpa anchor status | sed -n 's/^ssid=//p')
    bssid=$(wpa_interface=$group wpa anchor status | sed -n 's/^bssid=//p')
    from=$(now_ms)
    id=$(wpa tablet add_network)
    wpa tablet set_network "$id" ssid "\"$ssid\"" > /dev/null
    wpa tablet set_network "$id" psk "\"$psk\"" > /dev/null
    wpa tablet set_network "$id" scan_freq 2412 > /dev/null
    wpa tablet set_network "$id" bssid "$bssid" > /dev/null
    wpa tablet enable_network "$id" > /dev/null
    until_true "$limit" joined || fail 'not joined'
    told 'joined after' "$(seconds_since "$from") s"
    ip addr add 192.168.49.1/24 dev "$group"
    in_ns tablet ip addr add 192.168.49.2/24 dev wlan1
    in_ns tablet busybox ping -c 3 -W 2 192.168.49.1 > "$dir/ping" || fail 'no ping across'
    told ping "$(tail -n 1 "$dir/ping")"
    rfkill block wifi
    until_true "$limit" no_group || fail 'the group outlives the switch'
    rfkill unblock wifi
    wpa tablet remove_network all > /dev/null
}
group_is_up() {
    [ "$(wpa_interface=$(group_interface anchor) wpa anchor status | sed -n 's/^wpa_state=//p')" = COMPLETED ]
}
joined() {
    [ "$(wpa tablet status | sed -n 's/^wpa_state=//p')" = COMPLETED ]
}
no_group() {
    [ -z "$(group_interface anchor)" ]
}

a_switch_takes_the_adapter_away() {
    radios_up
    rfkill block bluetooth
    until_true "$limit" not_powered anchor || fail 'the adapter stays on'
    rfkill unblock bluetooth
    until_true "$limit" powered anchor || fail 'the adapter does not come back'
}
not_powered() {
    ! powered "$1"
}

simhop_runs_here_over_the_simulated_air() {
    radio=sim
    place anchor 0 tablet 0.25
    random_file hello 50000
    share anchor --once --item "hello=$dir/hello" --links ble
    sync tablet --links ble
    complete tablet anchor 90
    same "$dir/hello" "$dir/tablet.dir/hello"
    told 'a session took' "$(done_number tablet seconds) s"
}

run_tests an_advertisement_is_heard_with_the_level_of_its_distance a_channel_of_l2cap_and_the_level_of_its_connection \
    a_group_is_made_joined_and_crossed a_switch_takes_the_adapter_away simhop_runs_here_over_the_simulated_air

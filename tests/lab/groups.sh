#!/bin/bash
# SPDX-License-Identifier: GPL-3.0-or-later
# limit: 600
# limit-all: 1200
# Wi-Fi Direct on the real wpa_supplicant: the ways into a group, what a sudden end leaves and the next run removes, the station's own
# link beside it, and what is said where it cannot be. BLE is simulated here: none of this is about Bluetooth.
# With LAB_MATRIX=all also what is rarely needed.
# shellcheck source=lib.bash
. "$(dirname "$(realpath "$0")")/lib.bash"

radio=sim+wifi
tests=()
# always NAME..., rarely NAME: the latter runs only when everything is wanted, or this.
always() {
    tests+=("$@")
}
rarely() {
    [ "${LAB_MATRIX-}" != all ] && [[ " ${SIMHOP_TESTS-} " != *" $1 "* ]] || tests+=("$1")
}

# ---- Around a session --------------------------------------------------------------------------

# begin SIZE [OPTIONS-OF-SYNC...]: both devices, near each other; the code is typed.
begin() {
    local bytes=$1
    shift
    place anchor 0 tablet 0.25
    random_file file "$bytes"
    share anchor --once -v --item "file=$dir/file"
    sync tablet -v "$@"
    code_if_wanted
}
code_if_wanted() {
    wait_for tablet '"event":"(code-wanted|done)"|"phase":"transfer"' "$limit" || return
    ! grep -q '"event":"code-wanted"' "$dir/tablet.out" || type_code tablet anchor
}
# in_transfer: bytes arrive over Wi-Fi.
in_transfer() {
    wait_for tablet '"event":"progress".*"link":"wifi-direct"' 60
}
both_end() {
    both_done anchor tablet "${1:-90}"
    same "$dir/file" "$dir/tablet.dir/file"
    told links "$(sed -n 's/.*"event":"done".*"links":\({[^}]*}\).*/\1/p' "$dir/tablet.out" | tail -n 1)"
}
by_wifi() {
    says tablet '"links":{[^}]*"wifi-direct":[1-9]'
}
by_ble_alone() {
    says tablet '"links":{[^}]*"ble":[1-9]'
    never_says tablet '"links":{[^}]*"wifi-direct":[1-9]'
}
# again [OPTIONS...]: what a second sync does after the first one's trouble; the anchor begins anew if it ended.
again() {
    is_alive "${pid_of[anchor]}" || share anchor --once -v --item "file=$dir/file"
    rm -f "$dir/tablet.dir/file"
    sync tablet -v "$@"
    code_if_wanted
    both_end
}
# end_of NAME SIGNAL: it ends by that.
end_of() {
    kill "-$2" "${pid_of[$1]}" 2> /dev/null
    finish "$1" 10
}
# names_link NAME CAUSE [SECONDS]
names_link() {
    wait_for "$1" "\"event\":\"link\",.*\"link\":\"wifi-direct\".*\"cause\":\"${2//./\\.}\"" "${3:-$limit}"
}

# ---- What is there -----------------------------------------------------------------------------

marks() {
    find "$run_dir" -name 'wifi-*.mark' -printf '%P\n'
}
# networks_of DEVICE: what wpa_supplicant has stored.
networks_of() {
    local interface
    for interface in "p2p-dev-${wifi[$1]}" "${wifi[$1]}"; do
        [ -e "/run/wpa_supplicant/$interface" ] || continue
        wpa_interface=$interface wpa "$1" list_networks | tail -n +2 | sed "s/^/$interface /"
    done
}
link_local_of() {
    in_ns "$1" ip -brief address show dev "${wifi[$1]}" | grep -oE '(169\.254\.|fe80:)[^ ]*' | grep -v 'ff:fe'
}
# As in lib.bash, but of what is foreign, and with networks and addresses.
left_overs() {
    local device
    for device in anchor tablet; do
        groups_of "$device" | grep -v "${foreign:-no foreign}"
        networks_of "$device" | grep DIRECT- | grep -v "${foreign:-no foreign}"
        in_ns "$device" iw dev | grep 'Interface hop'
        link_local_of "$device" | grep -vxF "${before[$device]-none}"
    done
    find "$run_dir" -mindepth 2 -printf '%P\n'
}
declare -A before=()
foreign=
up() {
    wifi_up
    before[anchor]=$(link_local_of anchor)
    before[tablet]=$(link_local_of tablet)
    is_tidy 'an earlier test'
}
# wpa_anew DEVICE LINE...: its wpa_supplicant, with these lines, for this test.
wpa_anew() {
    stop "wpa-$1"
    wpa_up "$@"
}
as_before() {
    stop "wpa-$1"
}

# ---- An access point on the third radio --------------------------------------------------------

home=(network=\{ 'ssid="home"' 'key_mgmt=NONE' 'scan_freq=2412 2437' \})
# home_up MHZ
home_up() {
    stop wpa-home
    printf '%s\n' 'ctrl_interface=DIR=/run/wpa_supplicant' 'p2p_disabled=1' 'ap_scan=2' network=\{ 'ssid="home"' \
        'mode=2' 'key_mgmt=NONE' "frequency=$1" \} > /run/wpa-home.conf
    rm -f /run/wpa_supplicant/wlan2
    daemon wpa-home wpa_supplicant -t -i wlan2 -D nl80211 -c /run/wpa-home.conf
    until_true "$limit" home_is_up || fail 'no access point'
}
home_is_up() {
    iw dev wlan2 info | grep -q 'ssid home'
}
is_at_home() {
    wpa "$1" status | grep -qx 'ssid=home' && wpa "$1" status | grep -qx 'wpa_state=COMPLETED'
}
stays_at_home() {
    is_at_home "$1" || fail "$1 lost its own network $2"
}

# ---- Ways into a group -------------------------------------------------------------------------

# only_way WAY: what the tablet can do.
only_way() {
    case $1 in
    p2p-client | station)
        mount --bind /dev/null /usr/sbin/wpa_supplicant || fail 'nothing can be mounted'
        mounted+=(/usr/sbin/wpa_supplicant)
        ;;
    esac
}
number_of() {
    grep -hoE "$2" "$dir/$1.err" | tail -n 1 | grep -oE '[0-9]+ ms' | grep -oE '[0-9]+'
}
# first_t PATTERN: in ms.
first_t() {
    grep -m 1 -E "$1" "$dir/tablet.out" | sed -n 's/.*"t":\([0-9.]*\).*/\1/p' | awk '{ printf "%d", $1 * 1000 }'
}
tell_times() {
    local group joined dialled byte
    group=$(number_of anchor 'group on .* up after [0-9]+ ms')
    joined=$(number_of tablet 'joined on .* in [0-9]+ ms')
    dialled=$(number_of tablet 'connected [0-9]+ ms after it was asked')
    byte=$(($(first_t '"event":"progress".*"link":"wifi-direct"') - $(first_t '"event":"link".*"wifi-direct".*"up"')))
    told "$1" "group ${group:=9999} ms, join ${joined:=9999} ms, asked to connected ${dialled:=9999} ms, up to first progress $byte ms"
    [ "$1" != second-station ] || [ $((group + dialled + byte)) -lt 3000 ] || fail 'slower than 3 s in all'
}
# joins_by WAY OPTIONS...
joins_by() {
    local way=$1
    shift
    begin 1572864 "$@"
    in_transfer
    grep -qE "joined on .* \($way\)" "$dir/tablet.err" || fail "not joined by $way: $(grep -h 'wifi: ' "$dir/tablet.err" | tail -n 3)"
    both_end
    by_wifi
    tell_times "$way"
    is_tidy "the way $way"
}
by_a_second_station() {
    up
    joins_by second-station
}
by_a_p2p_client() {
    up
    only_way p2p-client
    joins_by p2p-client
}
# Its own network is left, and come back to.
by_the_station_itself() {
    up
    home_up 2412
    wpa_anew tablet p2p_disabled=1 "${home[@]}"
    until_true "$limit" is_at_home tablet || fail 'the tablet is not at home'
    only_way station
    joins_by station --take-wifi
    until_true "$limit" is_at_home tablet || fail "the tablet did not come home: $(networks_of tablet)"
    as_before tablet
}
# Without leave it is not taken.
the_station_is_not_taken_unasked() {
    up
    wpa_anew tablet p2p_disabled=1
    only_way station
    begin 1000000
    names_link tablet wifi.no-p2p
    both_end
    by_ble_alone
    as_before tablet
}
# The other two ways are also those of the killed ones below.
always by_a_second_station
rarely by_a_p2p_client
rarely by_the_station_itself
rarely the_station_is_not_taken_unasked

# ---- Sudden ends -------------------------------------------------------------------------------

foreign_up() {
    wpa_interface=p2p-dev-wlan0 wpa anchor p2p_group_add persistent freq=2412 > /dev/null
    until_true "$limit" has_group anchor || fail 'no foreign group'
    foreign=$(groups_of anchor | sed 's/.* //')
}
foreign_is_whole() {
    groups_of anchor | grep -q " $foreign\$" || fail "the foreign group is gone $1"
    networks_of anchor | grep -q "$foreign" || fail "the foreign network is gone $1"
}
a_killed_share_is_swept_and_a_foreign_group_is_not() {
    up
    foreign_up
    begin 3145728
    in_transfer
    end_of anchor KILL
    told 'left by share' "$(left_overs | tr '\n' ';')"
    groups_of anchor | grep -qv "$foreign" || fail 'no group was left to sweep'
    [ -n "$(marks)" ] || fail 'no mark'
    end_of tablet TERM
    again
    by_wifi
    grep -q 'removed what an earlier run left' "$dir/anchor.err" || fail 'it does not say that it swept'
    is_tidy 'the next share'
    foreign_is_whole 'after the sweep'
    wpa_interface=p2p-dev-wlan0 wpa anchor p2p_group_remove '*' > /dev/null
    as_before anchor
}
# killed_sync WAY OPTIONS...
killed_sync() {
    local way=$1
    shift
    begin 3145728 "$@"
    in_transfer
    end_of tablet KILL
    told "left by $way" "$(left_overs | tr '\n' ';')"
    [ -n "$(marks)" ] || fail 'no mark'
    again "$@"
    by_wifi
    grep -q 'removed what an earlier run left' "$dir/tablet.err" || fail 'it does not say that it swept'
    grep -qE "joined on .* \($way\)" "$dir/tablet.err" || fail "not joined by $way"
    tell_times "$way"
    is_tidy "the sync after a killed $way"
}
a_killed_sync_with_a_second_station_is_swept() {
    up
    killed_sync second-station
}
a_killed_sync_with_a_p2p_client_is_swept() {
    up
    only_way p2p-client
    killed_sync p2p-client
}
# The next sync may not take the interface: the sweep alone brings the own network back.
a_killed_sync_with_the_station_is_swept() {
    up
    home_up 2412
    wpa_anew tablet p2p_disabled=1 "${home[@]}"
    until_true "$limit" is_at_home tablet || fail 'the tablet is not at home'
    only_way station
    begin 2621440 --take-wifi
    in_transfer
    end_of tablet KILL
    tell_times station
    told 'left by station' "$(left_overs | tr '\n' ';')"
    told 'networks' "$(networks_of tablet | tr '\t\n' ' ;')"
    networks_of tablet | grep home | grep -q DISABLED || fail 'the own network was not forbidden'
    [ -n "$(link_local_of tablet | grep -vxF "${before[tablet]}")" ] || fail 'no address was left'
    again
    grep -q 'removed what an earlier run left' "$dir/tablet.err" || fail 'it does not say that it swept'
    until_true "$limit" is_at_home tablet || fail "the tablet did not come home: $(networks_of tablet)"
    is_tidy 'the sync after it'
    as_before tablet
}
# ended_by SIGNAL NAME: in the transfer over Wi-Fi.
ended_by() {
    up
    begin 3145728
    in_transfer
    end_of "$2" "$1"
    [ "$status" != 0 ] || fail "$2 ended well"
    end_of "$([ "$2" = anchor ] && echo tablet || echo anchor)" TERM
    is_tidy "SIG$1"
}
a_terminated_share_leaves_nothing() { ended_by TERM anchor; }
an_interrupted_sync_leaves_nothing() { ended_by INT tablet; }
always a_killed_share_is_swept_and_a_foreign_group_is_not a_killed_sync_with_a_p2p_client_is_swept \
    a_killed_sync_with_the_station_is_swept a_killed_sync_with_a_second_station_is_swept
rarely a_terminated_share_leaves_nothing
rarely an_interrupted_sync_leaves_nothing

# ---- A station link beside it ------------------------------------------------------------------

both_keep_their_own_network_on_its_channel() {
    up
    home_up 2437
    wpa_anew anchor "${home[@]}"
    wpa_anew tablet "${home[@]}"
    until_true "$limit" is_at_home anchor || fail 'the anchor is not at home'
    until_true "$limit" is_at_home tablet || fail 'the tablet is not at home'
    begin 1572864
    in_transfer
    stays_at_home anchor 'in the transfer'
    stays_at_home tablet 'in the transfer'
    told 'group on' "$(grep -ho 'starting a group .*' "$dir/anchor.err" | tail -n 1)"
    grep -q 'on 2437 MHz' "$dir/anchor.err" || fail 'the group is on another channel'
    both_end
    by_wifi
    stays_at_home anchor afterwards
    stays_at_home tablet afterwards
    is_tidy 'the transfer'
    as_before anchor
    as_before tablet
}
# The radios have one channel at a time.
a_tablet_bound_to_another_channel_says_so() {
    up
    home_up 2437
    wpa_anew tablet "${home[@]}"
    until_true "$limit" is_at_home tablet || fail 'the tablet is not at home'
    begin 500000
    names_link tablet wifi.channel-conflict
    both_end
    by_ble_alone
    stays_at_home tablet afterwards
    as_before tablet
}
always both_keep_their_own_network_on_its_channel a_tablet_bound_to_another_channel_says_so

# ---- Where it cannot be ------------------------------------------------------------------------

# no_group CAUSE: the anchor says why, and BLE carries all.
no_group() {
    begin 300000
    names_link anchor "$1"
    both_end
    by_ble_alone
    told "$1" "$(grep -hoE 'wifi: group: .*' "$dir/anchor.err" | head -n 1)"
}
without_p2p() {
    up
    wpa_anew anchor p2p_disabled=1
    no_group wifi.no-p2p
    as_before anchor
}
without_a_supplicant() {
    up
    stop wpa-anchor KILL
    no_group wifi.no-supplicant
}
# The sockets are somebody else's, and the anchor may not pass over that. It stays the same user: the air of the simulated BLE is
# closed to others.
without_permission() {
    up
    chown 991 /run/wpa_supplicant
    bound=(setpriv --bounding-set '-dac_override,-dac_read_search' "${bound[@]}")
    place anchor 0 tablet 0.25
    random_file file 300000
    share anchor --once -v --item "file=$dir/file"
    bound=("${bound[@]:3}")
    sync tablet -v
    code_if_wanted
    names_link anchor wifi.permission
    both_end
    by_ble_alone
    chown root /run/wpa_supplicant
}
# wifi.regulatory is not here: no country leaves the virtual radios without a channel of 2.4 GHz.
always without_a_supplicant without_p2p
rarely without_permission

# ---- A wpa_supplicant that hangs ---------------------------------------------------------------

hang() {
    kill -STOP "$(cat "$daemons/wpa-$1")"
}
go_on() {
    kill -CONT "$(cat "$daemons/wpa-$1")"
}
one_that_hangs_at_the_start_is_named() {
    local from
    up
    hang anchor
    begin 1200000
    from=$(now_ms)
    names_link anchor wifi.no-supplicant &&
        told 'named after' "$(seconds_since "$from") s"
    both_end
    by_ble_alone
    go_on anchor
    again
    is_tidy 'a start that hung'
}
one_that_hangs_in_the_transfer_is_named() {
    local from
    up
    begin 12582912
    in_transfer
    hang anchor
    tc qdisc replace dev "$(groups_of anchor | sed 's/ .*//')" root netem rate 4mbit
    from=$(now_ms)
    names_link anchor wifi.no-supplicant 30 &&
        told 'named after' "$(seconds_since "$from") s"
    go_on anchor
    both_end 150
    is_tidy 'a transfer in which it hung'
}
rarely one_that_hangs_at_the_start_is_named
rarely one_that_hangs_in_the_transfer_is_named

# ---- IPv4 alone --------------------------------------------------------------------------------

# ipv6 0|1: disabled or not.
ipv6_disabled() {
    local device
    for device in anchor tablet; do
        in_ns "$device" sysctl -q -w "net.ipv6.conf.all.disable_ipv6=$1" "net.ipv6.conf.default.disable_ipv6=$1"
    done
}
without_ipv6() {
    local addresses
    up
    ipv6_disabled 1
    begin 1572864
    in_transfer
    addresses=$(ip -brief address show dev "$(groups_of anchor | sed 's/ .*//')")
    told addresses "$addresses"
    [[ $addresses == *169.254.* && $addresses != *fe80:* ]] || fail "not IPv4 alone: $addresses"
    both_end
    by_wifi
    ipv6_disabled 0
    is_tidy 'it'
}
rarely without_ipv6

run_tests "${tests[@]}"

#!/bin/bash
# SPDX-License-Identifier: GPL-3.0-or-later
# limit: 900
# limit-all: 1800
# What happens to Wi-Fi, and that the session goes on over what is left.
# shellcheck source=faults.bash
. "$(dirname "$(realpath "$0")")/faults.bash"

quiet_most=20
# More than BLE carries until a group is joined, so that Wi-Fi matters; the second sync has to use it again.
size[confirm]=1000000 again_size=1300000
second_expected='done .*wifi-direct:'

# switch DEVICE block|unblock: its radio's alone.
switch() {
    in_ns "$1" sh -c 'rfkill "$1" "$(cat /sys/class/net/"$2"/phy80211/rfkill*/index)"' - "$2" "${wifi[$1]}" || fail 'no switch'
}
hurt_switch_tablet() { switch tablet block; }
# A wpa_supplicant in a network namespace does not see the switch, and so does not put its interface up again as it does elsewhere.
heal_switch_tablet() {
    switch tablet unblock
    in_ns tablet ip link set "${wifi[tablet]}" up
}
hurt_switch_anchor() { switch anchor block; }
heal_switch_anchor() { switch anchor unblock; }
hurt_supplicant_anchor() { stop wpa-anchor KILL; }
heal_supplicant_anchor() { wpa_up anchor; }
hurt_supplicant_tablet() { stop wpa-tablet KILL; }
heal_supplicant_tablet() { wpa_up tablet; }
# The one that the tablet started for its second station alone.
hurt_child_killed() {
    local pid
    for pid in $(pgrep -P "${pid_of[tablet]}" -x wpa_supplicant); do
        kill -KILL "$pid"
        return
    done
    fail 'no wpa_supplicant of its own'
}
heal_child_killed() { :; }
# Without one of its own the tablet joins with the one of the system.
before_supplicant_client() {
    mount --bind /dev/null /usr/sbin/wpa_supplicant || fail 'nothing can be mounted'
    mounted+=(/usr/sbin/wpa_supplicant)
}
hurt_supplicant_client() { hurt_supplicant_tablet; }
heal_supplicant_client() {
    umount -l /usr/sbin/wpa_supplicant
    mounted=()
    wpa_up tablet
}
# group: the anchor's; one that only begins is waited for.
group() {
    [ -n "$(groups_of anchor)" ]
}
group() {
    until_true "$limit" has_group anchor || fail 'no group'
    group_interface anchor
}
hurt_group_removed() {
    wpa_interface=p2p-dev-wlan0 wpa anchor p2p_group_remove "$(group)" | grep -qx OK || fail 'the group could not be removed'
}
heal_group_removed() { :; }
hurt_group_deleted() { iw dev "$(group)" del || fail 'the group could not be deleted'; }
heal_group_deleted() { :; }
# The tablet's own second station, which may still be joining.
second_station() {
    in_ns tablet iw dev | awk '/Interface hop/ { print $2 }'
}
has_second_station() {
    [ -n "$(second_station)" ]
}
hurt_joined_deleted() {
    until_true "$limit" has_second_station
    in_ns tablet iw dev "$(second_station)" del || fail 'nothing to delete'
}
heal_joined_deleted() { :; }
hurt_port_dropped() {
    nft -f - << 'END'
table inet lab {
    chain in {
        type filter hook input priority 0
        iifname "p2p-*" meta l4proto tcp counter drop
    }
}
END
}
heal_port_dropped() {
    nft list table inet lab | grep -q 'packets [1-9]' || fail 'nothing was dropped'
    nft delete table inet lab
}
# At both ends of the link.
bad_air() {
    local joined
    tc qdisc replace dev "$(group)" root netem "$@" || fail 'no bad air'
    until_true "$limit" has_second_station
    joined=$(second_station)
    in_ns tablet tc qdisc replace dev "$joined" root netem "$@" || fail 'no bad air'
}
hurt_loss() { bad_air loss 20%; }
heal_loss() { :; }
hurt_delay() { bad_air delay 200ms; }
heal_delay() { :; }
hurt_loss_and_delay() { bad_air delay 200ms loss 20%; }
heal_loss_and_delay() { :; }

tidy() { is_tidy 'the second sync'; }

# ble:1000000 is all of the file.
row supplicant-client wifi 'done .*tablet: wifi\.group-lost wifi\.no-supplicant' always
row switch-tablet wifi 'done .*tablet: wifi\.group-lost wifi\.rfkill-soft' always
row switch-anchor wifi 'done .*anchor: wifi\.group-lost wifi\.rfkill-soft'
row supplicant-anchor wifi 'done .*tablet: wifi\.group-lost, anchor: wifi\.group-lost wifi\.no-supplicant'
row supplicant-tablet wifi 'done ble:[0-9]*,wifi-direct:[0-9]*$'
row child-killed wifi 'done .*wifi-direct:.*tablet: wifi\.'
row group-removed wifi 'done .*wifi-direct:.*tablet: (wifi\.group-lost|connect\.lost).*anchor: wifi\.group-lost' always
row group-deleted wifi 'done .*wifi-direct:.*anchor: wifi\.group-lost'
row joined-deleted wifi 'done .*wifi-direct:.*tablet: wifi\.group-lost'
row port-dropped wifi 'done .*tablet: link\.stalled'
row loss wifi 'done .*wifi-direct:'
row delay wifi 'done .*wifi-direct:'
row loss-and-delay wifi 'done .*wifi-direct:' always
row switch-tablet ble 'done ble:1000000, tablet: wifi\.rfkill-soft'
row switch-anchor ble 'done ble:1000000, anchor: wifi\.rfkill-soft'
row supplicant-anchor ble 'done ble:1000000, anchor: wifi\.no-supplicant'
row supplicant-tablet ble 'done ble:[0-9]*,wifi-direct:[0-9]*$'
row group-removed ble 'done .*wifi-direct:.*anchor: wifi\.group-lost'
row group-deleted ble 'done .*wifi-direct:.*anchor: wifi\.group-lost'
row joined-deleted ble 'done .*wifi-direct:' # by another way to join, if it was joining only
row port-dropped ble 'done ble:1000000'
row switch-tablet confirm 'done ble:1000000, tablet: wifi\.rfkill-soft'
row switch-anchor confirm 'done ble:1000000, anchor: wifi\.rfkill-soft'
row supplicant-anchor confirm 'done ble:1000000, anchor: wifi\.no-supplicant' always
row supplicant-tablet confirm 'done ble:[0-9]*,wifi-direct:[0-9]*$'
row port-dropped confirm 'done ble:1000000' always
row supplicant-anchor discover 'done ble:100000, anchor: wifi\.no-supplicant'
row supplicant-anchor measure 'done ble:100000, anchor: wifi\.no-supplicant'
row supplicant-tablet discover 'done ble:[0-9]*'
row supplicant-tablet measure 'done ble:[0-9]*'
row switch-tablet discover 'done ble:100000'
row switch-tablet measure 'done ble:100000'
row switch-anchor discover 'done ble:100000, anchor: wifi\.rfkill-soft'
row switch-anchor measure 'done ble:100000, anchor: wifi\.rfkill-soft'

run_rows

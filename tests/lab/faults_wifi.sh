#!/bin/bash
# SPDX-License-Identifier: GPL-3.0-or-later
# limit: 900
# by name only: the matrix takes longer than the lane may; scripts/test lab faults_wifi runs it
# What happens to Wi-Fi, and that the session goes on over what is left.
# shellcheck source=faults.bash
. "$(dirname "$(realpath "$0")")/faults.bash"

# switch DEVICE block|unblock: its radio's alone.
switch() {
    in_ns "$1" sh -c 'rfkill "$1" "$(cat /sys/class/net/"$2"/phy80211/rfkill*/index)"' - "$2" "${wifi[$1]}" || fail 'no switch'
}
hurt_switch_tablet() { switch tablet block; }
heal_switch_tablet() { switch tablet unblock; }
hurt_switch_anchor() { switch anchor block; }
heal_switch_anchor() { switch anchor unblock; }
hurt_supplicant_anchor() { stop wpa-anchor KILL; }
heal_supplicant_anchor() { wpa_up anchor; }
hurt_supplicant_tablet() { stop wpa-tablet KILL; }
heal_supplicant_tablet() { wpa_up tablet; }
hurt_group_removed() {
    wpa_interface=p2p-dev-wlan0 wpa anchor p2p_group_remove "$(group_interface anchor)" > "$dir/removed"
}
heal_group_removed() { :; }
hurt_group_deleted() { iw dev "$(group_interface anchor)" del; }
heal_group_deleted() { :; }
hurt_joined_deleted() { in_ns tablet iw dev "$(joined_interface)" del; }
heal_joined_deleted() { :; }
# What the tablet joined with, if it is not its own station interface.
joined_interface() {
    in_ns tablet iw dev | awk '/Interface/ { name = $2 } /ssid DIRECT-/ { print name; exit }'
}
hurt_port_dropped() {
    nft -f - << 'END'
table inet lab {
    chain in {
        type filter hook input priority 0
        iifname "p2p-*" meta l4proto tcp drop
    }
}
END
}
heal_port_dropped() { nft delete table inet lab; }
hurt_bad_air() {
    tc qdisc replace dev "$(group_interface anchor)" root netem delay 200ms loss 20%
}
heal_bad_air() { :; }

row switch-tablet confirm 'done .*ble' always
row switch-tablet wifi 'done .*ble' always
row switch-anchor confirm 'done .*ble'
row switch-anchor ble 'done .*ble'
row switch-anchor wifi 'done .*ble' always
row supplicant-anchor confirm 'done .*ble' always
row supplicant-anchor wifi 'done .*ble'
row supplicant-tablet confirm 'done .*ble'
row supplicant-tablet wifi 'done .*ble' always
row group-removed wifi 'done .*ble' always
row group-deleted wifi 'done .*ble'
row joined-deleted wifi 'done .*ble'
row port-dropped confirm 'done .*ble' always
row port-dropped wifi 'done .*ble' always
row bad-air wifi 'done .*' always

run_rows

#!/bin/bash
# SPDX-License-Identifier: GPL-3.0-or-later
# limit: 900
# limit-all: 3000
# What happens to Bluetooth, and what the session makes of it.
# shellcheck source=faults.bash
. "$(dirname "$(realpath "$0")")/faults.bash"

# switch_of DEVICE: the number of its adapter's switch.
switch_of() {
    cat "/sys/class/bluetooth/${adapter[$1]}"/rfkill*/index
}
hurt_switch_tablet() { rfkill block "$(switch_of tablet)"; }
heal_switch_tablet() {
    rfkill unblock "$(switch_of tablet)"
    until_true "$limit" powered tablet
}
hurt_switch_anchor() { rfkill block "$(switch_of anchor)"; }
heal_switch_anchor() {
    rfkill unblock "$(switch_of anchor)"
    until_true "$limit" powered anchor
}
hurt_off_tablet() { adapter_set tablet Powered boolean:false; }
heal_off_tablet() {
    adapter_set tablet Powered boolean:true
    until_true "$limit" powered tablet
}
hurt_off_anchor() { adapter_set anchor Powered boolean:false; }
heal_off_anchor() {
    adapter_set anchor Powered boolean:true
    until_true "$limit" powered anchor
}
hurt_daemon_killed() { stop bluetoothd KILL; }
heal_daemon_killed() { bluetoothd_up; }
hurt_daemon_restarted() {
    stop bluetoothd KILL
    sleep 2
    bluetoothd_up
}
heal_daemon_restarted() { :; }
hurt_gone_far() { place anchor 0 tablet 40; }
heal_gone_far() { place anchor 0 tablet 0.25; }

row switch-tablet discover 'bluetooth\.rfkill-soft'
row switch-tablet measure 'bluetooth\.rfkill-soft'
row switch-tablet confirm 'bluetooth\.rfkill-soft' always
row switch-tablet ble 'bluetooth\.rfkill-soft'
row switch-tablet wifi 'done .*wifi-direct' always
row switch-anchor discover 'looks on'
row switch-anchor measure 'connect\.lost' always
row switch-anchor confirm 'connect\.lost'
row switch-anchor ble 'transfer\.stalled'
row switch-anchor wifi 'done .*wifi-direct'
row off-tablet discover 'bluetooth\.off'
row off-tablet measure 'bluetooth\.off'
row off-tablet confirm 'bluetooth\.off'
row off-tablet ble 'bluetooth\.off'
row off-tablet wifi 'done .*wifi-direct'
row off-anchor discover 'looks on'
row off-anchor measure 'connect\.lost'
row off-anchor confirm 'connect\.lost'
row off-anchor ble 'transfer\.stalled'
row off-anchor wifi 'done .*wifi-direct'
row daemon-killed discover 'bluetooth\.no-daemon'
row daemon-killed measure 'done .*ble'
row daemon-killed confirm 'done .*ble'
row daemon-killed ble 'done .*ble'
row daemon-killed wifi 'done .*wifi-direct'
row daemon-restarted discover 'done .*ble'
row daemon-restarted measure 'done .*ble'
row daemon-restarted confirm 'done .*ble'
row daemon-restarted ble 'done .*ble'
row daemon-restarted wifi 'done .*wifi-direct'
row gone-far discover 'looks on'
row gone-far measure '(connect\.lost|near\.(peer-)?too-far)' # by what is first
row gone-far confirm 'connect\.lost'
row gone-far ble 'transfer\.stalled'
row gone-far wifi 'done .*wifi-direct'

run_rows

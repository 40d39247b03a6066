#!/bin/bash
# SPDX-License-Identifier: GPL-3.0-or-later
# limit: 900
# by name only: the Bluetooth half of the matrix is not right yet; scripts/test lab faults_bluetooth runs it
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

row switch-tablet discover 'bluetooth.rfkill-soft' always
row switch-tablet measure 'bluetooth.rfkill-soft'
row switch-tablet confirm '.*' always
row switch-tablet ble '.*'
row switch-tablet wifi '.*'
row switch-anchor discover '.*'
row switch-anchor measure '.*' always
row switch-anchor confirm '.*'
row switch-anchor ble '.*' always
row switch-anchor wifi '.*'
row off-tablet discover '.*'
row off-anchor ble '.*'
row off-tablet wifi '.*' always
row daemon-killed discover '.*' always
row daemon-killed measure '.*'
row daemon-killed ble '.*' always
row daemon-restarted discover '.*' always
row daemon-restarted measure '.*'
row daemon-restarted confirm '.*'
row daemon-restarted ble '.*'
row gone-far measure '.*'
row gone-far ble '.*' always
row gone-far wifi '.*'

run_rows

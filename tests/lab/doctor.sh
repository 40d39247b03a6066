#!/bin/bash
# SPDX-License-Identifier: GPL-3.0-or-later
# What `simhop doctor` says of real daemons and virtual radios: healthy, and with one thing wrong at a time.
# limit: 600
# shellcheck source=lib.bash
. "$(dirname "$(realpath "$0")")/lib.bash"

as=()              # words before the program: another user
home=/tmp/lab-home # folders that another user may write, which $dir is not

# doctor OPTIONS...: of the anchor, in JSON.
doctor() {
    rm -rf "$home"
    mkdir -p "$home"
    chmod 777 "$home"
    run "${as[@]}" "$SIMHOP" doctor --json --state "$home/state" --name anchor --dir "$home" --nm-dir "$home" "$@"
}
anchor_doctor() {
    doctor --adapter hci0 --wifi wlan0 "$@"
}
# finds RESULT CHECK [CAUSE [TEXT]]
finds() {
    local cause=${3:+\"$3\"}
    grep -qE "\"check\":\"$2\",\"result\":\"$1\",\"text\":\"[^\"]*${4-}[^\"]*\",\"cause\":${cause:-null}" "$dir/run.out" ||
        fail "not $1 $2 ${3-} ${4-}: $(grep "\"check\":\"$2\"" "$dir/run.out" | sed 's/.*"result"/"result"/')"
    if [ -n "${3-}" ]; then
        grep "\"check\":\"$2\"" "$dir/run.out" | grep -qE '"next":"[^"]{10,}' || fail "$2: no next step"
    fi
}
# nothing_of CHECK...
nothing_of() {
    for name; do
        ! grep -q "\"check\":\"$name" "$dir/run.out" || fail "something of $name"
    done
}

a_healthy_machine() {
    local name
    radios_up
    anchor_doctor
    exits run 0
    for name in bluetooth-kernel bluetooth-switch bus bluetoothd adapter advertising privacy signal wifi-switch wifi \
        wifi-direct wifi-channel wifi-join wifi-supplicant wifi-rights; do
        finds ok "$name"
    done
    finds ok adapter '' 'hci0 .*powered'
    finds ok advertising '' 'slots free'
    says run '"problems":0'
    "$SIMHOP" doctor --adapter hci0 --state "$home/state" --dir "$home" --nm-dir "$home" | sed 's/^/seen: /'
    [ ! -e "$home/state" ] || fail 'it made the state folder'
}

what_was_not_asked_for_is_not_looked_at() {
    radios_up
    anchor_doctor --wifi none
    exits run 0
    nothing_of wifi
    anchor_doctor --links ble,lan
    nothing_of wifi
    anchor_doctor --radio "sim:$air"
    exits run 0
    nothing_of bluetooth adapter wifi
}

a_switch() {
    radios_up
    rfkill block bluetooth
    until_true "$limit" not_powered anchor
    anchor_doctor
    fails run 8 bluetooth.rfkill-soft
    finds problem bluetooth-switch bluetooth.rfkill-soft hci0
    rfkill unblock bluetooth
    until_true "$limit" powered anchor
    rfkill block wifi
    anchor_doctor
    exits run 0
    finds warning wifi-switch wifi.rfkill-soft phy0
    rfkill unblock wifi
}
not_powered() {
    ! powered "$1"
}

an_adapter_that_is_off() {
    radios_up
    adapter_set anchor Powered boolean:false
    until_true "$limit" not_powered anchor
    anchor_doctor
    fails run 8 bluetooth.off
    finds problem adapter bluetooth.off hci0
    # Another one is there, and is taken if none is named.
    doctor
    exits run 0
    finds ok adapter '' hci1
    adapter_set anchor Powered boolean:true
    until_true "$limit" powered anchor || fail 'not on again'
    doctor --adapter hci9
    fails run 8 bluetooth.no-adapter
}

bluetoothd_is_not_there() {
    radios_up
    stop bluetoothd
    anchor_doctor
    fails run 8 bluetooth.no-daemon
    nothing_of adapter
}

daemons_that_hang() {
    local from
    radios_up
    kill -STOP "$(cat "$daemons/bluetoothd")" "$(cat "$daemons/wpa-anchor")"
    from=$(now_ms)
    anchor_doctor
    told 'with two daemons that hang' "$(seconds_since "$from") s"
    [ $(($(now_ms) - from)) -lt 12000 ] || fail "it took $(seconds_since "$from") s"
    kill -CONT "$(cat "$daemons/bluetoothd")" "$(cat "$daemons/wpa-anchor")"
    fails run 8 bluetooth.refused
    finds problem bluetoothd bluetooth.refused 'hangs'
    finds warning wifi-supplicant wifi.no-supplicant 'not answer'
}

no_adapter() {
    radios_up
    stop air
    until_true "$limit" [ ! -e /sys/class/bluetooth/hci0 ]
    doctor
    fails run 8 bluetooth.no-adapter
    stop bluetoothd
}

slots_that_are_full() {
    local i
    radios_up
    for i in 1 2 3 4 5 6 7 8; do
        ctl_of "$i"
    done
    until_true 30 full || fail "slots: $(bus_get org.bluez /org/bluez/hci0 org.bluez.LEAdvertisingManager1 SupportedInstances) free"
    anchor_doctor
    fails run 8 bluetooth.slots-full
    finds problem advertising bluetooth.slots-full 'hci0: [0-9]+ in use; it can sync, but not share'
    finds ok adapter
}
full() {
    [ "$(bus_get org.bluez /org/bluez/hci0 org.bluez.LEAdvertisingManager1 SupportedInstances)" = 0 ]
}
# A bluetoothctl that advertises, with its input open.
ctl_of() {
    local fd
    mkfifo "$dir/ctl-$1"
    exec {fd}<> "$dir/ctl-$1"
    input=$dir/ctl-$1 start "ctl-$1" bluetoothctl
    sleep 0.3
    printf 'select %s\nadvertise on\n' "$(address_of anchor)" >&"$fd"
}

an_address_that_everybody_sees() {
    radios_up
    stop bluetoothd
    printf '[Policy]\nAutoEnable=true\n' > /run/bluetooth-plain.conf
    daemon bluetoothd /usr/libexec/bluetooth/bluetoothd -n -f /run/bluetooth-plain.conf
    until_true "$limit" powered anchor || fail 'not on'
    anchor_doctor
    exits run 0
    finds warning privacy bluetooth.no-privacy
    stop bluetoothd
}

wpa_supplicant_is_not_there() {
    radios_up
    stop wpa-anchor
    rm -f /run/wpa_supplicant/*wlan0
    anchor_doctor
    exits run 0
    finds warning wifi-supplicant wifi.no-supplicant
}

another_user() {
    radios_up
    as=(setpriv --reuid simhop-lab --regid simhop-lab --clear-groups)
    anchor_doctor
    told 'another user' "$(sed -n 's/.*"check":"\([^"]*\)","result":"\(warning\|problem\)","text":"\([^"]*\)".*/\1: \3;/p' "$dir/run.out" | tr '\n' ' ')"
    exits run 0
    finds ok bluetoothd
    finds ok signal
    finds warning wifi-supplicant wifi.permission
    finds warning wifi-rights wifi.permission net_admin
    cat > /etc/dbus-1/system.d/zz-lab.conf << END
<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig><policy user="simhop-lab"><deny send_destination="org.bluez"/></policy></busconfig>
END
    dbus-send --system --print-reply --dest=org.freedesktop.DBus / org.freedesktop.DBus.ReloadConfig > /dev/null
    anchor_doctor
    rm /etc/dbus-1/system.d/zz-lab.conf
    dbus-send --system --print-reply --dest=org.freedesktop.DBus / org.freedesktop.DBus.ReloadConfig > /dev/null
    fails run 8 bluetooth.permission
    finds problem bluetoothd bluetooth.permission
}

no_wifi_direct() {
    radios_up
    stop wpa-anchor
    wpa_up anchor p2p_disabled=1
    anchor_doctor
    exits run 0
    finds warning wifi-supplicant wifi.no-p2p
    stop wpa-anchor
    doctor --adapter hci0 --wifi wlan9
    exits run 0
    finds warning wifi wifi.absent wlan9
}

# The radios here have one channel at a time.
a_network_that_binds_the_radio() {
    radios_up
    printf '%s\n' 'ctrl_interface=/run/wpa_supplicant' 'network={' 'ssid="home"' mode=2 frequency=2437 key_mgmt=NONE '}' > /run/wpa-ap.conf
    daemon wpa-ap wpa_supplicant -i wlan2 -D nl80211 -c /run/wpa-ap.conf
    sleep 1
    wpa anchor add_network > /dev/null
    wpa anchor set_network 0 ssid '"home"' > /dev/null
    wpa anchor set_network 0 key_mgmt NONE > /dev/null
    wpa anchor set_network 0 scan_freq 2437 > /dev/null
    wpa anchor enable_network 0 > /dev/null
    until_true "$limit" in_network || fail 'not in the network'
    anchor_doctor
    exits run 0
    finds ok wifi '' 'in a network on 2437 MHz'
    finds ok wifi-channel '' 'on 2437 MHz'
    finds warning wifi-join wifi.channel-conflict 'only with a group on 2437 MHz'
    stop wpa-ap
    wpa anchor remove_network all > /dev/null
}
in_network() {
    [ "$(wpa anchor status | sed -n 's/^wpa_state=//p')" = COMPLETED ]
}

a_country() {
    radios_up
    iw reg set DE
    sleep 1
    anchor_doctor
    told country "$(iw reg get | grep -m1 country) $(grep -o '"check":"wifi-channel".*' "$dir/run.out")"
    exits run 0
    iw reg set 00
}

run_tests a_healthy_machine what_was_not_asked_for_is_not_looked_at a_switch an_adapter_that_is_off \
    bluetoothd_is_not_there daemons_that_hang no_adapter slots_that_are_full an_address_that_everybody_sees \
    wpa_supplicant_is_not_there another_user no_wifi_direct a_network_that_binds_the_radio a_country

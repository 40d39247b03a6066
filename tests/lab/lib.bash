# SPDX-License-Identifier: GPL-3.0-or-later
# shellcheck shell=bash
# What the scripts of the lab share. They run as root inside a guest (tests/lab/run) and end with `run_tests NAME...` as the process
# tests do, whose lib.bash this builds on; one test at a time.
#
# Two devices: `anchor` (adapter 0, wlan0, the initial network namespace) and `tablet` (adapter 1, wlan1, the namespace `tab`). A
# third Wi-Fi radio, wlan2, is left for access points. bluetoothd, wpa_supplicant and the air are daemons that outlive a test:
#   more_bluetooth NAME...   said at the head of a script: further devices, with adapters 2, 3, ... and no Wi-Fi
#   radios_up            starts whatever of it does not run, and unblocks; the first call of most tests
#   daemon NAME COMMAND  starts one in the background; stop NAME [SIGNAL], running NAME, log_of NAME
#   place anchor 0 tablet 0.25, walk tablet 3 0.25 1      as positions of the air; metres a second
#   stands anchor 0 0 tablet -1 1.5                       the same, off the line
#   in_ns DEVICE COMMAND...      there, with Bluetooth sockets
#   told NAME VALUE      a number that was seen, for the log: "seen NAME VALUE"
: "${SIMHOP_LAB_BIN:?folder of lab_air and lab_btns.so}"
lab_dir=$(dirname "$(realpath "${BASH_SOURCE[0]}")")
export SIMHOP_TESTS_AT_ONCE=1
# shellcheck source=../process/lib.bash
. "$lab_dir/../process/lib.bash"

shared_air=/run/air
run_dir=/run/simhop-lab # of what each device has to undo; they share no more of it than two machines do
logs=/run/lab/logs
daemons=/run/daemons
bt_server=/tmp/bt-server-bredrle
read -ra air_options <<< "${LAB_AIR_OPTIONS--v}" # of lab_air
bluetoothd_options=() # -E where something experimental is wanted
mkdir -p "$run_dir" "$shared_air" "$logs" "$daemons" /run/wpa_supplicant
declare -A adapter=([anchor]=hci0 [tablet]=hci1) wifi=([anchor]=wlan0 [tablet]=wlan1) space=([anchor]='' [tablet]=tab)
bluetooth_devices=(anchor tablet) # in the order of their adapters
limit=20 # seconds that a radio may take for anything; the guest is slow

now_ms() {
    local up
    read -r up _ < /proc/uptime
    up=${up/./}
    echo $((10#$up * 10))
}
# seconds_since MS: with one decimal.
seconds_since() {
    local ms=$(($(now_ms) - $1))
    printf '%d.%d' $((ms / 1000)) $((ms % 1000 / 100))
}
told() {
    printf 'seen %s: %s %s\n' "${test:-$script_name}" "$1" "$2"
}
# A process of its own for each look would keep an emulated processor busy.
mkfifo "$work/nothing" && exec {nothing}<> "$work/nothing"
pause() {
    read -rt "$1" -u "$nothing" || true # it is the time that matters
}
# until_true SECONDS COMMAND...: polls it.
until_true() {
    local until=$((SECONDS + $1))
    shift
    until "$@" > /dev/null 2>&1; do
        [ "$SECONDS" -lt "$until" ] || return 1
        pause 0.2
    done
}
# As in the process tests.
wait_for() {
    local name=$1 pattern=$2 until=$((SECONDS + ${3:-20})) count=${4:-1} last='' line part='' fd
    exec {fd}< "$dir/$name.out"
    while :; do
        while read -r line <&"$fd" || { part+=$line && false; }; do
            line=$part$line part=''
            [[ ! $line =~ $pattern ]] || count=$((count - 1))
        done
        [ "$count" -gt 0 ] || break
        [ -z "$last" ] || break
        is_alive "${pid_of[$name]}" || last='it ended '
        [ "$SECONDS" -lt "$until" ] || last='not in time '
        [ -n "$last" ] || pause 0.1
    done
    exec {fd}<&-
    [ "$count" -le 0 ] && return
    fail "$name never said $pattern: $last$(causes_of "$name")"
    return 1
}

# ---- Daemons -----------------------------------------------------------------------------------

daemon() {
    local name=$1
    shift
    setsid "$@" >> "$logs/$name" 2>&1 < /dev/null &
    echo $! > "$daemons/$name"
}
running() {
    local pid
    pid=$(cat "$daemons/$1" 2> /dev/null) && is_alive "$pid"
}
gone() {
    ! running "$1"
}
stop() {
    local pid
    pid=$(cat "$daemons/$1" 2> /dev/null) || return 0
    kill "-${2:-TERM}" "$pid" 2> /dev/null
    until_true 5 gone "$1" || kill -KILL "$pid" 2> /dev/null
    rm -f "$daemons/$1"
}
log_of() {
    echo "$logs/$1"
}

# place_of DEVICE: $place_words, what a command begins with there.
place_of() {
    place_words=()
    [ -z "${space[$1]}" ] || place_words=(ip netns exec "${space[$1]}" env LD_PRELOAD="$SIMHOP_LAB_BIN/lab_btns.so")
}
in_ns() {
    local device=$1 place_words
    shift
    place_of "$device"
    "${place_words[@]}" "$@"
}

# ---- Bluetooth ---------------------------------------------------------------------------------

more_bluetooth() {
    local name
    for name; do
        adapter[$name]=hci${#bluetooth_devices[@]} wifi[$name]=none space[$name]=''
        bluetooth_devices+=("$name")
    done
}
bluetooth_up() {
    running btvirt || daemon btvirt btvirt -s
    if ! running air; then
        until_true 5 [ -S "$bt_server" ] || fail 'no btvirt'
        daemon air "$SIMHOP_LAB_BIN/lab_air" ${air_options[@]+"${air_options[@]}"} "$shared_air" "$bt_server" "${bluetooth_devices[@]}"
        until_true "$limit" [ -e "/sys/class/bluetooth/${adapter[${bluetooth_devices[-1]}]}" ] || fail 'no controllers'
    fi
    running bluetoothd || bluetoothd_up
}
# On private addresses, as a device that cares has it.
privacy=device
bluetooth_lines=() # more of its configuration, which counts when it is started
bluetoothd_up() {
    printf '%s\n' '[General]' "Privacy=$privacy" '[Policy]' AutoEnable=true ${bluetooth_lines[@]+"${bluetooth_lines[@]}"} \
        > /run/bluetooth.conf
    mkdir -p /var/lib/bluetooth
    daemon bluetoothd /usr/libexec/bluetooth/bluetoothd -n -f /run/bluetooth.conf ${bluetoothd_options[@]+"${bluetoothd_options[@]}"}
    until_true "$limit" all_powered || fail 'no adapter was switched on'
}
all_powered() {
    local device
    for device in "${bluetooth_devices[@]}"; do
        powered "$device" || return 1
    done
}
powered() {
    [ "$(adapter_property "$1" Powered)" = true ]
}
adapter_property() {
    bus_get org.bluez "/org/bluez/${adapter[$1]}" org.bluez.Adapter1 "$2"
}
# bus_get SERVICE PATH INTERFACE PROPERTY: the value alone.
bus_get() {
    dbus-send --system --print-reply=literal --reply-timeout=5000 --dest="$1" "$2" org.freedesktop.DBus.Properties.Get \
        "string:$3" "string:$4" 2> /dev/null | awk '{ print $NF }'
}
# adapter_set DEVICE PROPERTY TYPE:VALUE
adapter_set() {
    dbus-send --system --print-reply --reply-timeout=5000 --dest=org.bluez "/org/bluez/${adapter[$1]}" \
        org.freedesktop.DBus.Properties.Set string:org.bluez.Adapter1 "string:$2" "variant:$3" > /dev/null
}
address_of() {
    adapter_property "$1" Address
}

# ---- Wi-Fi -------------------------------------------------------------------------------------

wifi_up() {
    local device
    if ! ip netns list | grep -q '^tab'; then
        until_true "$limit" [ -e "/sys/class/net/${wifi[tablet]}" ] || fail 'no Wi-Fi radios'
        ip netns add tab
        iw phy phy1 set netns name tab || fail 'the radio cannot be moved'
        in_ns tablet ip link set lo up
    fi
    for device in anchor tablet; do
        running "wpa-$device" || wpa_up "$device"
    done
}
# wpa_up DEVICE [LINE...]: with these lines in its configuration.
wpa_up() {
    local device=$1 place_words
    shift
    {
        printf '%s\n' 'ctrl_interface=DIR=/run/wpa_supplicant GROUP=netdev' "device_name=$device" 'update_config=0' "$@"
    } > "/run/wpa-$device.conf"
    # Control sockets of a killed one would be in its way.
    rm -f "/run/wpa_supplicant/${wifi[$device]}" "/run/wpa_supplicant/p2p-dev-${wifi[$device]}"
    place_of "$device"
    daemon "wpa-$device" "${place_words[@]}" wpa_supplicant -t -i "${wifi[$device]}" -D nl80211 -c "/run/wpa-$device.conf"
    until_true "$limit" wpa "$device" status || fail "wpa_supplicant of $device did not start"
}
wpa() {
    local device=$1
    shift
    wpa_cli -p /run/wpa_supplicant -i "${wpa_interface-${wifi[$device]}}" "$@"
}
group_interface() {
    in_ns "$1" iw dev | awk '/Interface/ { name = $2 } /type P2P-(GO|client)/ && name ~ /^p2p-/ { print name; exit }'
}

# groups_of DEVICE: its interfaces in groups, with names. The kernel tells no name of what a client is in.
groups_of() {
    in_ns "$1" iw dev | awk '/nterface/ { name = $2; ssid = "-" } /ssid / { ssid = $2 }
        /type/ && ($2 ~ /^P2P-(GO|client)$/ || ssid ~ /^DIRECT-/) { print name, ssid }'
}
has_group() {
    [ -n "$(groups_of "$1")" ]
}
# left_overs: what simhop made and should be gone: groups, second stations, marks. A script may have its own.
left_overs() {
    local device
    for device in anchor tablet; do
        groups_of "$device"
        in_ns "$device" iw dev | grep 'Interface hop'
    done
    find "$run_dir" -mindepth 2 -printf '%P\n'
}
nothing_is_left() {
    [ -z "$(left_overs)" ]
}
# is_tidy WHAT: afterwards. Group interfaces are removed by wpa_supplicant, a moment after it was told to.
is_tidy() {
    until_true 5 nothing_is_left || fail "left after $1: $(left_overs | tr '\n' ';')"
}

radios_up() {
    rfkill unblock all
    noise 0
    rm -f "$shared_air/air" # a test that wants another room says so after this
    bluetooth_up
    wifi_up
}

# ---- Devices -----------------------------------------------------------------------------------

# As in the process tests, but over these radios; with radio=sim over the simulated air of the same folder, with
# radio=sim+wifi over that and real Wi-Fi.
radio=bluez
device_words() {
    place_of "$1"
    case $radio in
    sim) radio_words=(--radio "sim:$air") ;;
    sim+wifi) radio_words=(--radio "sim:$air" --links "ble,wifi-direct" --wifi "${wifi[$1]}") ;;
    *) radio_words=(--radio "$radio" --adapter "${adapter[$1]}" --wifi "${wifi[$1]}") ;;
    esac
}
# share NAME OPTIONS...
share() {
    local name=$1 place_words radio_words
    shift
    device_words "$name"
    RUNTIME_DIRECTORY=$run_dir/$name start "$name" "${place_words[@]}" "$SIMHOP" share -v --json "${radio_words[@]}" --name "$name" \
        --state "$dir/$name.state" "$@"
    wait_for "$name" '"phase":"discover"' "$limit"
}
# sync NAME OPTIONS...: reads its code from a pipe that stays open (see type_code).
sync() {
    local name=$1 fd place_words radio_words
    shift
    device_words "$name"
    if [ -z "${code_fd_of[$name]-}" ]; then
        mkfifo "$dir/$name.code" || fail "no pipe"
        exec {fd}<> "$dir/$name.code"
        code_fd_of[$name]=$fd
    fi
    RUNTIME_DIRECTORY=$run_dir/$name input=$dir/$name.code start "$name" "${place_words[@]}" "$SIMHOP" sync -v --json \
        "${radio_words[@]}" --name "$name" \
        --state "$dir/$name.state" --code-fd 0 --dir "$dir/$name.dir" --nm-dir "$dir/$name.nm" "$@"
}
# stands NAME X Y...: where they stand, as in place.
stands() {
    printf '%s %s %s\n' "$@" > "$air/positions.new"
    mv "$air/positions.new" "$air/positions"
}
# walk DEVICE FROM TO SPEED: in the background (wait $!), by the clock; the other one stands at 0.
walk() {
    local device=$1 from to speed
    read -r from to speed < <(awk -v a="$2" -v b="$3" -v v="$4" 'BEGIN { printf "%d %d %d\n", a * 1000, b * 1000, v * 1000 }')
    (
        started_at=$(now_ms)
        way=$((to > from ? to - from : from - to)) gone_mm=0
        while [ "$gone_mm" -lt "$way" ]; do
            x=$((to > from ? from + gone_mm : from - gone_mm))
            place anchor 0 "$device" "$((x / 1000)).$(printf '%03d' $((x % 1000)))"
            sleep 0.1
            gone_mm=$((($(now_ms) - started_at) * speed / 1000))
        done
        place anchor 0 "$device" "$3"
    ) &
    started+=($!)
}
noise() {
    echo "$1" > "$shared_air/noise"
}

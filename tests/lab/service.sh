#!/bin/bash
# SPDX-License-Identifier: GPL-3.0-or-later
# The unit of packaging/systemd in its cage: under a real systemd, which runs in a process namespace of its own.
# limit: 600
# shellcheck source=lib.bash
. "$(dirname "$(realpath "$0")")/lib.bash"
root=$(realpath "$lab_dir/../..")
units=/run/systemd/system
json=/run/simhop/share.json

install_unit() {
    radios_up
    mkdir -p "$units/simhop-share.service.d" /var/lib/simhop
    mountpoint -q /sys/fs/cgroup || mount -t cgroup2 cgroup2 /sys/fs/cgroup
    cp "$root/packaging/sysusers.d/simhop.conf" /usr/lib/sysusers.d/
    cp "$root/packaging/dbus/simhop.conf" /usr/share/dbus-1/system.d/
    systemd-sysusers simhop.conf || fail 'no user simhop'
    dbus-send --system --print-reply --dest=org.freedesktop.DBus / org.freedesktop.DBus.ReloadConfig > /dev/null
    # Where a package puts it: in the cage there are no home folders, which may be where it was built.
    install "$SIMHOP" /usr/bin/simhop
    cp "$root/packaging/systemd/simhop-share.service" "$units/"
    chmod 664 /dev/rfkill # as udev does
    # The daemons of the lab are there already.
    for name in bluetooth wpa_supplicant NetworkManager dbus; do
        ln -sfn /dev/null "$units/$name.service"
    done
    "$SIMHOP" bundle create --from "$data_dir/bundle.json" -o "$dir/lines.bundle" > "$dir/bundle.log" || fail 'no bundle'
    install -o simhop -g simhop -m 600 "$dir/lines.bundle" /var/lib/simhop/lines.bundle
    # Who shows what is said has root's or simhop's rights; it outlives the unit here, to be read.
    cat > "$units/simhop-share.service.d/lab.conf" << END
[Unit]
DefaultDependencies=no
SuccessAction=exit-force
FailureAction=exit-force
[Service]
Restart=no
StandardError=truncate:$logs/unit
RuntimeDirectoryPreserve=yes
END
}
# start_systemd [COMMAND]: with the unit, which runs this command of simhop instead of its own; ends with it.
start_systemd() {
    rm -rf /run/simhop
    if [ -n "${1-}" ]; then
        printf "ExecStart=\nExecStart=/bin/sh -c 'exec /usr/bin/simhop %s > %s'\n" "$1" "$json" >> "$units/simhop-share.service.d/lab.conf"
    fi
    start systemd unshare --pid --fork --kill-child --mount --mount-proc env container=lab \
        /lib/systemd/systemd --system --unit=simhop-share.service --log-target=console --show-status=no
}
unit_says() {
    grep -qE -- "$1" "$json" 2> /dev/null
}
finds_ok() {
    for name; do
        unit_says "\"check\":\"$name\",\"result\":\"ok\"" || fail "$name: $(grep "\"check\":\"$name\"" "$json" | sed 's/.*"result"/"result"/')"
    done
}

nothing_is_missing_in_the_cage() {
    install_unit
    start_systemd "doctor --json --state /var/lib/simhop --dir /var/lib/simhop --adapter hci0 --wifi wlan0"
    exits systemd 0 200
    unit_says '"event":"doctor"' || fail 'it did not run'
    finds_ok state bluetooth-kernel bluetooth-switch bus bluetoothd adapter advertising privacy signal wifi wifi-direct \
        wifi-supplicant wifi-rights space random openssl
    unit_says '"check":"bluetooth-switch","result":"ok","text":"2 open"' || fail 'it cannot read the switches'
    [ "$(stat -c '%U %a' "$json")" = 'simhop 600' ] || fail "what it says is for $(stat -c '%U %a' "$json")"
}

a_device_syncs_with_the_unit() {
    local code anchor
    install_unit
    place anchor 0 tablet 0.25
    head -c 6000000 /dev/urandom > "$dir/big"
    install -o simhop -g simhop -m 600 "$dir/big" /var/lib/simhop/big
    start_systemd 'share -v --json --state /var/lib/simhop --bundle /var/lib/simhop/lines.bundle --item big=/var/lib/simhop/big'
    until_true 200 unit_says '"phase":"discover"' || fail "it does not share: $(tail -n 3 "$json")"
    anchor=$(pgrep -x simhop)
    [ "$(ps -o user= -p "$anchor")" = simhop ] || fail "it runs as $(ps -o user= -p "$anchor")"
    told capabilities "$(grep CapEff "/proc/$anchor/status")"
    sync tablet
    wait_for tablet '"event":"code-wanted"' 60
    until_true 10 unit_says '"event":"code"' || fail 'no code'
    code=$(sed -n 's/.*"event":"code".*"code":"\([0-9]*\)".*/\1/p' "$json" | tail -n 1)
    type_line tablet "$code"
    exits tablet 0 120
    says tablet '"event":"done"'
    says tablet '"links":{[^}]*"wifi-direct":[1-9]'
    same "$dir/big" "$dir/tablet.dir/big"
    until_true 10 unit_says '"event":"done"' || fail 'the anchor does not say done'
    ! grep -rq "$code" "$dir/systemd.out" "$dir/systemd.err" || fail 'the code is in the log'
    told 'links' "$(grep -o '"event":"link".*' "$json" | tr '\n' ' ')"
    kill -TERM "$anchor" # as a stop of the unit does
    exits systemd 0 60
    until_true "$limit" [ -z "$(group_interface anchor)" ] || fail 'a group is left over'
    [ "$(ls -A /run/simhop)" = share.json ] || fail "left: $(ls -A /run/simhop)"
}

if [ ! -x /lib/systemd/systemd ]; then
    skip_script 'no systemd here' nothing_is_missing_in_the_cage a_device_syncs_with_the_unit
fi
run_tests nothing_is_missing_in_the_cage a_device_syncs_with_the_unit

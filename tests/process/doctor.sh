#!/bin/bash
# SPDX-License-Identifier: GPL-3.0-or-later
# What doctor says on a machine without radios, in text and in JSON. With radios: tests/lab.
# valgrind
. "$(dirname "$0")/lib.bash"

# doctor OPTIONS...: with folders of the test's own.
doctor() {
    mkdir -p "$dir/nm"
    run "$SIMHOP" doctor --state "$dir/state" --name tablet --dir "$dir" --nm-dir "$dir/nm" "$@"
}
on_air() {
    doctor --radio "sim:$air" "$@"
}
# finds RESULT CHECK [TEXT]: a line of it.
finds() {
    grep -qE "^$1 +$2 +.*${3-}" "$dir/run.out" || fail "no line $1 $2 ${3-}: $(grep -m 1 " $2 " "$dir/run.out")"
}
# without COMMAND...: where there is no Bluetooth and no bus, whatever this machine has.
without() {
    if unshare --user --map-root-user --net true 2> /dev/null; then
        DBUS_SYSTEM_BUS_ADDRESS=unix:path=$dir/no-bus "$@"
    else
        skip_test 'no namespaces can be made here'
    fi
}
bluez() {
    without run unshare --user --map-root-user --net "$SIMHOP" doctor --state "$dir/state" --dir "$dir" "$@"
}

without_bluetooth_it_is_a_problem() {
    bluez
    exits run 8
    finds ok openssl 'OpenSSL 3'
    finds ok random
    finds problem bluetooth-kernel
    grep -A1 '^problem  bluetooth-kernel' "$dir/run.out" | grep -q '(bluetooth.unsupported) Next: ' || fail 'no next step'
    finds problem bus "system bus: No such file"
    says run '^A sync cannot work here yet\.$'
    never_says run '^[a-z]+ +(bluetoothd|adapter|advertising|radio) '
    grep -q '(bluetooth.unsupported)' "$dir/run.err" || fail 'standard error does not say the cause'
    [ ! -e "$dir/state" ] || fail 'it made the state folder'
}

the_same_in_json() {
    bluez --json --radio bluez
    fails run 8 bluetooth.unsupported
    says run '"event":"check",.*"check":"bluetooth-kernel","result":"problem","text":"[^"]+","cause":"bluetooth.unsupported","next":"[^"]+"}'
    says run '"check":"bluetooth-switch","result":"ok"'
    says run '"check":"bus","result":"problem",.*"cause":"env.no-bus"'
    says run '"event":"doctor","t":[0-9.]*,"problems":2,"warnings":[0-9]+}'
}

a_simulated_air_needs_no_bluetooth() {
    on_air
    exits run 0
    finds ok radio 'simulated air'
    never_says run '^[a-z]+ +(bluetooth|bus|adapter)'
    says run '^A sync can work'
    [ -z "$(ls -A "$air")" ] || fail "it left $(ls -A "$air") in the air"
    on_air --json
    exits run 0
    says run '"problems":0'
    says run '"check":"radio","result":"ok","text":"[^"]+","cause":null,"next":null}'
    never_says run '"event":"cause"'
    doctor --radio "sim:$dir/nowhere"
    exits run 8
    grep -q '(env.no-radio)' "$dir/run.err" || fail 'no env.no-radio'
}

a_radio_that_is_none_is_a_usage_error() {
    doctor --radio infrared
    exits run 2
    grep -q 'infrared: bluez or sim:DIR' "$dir/run.err" || fail 'it does not say what it knows'
}

what_is_wrong_with_the_state() {
    mkdir -m 700 "$dir/state"
    printf 'this is no database, but it is longer than one hundred octets, so that SQLite has a header to look at....' > "$dir/state/registry.db"
    on_air
    exits run 8
    says run '\(env.registry\)'
    rm "$dir/state/registry.db"
    chmod 755 "$dir/state"
    on_air
    exits run 8
    finds problem state 'others may look in \(mode 755\)'
    rmdir "$dir/state"
    : > "$dir/state"
    on_air
    exits run 8
}

run_tests without_bluetooth_it_is_a_problem the_same_in_json a_simulated_air_needs_no_bluetooth \
    a_radio_that_is_none_is_a_usage_error what_is_wrong_with_the_state

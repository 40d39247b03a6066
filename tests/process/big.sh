#!/bin/bash
# SPDX-License-Identifier: GPL-3.0-or-later
# An item of 1 GiB: the same on the other side, in the memory that one of 1 MiB takes and what is on its way. Only of a release build is
# the memory worth measuring.
# shellcheck source=lib.bash
. "$(dirname "$0")/lib.bash"

tests=(one_gib)
size_mib=1024
# 48 pieces between the asking and the disk are 3 MiB, the hashes of all are half of one.
more_kib=$((6 * 1024))

! is_sanitized || skip_script 'a sanitized program; its memory is not what a user sees' "${tests[@]}"
[ "$(head -c 2 "$SIMHOP")" != '#!' ] || skip_script 'not the program itself' "${tests[@]}"
[ -x /usr/bin/time ] || skip_script '/usr/bin/time is not installed (package time)' "${tests[@]}"
free_mib=$(df --output=avail -m "$work" | tail -n 1)
[ "$free_mib" -ge $((size_mib * 2 + 512)) ] ||
    skip_script "$free_mib MiB are free in $(dirname "$work"), $((size_mib * 2 + 512)) are needed" "${tests[@]}"

peak_kib() {
    sed -n 's/.*Maximum resident set size (kbytes): //p' "$dir/$1.time"
}

# Each MiB is another one: a file of zeros, with a number in each.
make_file() {
    local i
    truncate -s "${size_mib}M" "$dir/big"
    for ((i = 0; i < size_mib; i++)); do
        printf '%08d' $i
        printf '%1048568s' ''
    done > "$dir/big"
    [ "$(stat -c %s "$dir/big")" = $((size_mib * 1048576)) ] || skip_test 'the file could not be made'
}

# one ITEM [CODE]: to the tablet, measured.
one() {
    # The program ends with time, which ends with this script.
    bound=(setpriv --pdeathsig KILL /usr/bin/time -v -o "$dir/anchor.time" setpriv --pdeathsig KILL)
    share anchor --once --item "$1=$dir/$1"
    bound=(setpriv --pdeathsig KILL /usr/bin/time -v -o "$dir/tablet.time" setpriv --pdeathsig KILL)
    sync tablet
    [ -z "${2-}" ] || type_code tablet anchor
    both_done anchor tablet 180
    same "$dir/$1" "$dir/tablet.dir/$1"
}

# What the two sides say they need, by time's own measure.
one_gib() {
    local name peak
    local -A before=()
    random_file small 1048576
    one small code
    for name in anchor tablet; do
        before[$name]=$(peak_kib $name)
        [ "${before[$name]:-0}" -gt 0 ] || fail "$name was not measured"
    done
    make_file
    one big
    for name in anchor tablet; do
        peak=$(peak_kib $name)
        [ "${peak:-999999}" -lt $((before[$name] + more_kib)) ] || fail "$name: $peak KiB at its peak, ${before[$name]} for 1 MiB"
        echo "$name: $peak KiB at its peak (${before[$name]} for 1 MiB), $(done_number $name seconds) s"
    done
    [ "$(done_number tablet lan)" -gt 1000000000 ] || fail "$(done_number tablet lan) bytes over lan"
    says tablet '"verified":1073741824,"total":1073741824'
    nothing_left tablet
}

run_tests "${tests[@]}"

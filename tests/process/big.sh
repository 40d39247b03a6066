#!/bin/bash
# SPDX-License-Identifier: GPL-3.0-or-later
# An item of 1 GiB: the same on the other side, in constant memory. Only of a release build is the memory worth measuring.
# shellcheck source=lib.bash
. "$(dirname "$0")/lib.bash"

tests=(one_gib)
size_mib=1024
memory_limit_kib=$((16 * 1024))

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

# What the two sides say they need, by time's own measure.
one_gib() {
    local name peak
    make_file
    # The program ends with time, which ends with this script.
    bound=(setpriv --pdeathsig KILL /usr/bin/time -v -o "$dir/anchor.time" setpriv --pdeathsig KILL)
    share anchor --once --item "big=$dir/big"
    bound=(setpriv --pdeathsig KILL /usr/bin/time -v -o "$dir/tablet.time" setpriv --pdeathsig KILL)
    sync tablet
    type_code tablet anchor
    both_done anchor tablet 180
    same "$dir/big" "$dir/tablet.dir/big"
    for name in anchor tablet; do
        peak=$(peak_kib $name)
        [ "${peak:-999999}" -lt $memory_limit_kib ] || fail "$name: $peak KiB at its peak"
        echo "$name: $peak KiB at its peak, $(done_number $name seconds) s"
    done
    [ "$(done_number tablet lan)" -gt 1000000000 ] || fail "$(done_number tablet lan) bytes over lan"
    says tablet '"verified":1073741824,"total":1073741824'
    nothing_left tablet
}

run_tests "${tests[@]}"

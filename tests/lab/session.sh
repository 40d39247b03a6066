#!/bin/bash
# SPDX-License-Identifier: GPL-3.0-or-later
# A sync as people do it, over the real daemons: near, far, walking.
# shellcheck source=lib.bash
. "$(dirname "$(realpath "$0")")/lib.bash"

# links_of NAME: its `done.links`.
links_of() {
    sed -n 's/.*"event":"done".*"links":\({[^}]*}\).*/\1/p' "$dir/$1.out" | tail -n 1
}

both_links_carry_a_file_and_both_ends_hold_the_receipt() {
    radios_up
    place anchor 0 tablet 0.25
    random_file big 8388608
    share anchor --once --item "big=$dir/big"
    sync tablet
    complete tablet anchor 150
    same "$dir/big" "$dir/tablet.dir/big"
    told 'links' "$(links_of tablet)"
    told 'seconds' "$(done_number tablet seconds)"
    says tablet '"links":{[^}]*"ble":[1-9]'
    says tablet '"links":{[^}]*"wifi-direct":[1-9]'
    grep -E '"event":"(phase|link)"' "$dir/tablet.out" | sed 's/^/        /'
}

run_tests both_links_carry_a_file_and_both_ends_hold_the_receipt

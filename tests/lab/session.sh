#!/bin/bash
# SPDX-License-Identifier: GPL-3.0-or-later
# limit: 420
# A sync as people do it, over the real daemons: with both links, after a kill, with the rights of the unit.
# shellcheck source=lib.bash
. "$(dirname "$(realpath "$0")")/lib.bash"

# links_of NAME: its `done.links`.
links_of() {
    sed -n 's/.*"event":"done".*"links":{\([^}]*\)}.*/\1/p' "$dir/$1.out" | tail -n 1 | tr -d '"'
}
# said_at NAME PATTERN: seconds since it started, of the first line like this.
said_at() {
    grep -hE -m 1 -- "$2" "$dir/$1.out" | sed -n 's/.*"t":\([0-9.]*\).*/\1/p'
}

both_links_carry_a_file_and_both_ends_hold_the_receipt() {
    radios_up
    place anchor 0 tablet 0.25
    random_file big 8388608
    share anchor --once --item "big=$dir/big"
    sync tablet
    complete tablet anchor 150
    same "$dir/big" "$dir/tablet.dir/big"
    says tablet '"links":{[^}]*"ble":[1-9]'
    says tablet '"links":{[^}]*"wifi-direct":[1-9]'
    says anchor '"phase":"linked"'
    told 'links' "$(links_of tablet) in $(done_number tablet seconds) s"
    told 'phases' "connect $(said_at tablet '"phase":"connect"') measure $(said_at tablet '"phase":"measure"') confirm \
$(said_at tablet '"phase":"confirm"') transfer $(said_at tablet '"phase":"transfer"') first byte $(said_at tablet \
    '"event":"progress".*"verified":[1-9]') Wi-Fi $(said_at tablet '"link":"wifi-direct","state":"up"')"
    # Linked by now: again without a code.
    random_file more 300000
    share anchor --once --item "more=$dir/more"
    sync tablet
    both_done anchor tablet 60
    never_says tablet '"event":"code-wanted"'
    same "$dir/more" "$dir/tablet.dir/more"
    told 'again, linked' "$(done_number tablet seconds) s"
}

groups() {
    iw dev | awk '/Interface p2p-wlan0-/ { print $2 }' | sort | tr '\n' ' '
}
has_groups() {
    [ "$(groups | wc -w)" = "$1" ]
}
a_group_of_a_killed_anchor_is_swept_and_no_other() {
    local foreign
    radios_up
    place anchor 0 tablet 0.25
    wpa_interface=p2p-dev-wlan0 wpa anchor p2p_group_add freq=2412 > /dev/null
    until_true "$limit" has_groups 1 || fail 'no foreign group'
    foreign=$(groups)
    random_file file 2000000
    share anchor --once --item "file=$dir/file"
    sync tablet
    type_code tablet anchor
    until_true 60 has_groups 2 || fail "no group of ours: $(groups)"
    kill -KILL "${pid_of[anchor]}"
    finish tablet 60
    told 'the tablet then' "exit status $status $(causes_of tablet)"
    [ "$(groups | wc -w)" = 2 ] || told 'left behind' "$(groups)"
    share anchor --once --item "file=$dir/file"
    sync tablet
    complete tablet anchor 90
    [ "$(groups)" = "$foreign" ] || fail "groups afterwards: $(groups), before: $foreign"
    same "$dir/file" "$dir/tablet.dir/file"
    wpa_interface=p2p-dev-wlan0 wpa anchor p2p_group_remove "${foreign% }" > /dev/null
}

# A user of its own, as the unit file has it.
an_anchor_with_the_rights_of_the_unit_file() {
    local unit caps place_words radio_words
    unit=$lab_dir/../../packaging/systemd/simhop-share.service
    [ -f "$unit" ] || skip_test 'no unit file'
    caps=$(sed -n 's/^CapabilityBoundingSet=//p' "$unit" | tr 'A-Z ' 'a-z,' | sed 's/cap_/+/g')
    radios_up
    place anchor 0 tablet 0.25
    random_file file 2000000
    chmod 755 "$work" "$dir"
    mkdir "$dir/anchor.state"
    chown simhop-lab "$dir/anchor.state"
    device_words anchor
    start anchor setpriv --reuid simhop-lab --regid simhop-lab --groups "$(getent group netdev | cut -d: -f3),$(getent group bluetooth | cut -d: -f3)" \
        --inh-caps "-all,$caps" --ambient-caps "-all,$caps" --bounding-set "-all,$caps" --no-new-privs \
        "$SIMHOP" share -v --json "${radio_words[@]}" --name anchor --state "$dir/anchor.state" --once --item "file=$dir/file"
    wait_for anchor '"phase":"discover"' "$limit"
    told 'rights' "$caps, uid $(sed -n 's/^Uid:[^0-9]*\([0-9]*\).*/\1/p' "/proc/${pid_of[anchor]}/status")"
    sync tablet
    complete tablet anchor 120
    says tablet '"links":{[^}]*"wifi-direct":[1-9]'
    told 'links' "$(links_of tablet)"
}

run_tests both_links_carry_a_file_and_both_ends_hold_the_receipt a_group_of_a_killed_anchor_is_swept_and_no_other \
    an_anchor_with_the_rights_of_the_unit_file

#!/bin/bash
# SPDX-License-Identifier: GPL-3.0-or-later
# Whether a linked device can be reached over a network, as `simhop doctor --peer` says it: two devices in network namespaces of
# their own, real firewalls between them. The one that shares is not disturbed by it.
# shellcheck source=lib.bash
. "$(dirname "$0")/lib.bash"

tests=(it_is_reached nothing_is_begun_by_it firewall_drops firewall_drops_a_stale_neighbour firewall_prohibits nobody_listens
    out_of_reach there_is_no_route route_is_stolen full_segments_are_lost full_segments_are_lost_on_the_way_back
    peer_is_stopped one_of_two_addresses a_revoked_device a_strict_anchor
    somebody_else_answers a_secondary_cannot_be_dialled nobody_is_linked no_address_is_known)

# shellcheck source=networks.bash
. "$(dirname "$0")/networks.bash"

in_network() {
    bound=("${plain[@]}" nsenter --target "${holder[$1]}" --net)
}
# Side by side, with a code and a file over the cable.
link_them() {
    random_file first 1000
    place anchor 0 tablet 0.25
    in_network anchor
    share anchor --once --item "first=$dir/first" "$@"
    in_network tablet
    sync tablet
    bound=("${plain[@]}")
    type_code tablet anchor
    both_done anchor tablet
}
share_again() {
    in_network anchor
    share anchor --item "first=$dir/first" "$@"
    bound=("${plain[@]}")
}
# doctor OPTIONS...: the tablet's.
doctor() {
    in_network tablet
    run "$SIMHOP" doctor --peer "$@" --state "$dir/tablet.state"
    bound=("${plain[@]}")
}
# finds RESULT CHECK [TEXT]: a line of it.
finds() {
    grep -qE "^$1 +$2 +.*${3-}" "$dir/run.out" || fail "no line $1 $2 ${3-}: $(grep " $2 " "$dir/run.out")"
}
# reason CAUSE [STATUS]: for this it is not reached, and a next step is there; at the anchor nothing has happened.
reason() {
    local cause=${1//./\\.}
    exits run "${2:-5}"
    finds problem peer 'anchor: .*token until 20.*last seen 20'
    grep -A1 '^problem  peer-address ' "$dir/run.out" | grep -q "($cause) Next: ." || fail "no $1: $(tail -n 5 "$dir/run.out")"
    grep -q "^simhop: .*($cause)" "$dir/run.err" || fail "standard error does not say $1"
    undisturbed
}
undisturbed() {
    never_says anchor '"event":"(cause|done|code)"|"phase":"(approach|connect|measure|confirm|enrol|link|transfer)"'
    is_alive "${pid_of[anchor]}" || fail 'the anchor ended'
}

it_is_reached() {
    cable
    link_them
    share_again
    doctor
    exits run 0
    finds ok lan 't0 10\.9\.0\.2'
    finds ok peer 'anchor: reached over a network; token until 20.*, last seen 20'
    finds ok peer-address '10\.9\.0\.1 port [0-9]+: it is that device.* ms, also with full segments'
    says run '^It can be reached over a network\.$'
    undisturbed
    doctor anchor --json
    exits run 0
    says run '"event":"check",.*"check":"peer","result":"ok".*"cause":null,"next":null,"peer":"anchor","token_until":[0-9]+,"last_seen":[0-9]+}'
    says run '"check":"peer-address","result":"ok".*"peer":"anchor","address":"10\.9\.0\.1","port":[0-9]+,"rtt_ms":[0-9]+}'
    says run '"event":"doctor","t":[0-9.]*,"problems":0,"warnings":0}'
    undisturbed
}

# The one that is awaited with --once is still awaited, and gets what it wants.
nothing_is_begun_by_it() {
    cable
    link_them
    rm "$dir/tablet.dir/first"
    share_again --once
    doctor
    exits run 0
    doctor
    exits run 0
    undisturbed
    in_network tablet
    sync tablet
    bound=("${plain[@]}")
    both_done anchor tablet
    same "$dir/first" "$dir/tablet.dir/first"
}

firewall_drops() {
    cable
    link_them
    share_again
    firewall anchor input 'meta l4proto tcp drop'
    doctor
    reason link.firewall-drop
}

# As it is a minute after a sync: the kernel does not ask for a neighbour of whom it knew so lately.
firewall_drops_a_stale_neighbour() {
    cable
    link_them
    share_again
    firewall anchor input 'meta l4proto tcp drop'
    on tablet ip neigh change 10.9.0.1 nud stale dev t0 || skip_test 'no neighbours here'
    doctor
    reason link.firewall-drop
}

firewall_prohibits() {
    cable
    link_them
    share_again
    firewall anchor input 'meta l4proto tcp reject with icmp type admin-prohibited'
    doctor
    reason link.firewall-reject
}

nobody_listens() {
    cable
    link_them
    doctor
    exits run 5
    grep -A1 '^problem  peer-address ' "$dir/run.out" | grep -q '(link.refused) Next: Start `simhop share` on that device' ||
        fail "not refused: $(cat "$dir/run.out")"
}

out_of_reach() {
    cable
    link_them
    share_again
    on anchor ip link set a0 arp off
    on tablet ip neigh flush dev t0
    doctor
    reason link.out-of-reach
}

there_is_no_route() {
    cable
    link_them
    share_again
    on tablet ip address flush dev t0
    doctor
    reason link.unreachable
}

route_is_stolen() {
    cable
    link_them
    share_again
    machine vpn
    ip link add name v0 netns "${holder[vpn]}" type veth peer name vpn0 netns "${holder[tablet]}" || skip_test 'no veth here'
    on vpn ip link set v0 up
    on tablet ip address add 10.8.0.2/24 dev vpn0
    on tablet ip link set vpn0 up
    on tablet ip route add default dev vpn0 table 77 && on tablet ip rule add to 10.9.0.0/24 lookup 77 pref 10 ||
        skip_test 'no rules for routes here'
    doctor
    reason link.route-stolen
}

full_segments_are_lost() {
    cable
    link_them
    share_again
    firewall anchor input 'meta length gt 1000 drop'
    firewall tablet input 'meta length gt 1000 drop'
    doctor
    reason link.mtu
    finds problem peer-address 'answers to segments of 536 octets, not to full ones'
}

# All that is sent is acknowledged, as by a device that hangs; small segments tell the one from the other.
full_segments_are_lost_on_the_way_back() {
    cable
    link_them
    share_again
    firewall tablet input 'meta length gt 1000 drop'
    doctor
    reason link.mtu
    finds problem peer-address 'answers to segments of 536 octets, not to full ones'
}

peer_is_stopped() {
    cable
    link_them
    share_again
    kill -STOP "${pid_of[anchor]}"
    doctor
    kill -CONT "${pid_of[anchor]}"
    reason link.peer-hung
}

# One way is enough; the other is a warning.
one_of_two_addresses() {
    cable
    on anchor ip address add 10.9.1.1/24 dev a0
    on tablet ip address add 10.9.1.2/24 dev t0
    link_them
    share_again
    firewall anchor input 'ip daddr 10.9.1.1 meta l4proto tcp drop'
    doctor
    exits run 0
    finds ok peer 'anchor: reached'
    finds ok peer-address '10\.9\.0\.1 port'
    finds warning peer-address '10\.9\.1\.1 port'
    says run '\(link\.firewall-drop\) Next: '
    undisturbed
}

a_revoked_device() {
    cable
    link_them
    run "$SIMHOP" devices revoke tablet --state "$dir/anchor.state"
    share_again
    doctor
    reason linked.revoked 10
}

# It is reached, whatever it then wants.
a_strict_anchor() {
    cable
    link_them
    share_again --proximity strict
    doctor
    exits run 0
    finds ok peer 'anchor: reached'
    finds warning peer-address 'it is that device, by its certificate; it says: '
    says run '\(near\.demanded\) Next: '
    undisturbed
}

somebody_else_answers() {
    cable
    link_them
    mkdir -m 0700 "$dir/other.state"
    cp "$dir/anchor.state/lan-port" "$dir/other.state/lan-port"
    in_network anchor
    share other --item "first=$dir/first"
    bound=("${plain[@]}")
    doctor
    exits run 4
    says run '\(tls\.bad-certificate\) Next: '
    never_says other '"event":"cause"|"phase":"enrol"'
}

a_secondary_cannot_be_dialled() {
    cable
    link_them
    in_network anchor
    run "$SIMHOP" doctor --peer --state "$dir/anchor.state"
    bound=("${plain[@]}")
    exits run 5
    finds problem peer 'tablet: cannot be dialled'
    says run '\(link\.only-dials\) Next: Run `simhop share` here and `simhop doctor --peer` on that device'
}

nobody_is_linked() {
    run "$SIMHOP" doctor --peer --state "$dir/tablet.state"
    exits run 10
    finds problem peer 'no device is linked'
    says run '\(linked\.unknown\) Next: Link them with a code'
    [ ! -e "$dir/tablet.state" ] || fail 'it made the state folder'
    cable
    link_them
    doctor nobody
    exits run 10
    finds problem peer 'nobody: no linked device has this name'
    run "$SIMHOP" doctor anchor --state "$dir/tablet.state"
    exits run 2
    run "$SIMHOP" doctor --peer --wifi none --state "$dir/tablet.state"
    exits run 5
    says run '\(link\.none\)'
}

no_address_is_known() {
    cable
    link_them --links ble
    doctor
    exits run 5
    finds problem peer 'anchor: no address of it is known'
    says run '\(link\.no-address\) Next: '
}

run_tests "${tests[@]}"

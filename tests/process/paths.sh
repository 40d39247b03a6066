#!/bin/bash
# SPDX-License-Identifier: GPL-3.0-or-later
# What is in the way of a link, by name: the two devices stand in network namespaces of their own with a cable between them, and
# real firewalls, routes and stopped programs do to it what they do elsewhere. Bluetooth, which is simulated, goes on meanwhile.
# shellcheck source=lib.bash
. "$(dirname "$0")/lib.bash"

tests=(firewall_drops new_is_dropped_both_ways own_firewall_drops firewall_resets new_is_reset_both_ways firewall_prohibits
    new_is_prohibited_both_ways the_anchor_drops_what_is_new the_anchor_resets_what_is_new the_anchor_prohibits_what_is_new
    the_anchor_calls_with_smaller_segments no_lan_no_calls out_of_reach route_is_stolen
    segments_are_made_smaller no_segment_is_small_enough peer_is_stopped peer_is_killed firewall_and_a_lost_radio lan_comes_later
    lan_is_withdrawn)
verdict_s=25

# shellcheck source=networks.bash
. "$(dirname "$0")/networks.bash"

anchor_options=() tablet_options=()
# begin [SIZE [AIR LINE...]]: an anchor, a tablet and a code that is typed. Bluetooth is slow: it shall not be done before the
# verdict is here.
begin() {
    random_file file "${1:-3000000}"
    shift
    air_is 'ble_rate 30000' "$@"
    bound=("${plain[@]}" nsenter --target "${holder[anchor]}" --net)
    share anchor ${once---once} --item "file=$dir/file" ${anchor_options[@]+"${anchor_options[@]}"}
    bound=("${plain[@]}" nsenter --target "${holder[tablet]}" --net)
    sync tablet ${tablet_options[@]+"${tablet_options[@]}"}
    bound=("${plain[@]}")
    type_code tablet anchor
}
# time_of NAME PATTERN: seconds, as it says them.
time_of() {
    grep -E -m 1 -- "$2" "$dir/$1.out" | sed 's/.*"t":\([0-9.]*\).*/\1/'
}
# verdict CAUSE: it is the one that is given on lan, in time, and the anchor hears of it; meanwhile bytes come in.
verdict() {
    local cause=${1//./\\.} from to
    wait_for tablet '"event":"link".*"link":"lan","state":"failed"' || return
    says tablet '"event":"link".*"link":"lan","state":"failed".*"cause":"'"$cause"'"'
    from=$(time_of tablet '"phase":"transfer"')
    to=$(time_of tablet '"link":"lan","state":"failed"')
    awk "BEGIN { exit !($to - $from <= $verdict_s) }" || fail "the verdict took from $from to $to s"
    wait_for anchor '"event":"link".*"link":"lan","state":"failed".*"cause":"'"$cause"'"'
    wait_for tablet '"event":"progress".*"link":"ble"'
    is_alive "${pid_of[tablet]}" || fail 'it did not go on over ble'
}

# What other machines begin, as firewalls of laptops tell it from the answers to what the laptop began itself.
new='tcp flags & (syn | ack) == syn'
# comes_back: begins; the file comes over lan, for which the anchor called; the door is closed then.
comes_back() {
    anchor_options=(-v) tablet_options=(-v)
    begin 3000000 'lan_rate 1000000'
    wait_for tablet '"event":"link".*"link":"lan","state":"up"' || return
    [ -z "$(on tablet ss -Hltn)" ] || fail "the tablet still listens: $(on tablet ss -Hltn)"
    both_done anchor tablet
    same "$dir/file" "$dir/tablet.dir/file"
    never_says tablet '"link":"lan","state":"failed"'
    says anchor '"event":"link".*"link":"lan","state":"up"'
    [ "$(done_number tablet lan)" -ge 2000000 ] || fail "$(done_number tablet lan) bytes over lan"
    [ "$(done_number anchor lan)" -ge "$(done_number tablet lan)" ] || fail "$(done_number anchor lan) bytes over lan, says the anchor"
    grep -q 'a link of kind 2 is up: the anchor called' "$dir/tablet.err" || fail 'the tablet does not say who called'
    grep -q 'a link of kind 2 is up: we called' "$dir/anchor.err" || fail 'the anchor does not say who called'
}

# ---- Tests -------------------------------------------------------------------------------------

firewall_drops() {
    cable
    firewall anchor input 'meta l4proto tcp drop'
    begin
    verdict link.firewall-drop
}

# As between two laptops: neither can call the other.
new_is_dropped_both_ways() {
    cable
    firewall anchor input "$new drop"
    firewall tablet input "$new drop"
    begin
    verdict link.firewall-drop
}

own_firewall_drops() {
    cable
    firewall tablet output 'meta l4proto tcp drop'
    begin
    verdict link.firewall-drop
}

firewall_resets() {
    cable
    firewall anchor input 'meta l4proto tcp reject with tcp reset'
    begin
    verdict link.firewall-reject
}

new_is_reset_both_ways() {
    cable
    firewall anchor input "$new reject with tcp reset"
    firewall tablet input "$new reject with tcp reset"
    begin
    verdict link.firewall-reject
}

firewall_prohibits() {
    cable
    firewall anchor input 'meta l4proto tcp reject with icmp type admin-prohibited'
    begin
    verdict link.firewall-reject
}

new_is_prohibited_both_ways() {
    cable
    firewall anchor input "$new reject with icmp type admin-prohibited"
    firewall tablet input "$new reject with icmp type admin-prohibited"
    begin
    verdict link.firewall-reject
}

the_anchor_drops_what_is_new() {
    cable
    firewall anchor input "$new drop"
    comes_back
}

the_anchor_resets_what_is_new() {
    cable
    firewall anchor input "$new reject with tcp reset"
    comes_back
}

the_anchor_prohibits_what_is_new() {
    cable
    firewall anchor input "$new reject with icmp type admin-prohibited"
    comes_back
}

# And nothing above 1000 octets passes: the anchor calls again, twice, with smaller segments.
the_anchor_calls_with_smaller_segments() {
    cable
    firewall anchor input "$new drop"
    firewall anchor input 'meta length gt 1000 drop'
    firewall tablet input 'meta length gt 1000 drop'
    comes_back
}

# Nothing listens on the tablet for an anchor that does not call.
no_lan_no_calls() {
    cable
    anchor_options=(-v --links ble) tablet_options=(-v)
    begin 300000
    both_done anchor tablet
    ! grep -q 'we listen' "$dir/tablet.err" || fail 'the tablet listens'
    never_says tablet '"link":"lan"'
}

# A guest network that keeps its devices apart: nobody answers for the address.
out_of_reach() {
    cable
    on anchor ip link set a0 arp off
    begin
    verdict link.out-of-reach
}

route_is_stolen() {
    cable
    machine vpn
    ip link add name v0 netns "${holder[vpn]}" type veth peer name vpn0 netns "${holder[tablet]}" || skip_test 'no veth here'
    on vpn ip link set v0 up
    on tablet ip address add 10.8.0.2/24 dev vpn0
    on tablet ip link set vpn0 up
    on tablet ip route add default dev vpn0 table 77 && on tablet ip rule add to 10.9.0.0/24 lookup 77 pref 10 ||
        skip_test 'no rules for routes here'
    begin
    verdict link.route-stolen
}

# Nothing above 1000 octets passes and nobody says so: after the second try with smaller segments all goes over it.
segments_are_made_smaller() {
    cable
    firewall anchor input 'meta length gt 1000 drop'
    firewall tablet input 'meta length gt 1000 drop'
    begin
    both_done anchor tablet
    same "$dir/file" "$dir/tablet.dir/file"
    says tablet '"event":"link".*"link":"lan","state":"up"'
    never_says tablet '"link":"lan","state":"failed"'
    [ "$(done_number tablet lan)" -ge 2000000 ] || fail "$(done_number tablet lan) bytes over lan"
}

no_segment_is_small_enough() {
    cable
    firewall anchor input 'meta length gt 850 drop'
    firewall tablet input 'meta length gt 850 drop'
    begin
    verdict link.mtu
}

# Its kernel acknowledges everything, its program does nothing.
peer_is_stopped() {
    cable
    begin 30000000 'lan_rate 500000'
    wait_for tablet '"event":"progress".*"link":"lan"' || return
    kill -STOP "${pid_of[anchor]}"
    local from=$SECONDS
    fails tablet 5 link.peer-hung
    [ $((SECONDS - from)) -le $verdict_s ] || fail "the verdict took $((SECONDS - from)) s"
    says tablet '"link":"lan","state":"down".*"cause":"link\.peer-hung"'
    kill -CONT "${pid_of[anchor]}"
}

peer_is_killed() {
    cable
    begin 30000000 'lan_rate 500000'
    wait_for tablet '"event":"progress".*"link":"lan"' || return
    kill -KILL "${pid_of[anchor]}"
    exits tablet 5 $verdict_s
    says tablet '"link":"lan","state":"down".*"cause":"link\.peer-gone"'
}

# Behind a firewall all comes by Bluetooth; where that breaks it is looked for again, as without one.
firewall_and_a_lost_radio() {
    cable
    firewall anchor input 'meta l4proto tcp drop'
    once=
    begin 1000000
    wait_for tablet '"event":"link".*"link":"lan","state":"failed".*"cause":"link.firewall-drop"' || return
    wait_for tablet '"event":"progress".*"verified":[1-9]' || return
    faults 'cut ble'
    wait_for tablet '"event":"note".*The links are gone. Looking for the other device again' || return
    rm "$air/faults" "$air/air"
    exits tablet 0
    same "$dir/file" "$dir/tablet.dir/file"
    [ "$(done_number tablet resumed)" -ge 65536 ] || fail 'all of it was sent again'
}

# Both have no network at first; then one device gets its address, and a while later the other.
lan_comes_later() {
    cable
    on anchor ip address flush dev a0
    on tablet ip address flush dev t0
    begin
    wait_for tablet '"event":"link".*"link":"lan","state":"failed"' || return # loopback was offered
    on anchor ip address add 10.9.0.1/24 dev a0
    wait_for tablet '"event":"link".*"link":"lan","state":"failed"' "$patience" 2 || return # there is no route
    on tablet ip address add 10.9.0.2/24 dev t0
    both_done anchor tablet
    same "$dir/file" "$dir/tablet.dir/file"
    [ "$(done_number tablet lan)" -ge 1000000 ] || fail "$(done_number tablet lan) bytes over lan"
}

# The tablet's calls get no answer when the anchor loses its network: it says so by Bluetooth, and nobody calls there any longer.
lan_is_withdrawn() {
    cable
    firewall anchor input 'meta l4proto tcp drop'
    begin
    wait_for tablet '"phase":"transfer"' || return
    on anchor ip link set a0 down && on anchor ip link set lo down
    verdict link.not-listening
}

run_tests "${tests[@]}"

# SPDX-License-Identifier: GPL-3.0-or-later
# shellcheck shell=bash
# shellcheck disable=SC2154 # of lib.bash and the script
# Two devices in network namespaces of their own with a cable between them, and real firewalls. To be sourced after lib.bash, with the
# names of the tests in $tests; where it cannot be had, all of them are skipped.

# own_networks: starts the script again as root of a network of its own; false where that is not allowed.
own_networks() {
    local way
    [ -z "${SIMHOP_TESTS_NETWORKS-}" ] || return 0
    for way in 'unshare --net' 'unshare --user --map-root-user --net'; do
        # shellcheck disable=SC2086 # words
        if $way unshare --net ip link set lo up 2> /dev/null; then
            rm -rf "$work"
            SIMHOP_TESTS_NETWORKS=own exec $way "$0"
        fi
    done
    return 1
}

command -v ip > /dev/null || skip_script 'no ip here' "${tests[@]}"
own_networks || skip_script 'network namespaces are not allowed here' "${tests[@]}"
nft list ruleset > /dev/null 2>&1 || skip_script 'no nft here, or the kernel has none' "${tests[@]}"

plain=("${bound[@]}")
declare -A holder=()

# machine NAME: an empty network that lives as long as the test.
machine() {
    "${plain[@]}" unshare --net sleep 1000 &
    holder[$1]=$!
    started+=($!)
    until [ "$(readlink "/proc/${holder[$1]}/ns/net")" != "$(readlink /proc/self/ns/net)" ]; do
        sleep 0.02
    done
    on "$1" ip link set lo up
}
# on NAME COMMAND...: there.
on() {
    nsenter --target "${holder[$1]}" --net "${@:2}"
}
cable() {
    machine anchor
    machine tablet
    # No frames larger than the cable's: what is cut up only behind the firewall would be measured there as a whole.
    ip link add name a0 netns "${holder[anchor]}" gso_max_segs 1 type veth peer name t0 netns "${holder[tablet]}" gso_max_segs 1 &&
        on anchor ip address add 10.9.0.1/24 dev a0 &&
        on tablet ip address add 10.9.0.2/24 dev t0 &&
        on anchor ip link set a0 up &&
        on tablet ip link set t0 up || skip_test 'no veth here'
}
# firewall NAME HOOK RULE...: has this one rule.
firewall() {
    on "$1" nft "table inet f { chain c { type filter hook $2 priority 0; ${*:3}; }; }" || skip_test "this kernel has no rule ${*:3}"
}

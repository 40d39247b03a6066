#!/bin/bash
# SPDX-License-Identifier: GPL-3.0-or-later
# Links that break, go silent, lose or delay in the middle: the transfer goes on over the other one, or ends with its cause
# and goes on with the next sync.
# shellcheck source=lib.bash
. "$(dirname "$0")/lib.bash"

# begin SIZE [AIR LINE...]: an anchor, a tablet and a code that is typed.
begin() {
    random_file file "$1"
    shift
    [ $# = 0 ] || air_is "$@"
    share anchor --once --item "file=$dir/file"
    sync tablet
    type_code tablet anchor
}
arrives() {
    both_done anchor tablet
    same "$dir/file" "$dir/tablet.dir/file"
    nothing_left tablet
}
and_again() {
    rm -f "$air/faults" "$air/air"
    share anchor --once --item "file=$dir/file"
    sync tablet
    complete tablet anchor
    same "$dir/file" "$dir/tablet.dir/file"
    nothing_left tablet
}
ends_with() {
    exits tablet "$1"
    says tablet "\"event\":\"cause\".*\"cause\":\"($2)\""
    exits anchor "${3:-$1}"
}

ble_is_cut_after_a_while() {
    faults 'cut ble after 100000'
    begin 3000000 'lan_rate 500000'
    arrives
    says tablet '"event":"link".*"link":"ble","state":"down"'
    [ "$(done_number tablet lan)" -ge 2500000 ] || fail "$(done_number tablet lan) bytes over lan"
}

lan_goes_silent_after_a_while() {
    faults 'blackhole lan after 400000'
    begin 3000000 'lan_rate 300000' 'ble_rate 300000'
    arrives
    says tablet '"event":"link".*"link":"lan","state":"(down|failed)"'
    says tablet '"cause":"link\.(stalled|timeout)"'
    [ "$(done_number tablet ble)" -ge 500000 ] || fail "$(done_number tablet ble) bytes over ble"
}

lan_is_cut_after_a_while() {
    faults 'cut lan after 400000'
    begin 1500000 'lan_rate 300000' 'ble_rate 300000'
    arrives
    says tablet '"event":"link".*"link":"lan","state":"down"'
}

lan_is_not_there() {
    faults 'cut lan'
    begin 200000
    arrives
    never_says tablet '"event":"link".*"link":"lan","state":"up"'
    [ "$(done_number tablet ble)" = 200000 ] || fail "not all over ble"
}

lan_never_answers() {
    faults 'blackhole lan'
    begin 300000
    arrives
    [ "$(done_number tablet ble)" = 300000 ] || fail "not all over ble"
}

ble_goes_silent_in_the_transfer() {
    begin 3000000 'lan_rate 500000'
    wait_for tablet '"event":"progress".*"link":"lan"'
    faults 'blackhole ble'
    arrives
    [ "$(done_number tablet lan)" -ge 2000000 ] || fail "$(done_number tablet lan) bytes over lan"
}

both_are_slow_and_late() {
    faults 'delay ble 150' 'delay lan 200'
    begin 300000
    arrives
}

both_are_cut() {
    begin 3000000 'lan_rate 500000'
    wait_for tablet '"event":"progress"' "$patience" 3
    faults 'cut ble' 'cut lan' 'drop connect 100'
    ends_with 5 'transfer\.stalled|connect\.lost|link\.none'
    [ ! -e "$dir/tablet.dir/file" ] || fail "half a file under the final name"
    and_again
    [ "$(done_number tablet resumed)" -ge 65536 ] || fail "all of it was sent again"
    never_says tablet '"event":"code-wanted"'
}

both_go_silent() {
    begin 3000000 'lan_rate 500000'
    wait_for tablet '"event":"progress"' "$patience" 3
    faults 'blackhole ble' 'blackhole lan'
    ends_with 5 'transfer\.stalled|connect\.lost|link\.[a-z]*'
    and_again
    [ "$(done_number tablet resumed)" -ge 65536 ] || fail "all of it was sent again"
}

ble_goes_silent_while_it_is_measured() {
    random_file file 1000
    air_is 'sample 1000' # nothing is decided before it is silent
    share anchor --once --item "file=$dir/file"
    sync tablet
    wait_for tablet '"phase":"measure"'
    faults 'blackhole ble'
    # One side finds that the measurement does not end, the other one that nobody is there any more.
    finish tablet
    finish anchor
    [[ ${waited[tablet]},${waited[anchor]} == [35],[35] ]] || fail "exit status ${waited[tablet]} and ${waited[anchor]}"
    says tablet '"cause":"(near\.timeout|connect\.(lost|timeout))"'
    says anchor '"cause":"(near\.timeout|connect\.(lost|timeout))"'
    never_says anchor '"event":"code"'
    and_again
}

ble_goes_silent_while_a_code_is_wanted() {
    random_file file 1000
    share anchor --once --item "file=$dir/file"
    sync tablet
    wait_for tablet '"event":"code-wanted"'
    faults 'blackhole ble'
    sleep 0.3
    type_line tablet "$(shown_code anchor)"
    ends_with 5 'connect\.(lost|timeout)'
    and_again
}

# lost MESSAGE STATUS CAUSE ANCHOR'S-STATUS: one message of the pairing never arrives.
lost() {
    faults "drop message:$1 100"
    random_file file 1000
    share anchor --once --item "file=$dir/file"
    sync tablet
    if [ "$1" != proximity ]; then
        type_code tablet anchor
    fi
    ends_with "$2" "$3" "$4"
    [ ! -e "$dir/tablet.dir/file" ] || fail "it arrived all the same"
    and_again
}

# Who never greeted was nobody: the same anchor waits for the next one.
message_hello_is_lost() {
    faults 'drop message:hello 100'
    random_file file 1000
    share anchor --once --item "file=$dir/file"
    sync tablet
    exits tablet 5
    says tablet '"cause":"connect\.(lost|timeout)"'
    never_says anchor '"event":"cause"'
    rm "$air/faults"
    sync tablet
    complete tablet anchor
    same "$dir/file" "$dir/tablet.dir/file"
}
# The other one does not wait for the end of a connection that says nothing: it connects again.
a_lost_hello_is_said_again() {
    faults 'drop message:hello 100'
    random_file file 1000
    share anchor --once --item "file=$dir/file"
    sync tablet
    wait_for tablet '"event":"note".*"text":"The other device does not answer. Connecting again' 20 || return
    rm "$air/faults"
    type_code tablet anchor
    both_done anchor tablet
    same "$dir/file" "$dir/tablet.dir/file"
    never_says anchor '"event":"cause"'
}
# The one that was killed is still waited for, ten seconds; its end is not that of the sync that took its place.
a_killed_sync_comes_back_to_an_anchor_with_once() {
    random_file file 3000000
    air_is 'ble_rate 150000'
    share anchor --once --links ble --item "file=$dir/file"
    sync tablet --links ble
    type_code tablet anchor
    wait_for tablet '"event":"progress".*"verified":[1-9]' || return
    kill -KILL "${pid_of[tablet]}"
    wait "${pid_of[tablet]}"
    sync tablet --links ble
    both_done anchor tablet
    same "$dir/file" "$dir/tablet.dir/file"
}
# Neither a script that reads no more nor a person who stopped the terminal holds the devices up.
nobody_reads_the_output() {
    random_file file 300000
    place anchor 0 tablet 0.2
    share anchor --once --item "file=$dir/file"
    mkfifo "$dir/silent" "$dir/tablet.code"
    exec {silent}<> "$dir/silent"
    head -c 65536 /dev/zero >&"$silent" # as much as a pipe holds
    exec {code}<> "$dir/tablet.code"
    input=$dir/tablet.code start tablet bash -c 'exec "$@" > "$0"' "$dir/silent" "$SIMHOP" sync --json --radio "sim:$air" \
        --name tablet --state "$dir/tablet.state" --code-fd 0 --dir "$dir/tablet.dir"
    wait_for anchor '"event":"code"' && shown_code anchor >&"$code"
    exits tablet 0
    exits anchor 0
    same "$dir/file" "$dir/tablet.dir/file"
}

message_proximity_is_lost() { lost proximity 3 'near\.timeout' 3; }
message_pake_share_v_is_lost() { lost pake-share-v 5 'connect\.(lost|timeout)' 5; }
message_pake_done_is_lost() { lost pake-done 5 'connect\.(lost|timeout)' 5; }

nobody_can_connect() {
    faults 'drop connect 100'
    random_file file 1000
    share anchor --item "file=$dir/file"
    sync tablet
    exits tablet 5
    says tablet '"cause":"connect\.(failed|timeout)"'
    rm "$air/faults"
    sync tablet
    type_code tablet anchor
    exits tablet 0
}

nobody_is_heard() {
    faults 'drop advert 100'
    random_file file 1000
    share anchor --once --item "file=$dir/file"
    sync tablet
    sleep 2
    never_says tablet '"phase":"approach"'
    rm "$air/faults"
    type_code tablet anchor
    arrives
}

# verified NAME first|last: octets, as it says them.
verified() {
    grep '"event":"progress"' "$dir/$1.out" | sed 's/.*"verified":\([0-9]*\).*/\1/' | if [ "$2" = first ]; then head -n 1; else tail -n 1; fi
}
large_file() {
    local free_mib
    free_mib=$(df --output=avail -m "$dir" | tail -n 1)
    [ "$free_mib" -ge 2000 ] || skip_test "$free_mib MiB are free, 2000 are needed"
    truncate -s 800M "$dir/file"
}

# Without a network it would take hours: said with how many once it was measured, and what came till then is kept.
too_large_for_bluetooth() {
    local kept
    large_file
    air_is 'ble_rate 60000'
    faults 'cut lan'
    share anchor --once --item "file=$dir/file"
    sync tablet
    type_code tablet anchor
    fails tablet 5 link.too-large-for-bluetooth
    says tablet '"detail":"79[0-9] MiB are left, about [3-6] hours at [3-7][0-9] kB a second"'
    exits anchor 5
    kept=$(verified tablet last)
    [ "${kept:-0}" -ge 200000 ] || fail "only ${kept:-0} octets were verified before"
    rm "$air/faults"
    share anchor --once --item "file=$dir/file"
    sync tablet
    wait_for tablet '"event":"progress"' || return
    [ "$(verified tablet first)" -ge "$kept" ] || fail "begun anew: $(verified tablet first) octets, not $kept"
}

# Where no other link may be used nothing has to be waited for.
too_large_for_bluetooth_alone() {
    large_file
    share anchor --once --item "file=$dir/file"
    sync tablet --links ble
    type_code tablet anchor
    fails tablet 5 link.too-large-for-bluetooth
    says tablet '"detail":"(79[0-9]|800) MiB are left, about 2 hours at 100 kB a second"'
    exits anchor 5
}

run_tests nobody_reads_the_output both_go_silent both_are_cut ble_is_cut_after_a_while lan_goes_silent_after_a_while lan_is_cut_after_a_while \
    lan_is_not_there lan_never_answers ble_goes_silent_in_the_transfer both_are_slow_and_late ble_goes_silent_while_it_is_measured \
    ble_goes_silent_while_a_code_is_wanted \
    message_hello_is_lost a_lost_hello_is_said_again a_killed_sync_comes_back_to_an_anchor_with_once message_proximity_is_lost message_pake_share_v_is_lost message_pake_done_is_lost nobody_can_connect \
    nobody_is_heard \
    too_large_for_bluetooth too_large_for_bluetooth_alone

#!/bin/bash
# SPDX-License-Identifier: GPL-3.0-or-later
# Linked devices that share a network go on over it, however far apart they are; and who is not to come that way.
# shellcheck source=lib.bash
. "$(dirname "$0")/lib.bash"

tests=(from_afar too_slow_to_begin a_large_item_may_take_its_time the_anchor_comes_late bluetooth_hears_nobody the_port_stays
    a_killed_anchor_is_found_again the_deadline_comes_before_it_is_found the_deadline_comes_in_a_trial a_lost_radio_is_found_again
    a_killed_sync_goes_on a_strict_anchor a_strict_secondary_does_not_try a_revoked_device a_revoked_device_hears_it_late
    somebody_else_answers nobody_answers)

# A port of the test's own, above those that the kernel gives to whoever asks for none: the tests are on one network, and an anchor that
# is away for a while finds its own one free.
own_port() {
    local i
    for i in "${!tests[@]}"; do
        [ "${tests[i]}" != "${dir##*/}" ] || echo $((61001 + i))
    done
}
# Side by side, with a code and a first file; then far apart, so that no radio helps.
link_them() {
    random_file first 1000
    mkdir -m 0700 "$dir/anchor.state"
    own_port > "$dir/anchor.state/lan-port"
    place anchor 0 tablet 0.25
    share anchor --once --item "first=$dir/first"
    sync tablet
    type_code tablet anchor
    both_done anchor tablet
    place anchor 0 tablet 50
    rm "$dir/tablet.dir/first"
}
port_of() {
    cat "$dir/$1.state/lan-port"
}
# phases_of NAME: in their order, each once.
phases_of() {
    sed -n 's/.*"event":"phase".*"phase":"\([a-z]*\)".*/\1/p' "$dir/$1.out" | uniq | tr '\n' ' '
}
# It came over the network, and what was not said is that somebody was near.
came_directly() {
    same "$dir/$1" "$dir/tablet.dir/$1"
    never_says tablet '"event":"code-wanted"|"event":"proximity"|"phase":"(approach|measure|confirm)"|"link":"ble"'
    never_says anchor '"event":"code"|"event":"proximity"|"phase":"(measure|confirm)"|"link":"ble"'
}

from_afar() {
    link_them
    random_file file 3000000
    share anchor --once --item "file=$dir/file"
    sync tablet
    both_done anchor tablet
    came_directly file
    # Where the machine is too slow for the first round there is another one.
    [[ $(phases_of tablet) =~ ^'discover '('connect enrol discover ')*'connect enrol link transfer install linked '$ ]] || fail "phases: $(phases_of tablet)"
    [[ $(phases_of anchor) =~ ^'discover '('enrol link transfer ')+'linked '$ ]] || fail "the anchor's phases: $(phases_of anchor)"
    says tablet '"event":"phase".*"phase":"connect".*"peer":"anchor"'
    says tablet '"event":"note".*anchor answers on this network'
    [ "$(done_number tablet lan)" = 3000000 ] || fail "$(done_number tablet lan) bytes over lan"
    nothing_left tablet
    # Once more: there is nothing to be sent.
    share anchor --once --item "file=$dir/file"
    sync tablet --anchor anchor
    both_done anchor tablet
    came_directly file
    [ "$(done_number tablet resumed)" = 3000000 ] || fail "$(done_number tablet resumed) bytes were here"
}

# The way over the network is taken and then too slow. Whoever shares once hears seconds later that it was given up, and is still there
# when the other comes by radio.
too_slow_to_begin() {
    local i
    link_them
    random_file file 100000
    for ((i = 0; i < 5; i++)); do
        faults 'delay lan 300'
        share anchor --once --item "file=$dir/file"
        sync tablet
        wait_for tablet '"phase":"enrol"' || return
        kill -STOP "${pid_of[anchor]}"
        wait_for tablet '"link":"lan","state":"failed"|"phase":"link"' || return
        grep -q '"phase":"link"' "$dir/tablet.out" || break
        # What the anchor answered was on its way already: it is begun anew.
        kill -KILL "${pid_of[anchor]}" "${pid_of[tablet]}"
        wait "${pid_of[anchor]}" "${pid_of[tablet]}" 2> /dev/null
    done
    # Until what the tablet says at its end has left it; a later round would be too slow.
    sleep 1
    faults 'delay lan 1600'
    kill -CONT "${pid_of[anchor]}"
    sleep 3
    place anchor 0 tablet 0.25
    both_done anchor tablet
    same "$dir/file" "$dir/tablet.dir/file"
    says tablet '"phase":"measure"'
    never_says anchor '"event":"cause"'
}

# What would take hours over Bluetooth may take minutes over a network: nobody gives it up when no other link comes.
a_large_item_may_take_its_time() {
    local free_mib
    free_mib=$(df --output=avail -m "$dir" | tail -n 1)
    [ "$free_mib" -ge 2000 ] || skip_test "$free_mib MiB are free, 2000 are needed"
    link_them
    truncate -s 800M "$dir/file"
    air_is 'lan_rate 1000000'
    share anchor --once --item "file=$dir/file"
    sync tablet
    wait_for tablet '"event":"(progress|cause)","t":2[2-9][.]'
    never_says tablet '"event":"cause"'
}

# The secondary is first; nobody has to start it again.
the_anchor_comes_late() {
    link_them
    random_file file 1000
    sync tablet
    wait_for tablet '"event":"link".*"link":"lan","state":"failed"'
    sleep 2
    share anchor --once --item "file=$dir/file"
    both_done anchor tablet
    came_directly file
    [ "$(grep -c '"state":"failed"' "$dir/tablet.out")" = 1 ] || fail "it says again and again that nobody is there"
}

bluetooth_hears_nobody() {
    link_them
    place anchor 0 tablet 0.25
    faults 'drop advert 100'
    random_file file 100000
    share anchor --once --item "file=$dir/file"
    sync tablet
    both_done anchor tablet
    came_directly file
}

# Also where a connection from before still lingers at it; and where it is taken, another one serves.
the_port_stays() {
    local port
    link_them
    port=$(port_of anchor)
    [ "$port" = "$(own_port)" ] || fail "the port is $port, not what was kept"
    random_file file 3000000
    air_is 'lan_rate 500000'
    share anchor --item "file=$dir/file"
    [ "$(port_of anchor)" = "$port" ] || fail "the port was $port and is $(port_of anchor)"
    sync tablet
    wait_for tablet '"event":"progress".*"verified":[1-9]' || return
    kill -KILL "${pid_of[anchor]}"
    wait "${pid_of[anchor]}" 2> /dev/null
    # It looks for the other one for a while, then says what was wrong.
    exits tablet 5
    says tablet '"event":"note".*The links are gone. Looking for the other device again'
    rm "$air/air"
    share anchor --once --item "file=$dir/file"
    [ "$(port_of anchor)" = "$port" ] || fail "after a kill the port was $port and is $(port_of anchor)"
    sync tablet
    both_done anchor tablet
    came_directly file
    [ $(($(done_number tablet resumed) + $(done_number tablet lan))) = 3000000 ] ||
        fail "$(done_number tablet resumed) bytes were here, $(done_number tablet lan) came"
    [ "$(done_number tablet resumed)" -ge 65536 ] || fail "all of it was sent again"
    mkdir -m 0700 "$dir/other.state"
    printf '%s\n' "$port" > "$dir/other.state/lan-port"
    share other --item "file=$dir/file"
    share anchor --item "file=$dir/file"
    [ "$(port_of anchor)" != "$port" ] || fail "two listen at one port"
    [ "$(port_of other)" = "$port" ] || fail "the other one listens at $(port_of other)"
}

# Nobody starts the sync again.
a_killed_anchor_is_found_again() {
    link_them
    random_file file 3000000
    air_is 'lan_rate 500000'
    share anchor --item "file=$dir/file"
    sync tablet
    wait_for tablet '"event":"progress".*"verified":[1-9]' || return
    kill -KILL "${pid_of[anchor]}"
    wait "${pid_of[anchor]}" 2> /dev/null
    rm "$air/air"
    share anchor --once --item "file=$dir/file"
    both_done anchor tablet
    came_directly file
    says tablet '"event":"note".*The links are gone. Looking for the other device again'
    [ $(($(done_number tablet resumed) + $(done_number tablet lan))) = 3000000 ] ||
        fail "$(done_number tablet resumed) bytes were here, $(done_number tablet lan) came"
    [ "$(done_number tablet resumed)" -ge 65536 ] || fail "all of it was sent again"
}

# What the person gave is over before it is found: that is what is said, not that nobody was there.
the_deadline_comes_before_it_is_found() {
    link_them
    random_file file 3000000
    air_is 'lan_rate 300000'
    share anchor --item "file=$dir/file"
    sync tablet --deadline 14
    wait_for tablet '"event":"progress".*"verified":[1-9]' || return
    kill -KILL "${pid_of[anchor]}"
    wait "${pid_of[anchor]}" 2> /dev/null
    wait_for tablet '"event":"note".*The links are gone. Looking for the other device again' || return
    fails tablet 9 session.deadline
    says tablet '"cause":"session.deadline".*"detail":""'
}

# The same by radio alone, in the sync that linked them: the code is asked for once.
a_lost_radio_is_found_again() {
    random_file file 1500000
    air_is 'ble_rate 150000'
    place anchor 0 tablet 0.25
    share anchor --links ble --item "file=$dir/file"
    sync tablet --links ble --pair
    type_code tablet anchor
    wait_for tablet '"event":"progress".*"verified":[1-9]' || return
    faults 'cut ble'
    wait_for tablet '"event":"note".*The links are gone. Looking for the other device again' || return
    rm "$air/faults" "$air/air"
    exits tablet 0
    same "$dir/file" "$dir/tablet.dir/file"
    [ "$(grep -c '"event":"code-wanted"' "$dir/tablet.out")" = 1 ] || fail "a code is asked for again"
    [ "$(grep -c '"phase":"measure"' "$dir/tablet.out")" = 2 ] || fail "nearness was not asked for again"
    [ $(($(done_number tablet resumed) + $(done_number tablet ble))) = 1500000 ] ||
        fail "$(done_number tablet resumed) bytes were here, $(done_number tablet ble) came"
}

a_killed_sync_goes_on() {
    link_them
    random_file file 3000000
    air_is 'lan_rate 500000'
    share anchor --item "file=$dir/file"
    sync tablet
    wait_for tablet '"event":"progress".*"verified":[1-9]' || return
    kill -KILL "${pid_of[tablet]}"
    wait "${pid_of[tablet]}" 2> /dev/null
    rm "$air/air"
    sync tablet
    exits tablet 0
    came_directly file
    [ $(($(done_number tablet resumed) + $(done_number tablet lan))) = 3000000 ] ||
        fail "$(done_number tablet resumed) bytes were here, $(done_number tablet lan) came"
    [ "$(done_number tablet resumed)" -ge 65536 ] || fail "all of it was sent again"
}

# not_taken CAUSE: the search goes on, and finds nobody; at the anchor nothing has happened.
not_taken() {
    sync tablet --deadline 12 # so that there is another round if the first one was too slow
    fails tablet 3 near.no-anchor
    says tablet "\"event\":\"link\".*\"link\":\"lan\",\"state\":\"failed\",\"cause\":\"${1//./\\.}\""
    never_says tablet '"phase":"(link|transfer)"'
    is_alive "${pid_of[anchor]}" || fail "the anchor ended"
    never_says anchor '"event":"cause"|"phase":"(enrol|link|transfer)"'
    [ ! -e "$dir/tablet.dir/first" ] || fail "it came all the same"
}
a_strict_anchor() {
    link_them
    share anchor --once --item "first=$dir/first" --proximity strict
    not_taken near.demanded
}
a_strict_secondary_does_not_try() {
    link_them
    share anchor --once --item "first=$dir/first"
    sync tablet --deadline 4 --proximity strict
    fails tablet 3 near.no-anchor
    never_says tablet '"event":"link"|"phase":"(connect|enrol)"'
    # Nor one that wants to be linked anew, or that may not use the network.
    sync tablet --deadline 4 --pair
    fails tablet 3 near.no-anchor
    never_says tablet '"event":"link"|"phase":"(connect|enrol)"'
    sync tablet --deadline 4 --links ble
    fails tablet 3 near.no-anchor
    never_says tablet '"event":"link"|"phase":"(connect|enrol)"'
    never_says anchor '"event":"cause"|"phase":"enrol"'
}
a_revoked_device() {
    link_them
    run "$SIMHOP" devices revoke tablet --state "$dir/anchor.state"
    [ "$status" = 0 ] || fail "not revoked: $(cat "$dir/run.err")"
    share anchor --once --item "first=$dir/first"
    not_taken linked.revoked
}

# Time is up while the anchor that answered has not taken us: that does not hang on the moment.
the_deadline_comes_in_a_trial() {
    link_them
    faults 'delay lan 400'
    share anchor --once --item "first=$dir/first"
    sync tablet --deadline 1
    fails tablet 3 near.no-anchor
    is_alive "${pid_of[anchor]}" || fail "the anchor ended"
}

# Nobody answers at first; what the anchor says when it does is heard all the same.
a_revoked_device_hears_it_late() {
    link_them
    run "$SIMHOP" devices revoke tablet --state "$dir/anchor.state"
    faults 'blackhole lan'
    share anchor --once --item "first=$dir/first"
    sync tablet
    wait_for tablet '"event":"link".*"link":"lan","state":"failed","cause":"link.timeout"' || return
    rm "$air/faults"
    wait_for tablet '"event":"link".*"link":"lan","state":"failed","cause":"linked.revoked"'
    sleep 4 # a round, and a little
    [ "$(grep -c '"state":"failed"' "$dir/tablet.out")" = 2 ] || fail "it says the same again and again"
}

# At the anchor's place there is another one: the right one is found by the radio.
somebody_else_answers() {
    link_them
    mkdir -m 0700 "$dir/other.state"
    port_of anchor > "$dir/other.state/lan-port"
    place anchor 0 tablet 50 other 100
    share other --item "first=$dir/first"
    share anchor --once --item "first=$dir/first"
    sync tablet
    wait_for tablet '"event":"link".*"link":"lan","state":"failed","cause":"tls\.bad-certificate"'
    place anchor 0 tablet 0.25 other 50
    both_done anchor tablet
    same "$dir/first" "$dir/tablet.dir/first"
    says tablet '"phase":"measure"'
    never_says tablet '"event":"code-wanted"'
    never_says other '"phase":"enrol"|"event":"cause"'
}

# Whoever is near waits for no answer that does not come.
nobody_answers() {
    link_them
    place anchor 0 tablet 0.25
    faults 'blackhole lan'
    share anchor --once --item "first=$dir/first"
    sync tablet
    both_done anchor tablet
    same "$dir/first" "$dir/tablet.dir/first"
    says tablet '"event":"link".*"link":"lan","state":"failed","cause":"link\.timeout"'
    says tablet '"phase":"measure"'
}

run_tests "${tests[@]}"

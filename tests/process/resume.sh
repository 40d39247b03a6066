#!/bin/bash
# SPDX-License-Identifier: GPL-3.0-or-later
# Transfers that were cut off: `simhop resume` lists them with what is kept, goes on with one without a code, gives one up.
# shellcheck source=lib.bash
. "$(dirname "$0")/lib.bash"

size=2000000

# cut_off [SIGNAL]: a tablet that was killed in the middle of a file; the anchor goes on sharing.
cut_off() {
    random_file file "$size"
    air_is 'ble_rate 60000'
    share anchor --links ble --item "file=$dir/file"
    sync tablet --links ble
    type_code tablet anchor
    wait_for tablet '"event":"progress".*"verified":[1-9][0-9]{5}' || return
    kill "-${1:-KILL}" "${pid_of[tablet]}"
    wait "${pid_of[tablet]}" 2> /dev/null
}
# resume NAME OPTION...: in the background, like a sync.
resume() {
    local name=$1
    shift
    start "$name" "$SIMHOP" resume --json --radio "sim:$air" --name tablet --state "$dir/tablet.state" --nm-dir "$dir/tablet.nm" \
        --links ble "$@"
}
# list: $dir/list.out, which has a line for each.
list() {
    start list "$SIMHOP" resume --json --state "$dir/tablet.state"
    exits list 0
}
lists() {
    list
    says list "\"event\":\"transfers\".*\"count\":$1}"
    [ "$(grep -c '"event":"transfer",' "$dir/list.out")" = "$1" ] || fail "not $1 in the list: $(cat "$dir/list.out")"
}
# listed KEY: a value of the first line of the list.
listed() {
    sed -n 's/.*"event":"transfer",.*"'"$1"'":"\{0,1\}\([^",}]*\).*/\1/p' "$dir/list.out" | head -n 1
}
# kept: something, and not all, is verified.
kept() {
    local verified
    verified=$(listed verified)
    [ "$(listed state)" = kept ] || fail "it is $(listed state)"
    [ "$verified" -gt 0 ] && [ "$verified" -lt "$size" ] || fail "$verified of $size verified"
}
no_pieces() {
    [ ! -e "$dir/tablet.dir/.simhop" ] || fail "pieces are left: $(ls -A "$dir/tablet.dir/.simhop")"
}

killed_is_listed_and_goes_on() {
    cut_off
    lists 1
    kept
    [ "$(listed item) $(listed size) $(listed anchor)" = "file $size anchor" ] || fail "says $(cat "$dir/list.out")"
    [ "$(listed dir)" = "$(realpath "$dir/tablet.dir")" ] || fail "into $(listed dir)"
    rm "$air/air"
    resume again "$(listed id)"
    exits again 0
    never_says again '"event":"code-wanted"'
    same "$dir/file" "$dir/tablet.dir/file"
    [ "$(done_number again resumed)" -ge "$(listed verified)" ] || fail "what was kept was sent again"
    lists 0
    no_pieces
}

# By the first digits of the id, from another folder than the sync's; a person reads the list.
by_the_start_of_the_id() {
    cut_off
    list
    run "$SIMHOP" resume --state "$dir/tablet.state"
    [ "$status" = 0 ] || fail "exit status $status"
    grep -qE "^$(listed id | cut -c 1-8)  file: [0-9.]+ of 1\.9 MiB verified \([1-9][0-9]? %\)  from anchor  begun (just now|[0-9]+ minutes? ago)  into " \
        "$dir/run.out" || fail "says $(cat "$dir/run.out")"
    rm "$air/air"
    cd /
    resume again "$(listed id | cut -c 1-4)"
    exits again 0
    same "$dir/file" "$dir/tablet.dir/file"
    lists 0
}

# What a plain sync completes leaves the list too.
a_sync_completes_it() {
    cut_off
    lists 1
    rm "$air/air"
    sync tablet
    exits tablet 0
    never_says tablet '"event":"code-wanted"'
    same "$dir/file" "$dir/tablet.dir/file"
    lists 0
}

dropped() {
    cut_off
    lists 1
    kept
    start drop "$SIMHOP" resume --json --state "$dir/tablet.state" --drop "$(listed id)"
    exits drop 0
    says drop "\"event\":\"transfer\".*\"state\":\"dropped\".*\"verified\":$(listed verified),"
    lists 0
    no_pieces
    [ ! -e "$dir/tablet.dir/file" ] || fail "a file is there"
    rm "$air/air"
    sync tablet # and the device is linked as before
    exits tablet 0
    never_says tablet '"event":"code-wanted"'
    [ "$(done_number tablet resumed)" = 0 ] || fail "something was kept all the same"
}

# While it arrives nothing can be dropped.
busy() {
    random_file file "$size"
    air_is 'ble_rate 60000'
    share anchor --links ble --once --item "file=$dir/file"
    sync tablet --links ble
    type_code tablet anchor
    wait_for tablet '"event":"progress".*"verified":[1-9][0-9]{5}' || return
    start drop "$SIMHOP" resume --json --state "$dir/tablet.state" --drop file
    fails drop 8 store.busy
    lists 1
    rm "$air/air"
    both_done anchor tablet
    same "$dir/file" "$dir/tablet.dir/file"
}

interrupted_says_what_is_kept() {
    cut_off INT
    says tablet '"event":"note".*"text":"[0-9.]+ of 1\.9 MiB of 1 file is verified and kept\. .simhop sync., or .simhop resume.,.*--drop'
    tail -n 1 "$dir/tablet.out" | grep -q '"cause":"session.interrupted"' || fail "the cause is not the last thing said"
    lists 1
    kept
}

pieces_that_are_gone() {
    cut_off
    list
    rm -r "$dir/tablet.dir/.simhop"
    lists 1
    [ "$(listed state),$(listed verified)" = gone,0 ] || fail "says $(cat "$dir/list.out")"
    run "$SIMHOP" resume --state "$dir/tablet.state"
    grep -q 'file: its pieces are gone' "$dir/run.out" || fail "says $(cat "$dir/run.out")"
    lists 1 # telling takes nothing away
    run "$SIMHOP" resume --state "$dir/tablet.state" --drop file
    [ "$status" = 0 ] || fail "exit status $status"
    lists 0
}

# The file is another one now, of the same name: that one is fetched, and what was kept of the old one is told of.
changed_meanwhile() {
    cut_off
    list
    local id
    id=$(listed id)
    kill -TERM "${pid_of[anchor]}"
    wait "${pid_of[anchor]}"
    rm "$air/air"
    random_file file "$size"
    share anchor --links ble --item "file=$dir/file"
    resume again "$id"
    exits again 0
    same "$dir/file" "$dir/tablet.dir/file"
    says again '"event":"note".*"text":"The other device does not share this file any more'
    lists 1
    [ "$(listed id)" = "$id" ] || fail "another one is listed"
    kept
}

not_shared_any_more() {
    cut_off
    list
    kill -TERM "${pid_of[anchor]}"
    wait "${pid_of[anchor]}"
    rm "$air/air"
    random_file other 1000
    share anchor --links ble --item "other=$dir/other"
    resume again "$(listed id)"
    fails again 6 transfer.not-offered
    same "$dir/other" "$dir/tablet.dir/other"
    lists 1
    kept
}

wrong_words() {
    lists 0
    run "$SIMHOP" resume --state "$dir/tablet.state"
    grep -qx 'No transfer was cut off.' "$dir/run.out" || fail "says $(cat "$dir/run.out")"
    for words in nobody 0123abcd '--drop 0123abcd' --drop 'one two' '0123abcd --pair'; do
        # shellcheck disable=SC2086 # words
        run "$SIMHOP" resume --state "$dir/tablet.state" $words
        [ "$status" = 2 ] || fail "$words: exit status $status"
        grep -q '(usage\.bad-option)' "$dir/run.err" || fail "$words: says $(cat "$dir/run.err")"
    done
    run "$SIMHOP" resume --state "$dir/tablet.state" 0123abcd
    grep -q '0123abcd: no transfer of this name or id was cut off' "$dir/run.err" || fail "says $(cat "$dir/run.err")"
}

# Whoever revoked the other device has to link it again.
revoked() {
    cut_off
    list
    run "$SIMHOP" devices revoke anchor --state "$dir/tablet.state"
    resume again "$(listed id)"
    fails again 10 linked.unknown
    lists 1
    kept
}

run_tests killed_is_listed_and_goes_on by_the_start_of_the_id a_sync_completes_it dropped busy interrupted_says_what_is_kept \
    pieces_that_are_gone changed_meanwhile not_shared_any_more wrong_words revoked

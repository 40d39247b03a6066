#!/bin/bash
# SPDX-License-Identifier: GPL-3.0-or-later
# SIGKILL at any instant, over each link, to either side: nothing that was verified is lost or sent twice, and in the end all is equal.
# What was sent again is counted where the anchor lived to tell what it sent.
# SIMHOP_KILLS: how many (60 with a release program, 12 sanitized); SIMHOP_KILLS_SEED: another course of events.
# shellcheck source=lib.bash
. "$(dirname "$0")/lib.bash"

kills=${SIMHOP_KILLS:-$(is_sanitized && echo 12 || echo 60)}
seed=${SIMHOP_KILLS_SEED:-1}
patience=120
leaf=65536
declare -A size_of=([ble]=500000 [lan]=6000000 [lan,ble]=4000000)
declare -A window_of=([ble]=2 [lan]=48 [lan,ble]=50) # leaves that are asked for at once: the most that a kill may cost

# after SECONDS_MAX: some time.
nap() {
    sleep "$(awk -v r=$RANDOM -v m="$1" 'BEGIN { printf "%.3f", m * r / 32768 }')"
}
begin_anchor() {
    share anchor -v --links "$1" --bundle "$dir/lines.bundle" --item "$name=$dir/$name"
}
begin_tablet() {
    sync tablet --links "$1"
}
# The octets of items that the anchor's sessions sent, by its own account.
sent_by() {
    sed -n 's/.*session: \([0-9]*\) octets of items were sent.*/\1/p' "$dir/$1.err" | awk '{ s += $1 } END { print s + 0 }'
}
# octets_of KEY: of the tablet's `done`; a link that carried nothing is not in it.
octets_of() {
    local n
    n=$(done_number tablet "$1")
    echo "${n:-0}"
}
last_progress() {
    sed -n 's/.*"event":"progress".*"item":"'"$name"'".*"verified":\([0-9]*\).*/\1/p' "$dir/tablet.out" | tail -n 1
}

is_done() {
    grep -q '"event":"done"' "$dir/tablet.out"
}
# What a tablet told as verified must be there for the next one.
told=0
note_progress() {
    local progress
    progress=$(last_progress)
    [ "${progress:-0}" -le "$told" ] || told=$progress
}
# A tablet whose anchor was killed says so and ends, unless it was still looking for one.
revive_tablet() {
    is_alive "${pid_of[tablet]}" && return
    is_done && return
    finish tablet
    note_progress
    begin_tablet "$1"
}

# Half of the kills hit the transfer, the others anything from the start on.
await_instant() {
    local i
    if [ $((RANDOM % 2)) = 0 ]; then
        nap 4
        return
    fi
    for ((i = 0; i < 400; i++)); do
        revive_tablet "$1"
        grep -qE '"event":"(progress|done)"' "$dir/tablet.out" && break
        sleep 0.05
    done
    nap 1.5
}

# strike SIDE LINKS: false if it is through already.
killed=0
strike() {
    is_done && return 1
    revive_tablet "$2"
    kill -KILL "${pid_of[$1]}"
    wait "${pid_of[$1]}" 2> /dev/null
    killed=$((killed + 1))
    [ "$1" = anchor ] || note_progress
    "begin_$1" "$2"
}

# one_item SIDE LINKS KILLS: a file arrives in spite of so many kills.
one_item() {
    local side=$1 links=$2 want=$3 i sent=0 total until=$((SECONDS + patience))
    size=${size_of[$links]}
    told=0
    random_file "$name" "$size"
    begin_anchor "$links"
    begin_tablet "$links"
    for ((i = 0; i < want; i++)); do
        await_instant "$links"
        strike "$side" "$links" || break
    done
    until is_done || [ "$SECONDS" -gt "$until" ]; do
        revive_tablet "$links"
        sleep 0.1
    done
    exits tablet 0
    same "$dir/$name" "$dir/tablet.dir/$name"
    total=$(($(octets_of resumed) + $(octets_of lan) + $(octets_of ble)))
    [ "$(octets_of resumed)" -ge "$told" ] || fail "$told octets were verified, $(octets_of resumed) were there later"
    [ "$total" -ge "$size" ] && [ "$total" -le $((size + 65536)) ] || fail "$total octets for $size and a bundle"
    kill -TERM "${pid_of[anchor]}"
    dones=$((want + 1)) finish anchor # a tablet may be killed between its receipt and its last word
    nothing_left tablet
    [ "$side" = tablet ] || return
    sent=$(sent_by anchor)
    resent=$((resent + (sent > size ? sent - size : 0)))
}

# kills_of SIDE LINKS: its share of them.
kills_of() {
    local side=$1 links=$2 share=$(((kills + 5) / 6)) items=0 resent=0 bound
    RANDOM=$((seed * 100 + ${#side} * 10 + ${#links}))
    run "$SIMHOP" bundle create --from "$data_dir/bundle.json" --state "$dir/anchor.state" -o "$dir/lines.bundle"
    air_is 'lan_rate 2500000' 'ble_rate 150000'
    place anchor 0 tablet 0.1
    name=first
    random_file first 1000
    share anchor --item "first=$dir/first"
    sync tablet
    type_code tablet anchor
    exits tablet 0
    kill -TERM "${pid_of[anchor]}"
    exits anchor 0
    while [ "$killed" -lt "$share" ] && [ -z "$why" ]; do
        items=$((items + 1))
        name=file$items
        one_item "$side" "$links" $((1 + RANDOM % 4 < share - killed ? 1 + RANDOM % 4 : share - killed))
    done
    bound=$(((killed + items) * ${window_of[$links]} * leaf + items * 65536))
    if [ "$side" = tablet ]; then
        echo "seen $killed kills of the tablet over $links, $items files: $resent octets were sent again, at most $bound were allowed"
        [ "$resent" -le "$bound" ] || fail "$resent octets were sent again"
    else
        echo "seen $killed kills of the anchor over $links, $items files"
    fi
}

names_of_tests=()
for links in ble lan lan,ble; do
    for side in tablet anchor; do
        eval "${side}_over_${links/,/_and_}() { kills_of $side $links; }"
        names_of_tests+=("${side}_over_${links/,/_and_}")
    done
done
run_tests "${names_of_tests[@]}"

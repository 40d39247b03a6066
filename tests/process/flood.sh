#!/bin/bash
# SPDX-License-Identifier: GPL-3.0-or-later
# Connections that say nothing, by the thousand, and a peer that says an octet a second: the anchor stays as it is, and an honest
# device gets what it came for, while it lasts and afterwards.
# shellcheck source=lib.bash
. "$(dirname "$0")/lib.bash"

tests=(silent_connections silent_connections_that_greet silent_connections_fill_it lan_connections an_octet_a_second an_octet_a_second_beside_a_sync
    silence_is_not_the_one_device)
flood=$work/flood
compiler=$(command -v "${CC:-cc}" gcc clang | head -n 1)
[ -n "$compiler" ] || skip_script 'no C compiler for the helper' "${tests[@]}"
"$compiler" -std=c17 -D_GNU_SOURCE -O1 -o "$flood" "$tests_dir/flood.c" || {
    echo "not ok flood.c: does not compile"
    exit 1
}

memory_kib() {
    sed -n 's/^VmRSS:[[:space:]]*\([0-9]*\) kB/\1/p' "/proc/${pid_of[anchor]}/status"
}
open_files() {
    find "/proc/${pid_of[anchor]}/fd" -mindepth 1 2> /dev/null | wc -l
}

# begin: an anchor that has served one device, so that what it allocates once is allocated.
begin() {
    random_file file 200000
    share anchor --item "file=$dir/file"
    honest tablet
    memory_before=$(memory_kib)
    files_before=$(open_files)
}

honest() {
    sync "$1"
    type_code "$1" anchor "${2:-1}"
    exits "$1" 0
    same "$dir/file" "$dir/$1.dir/file"
}

# Sanitizers keep what was freed for a while.
end() {
    local grown limit=2048 i
    ! is_sanitized || limit=400000
    sleep 5
    for ((i = 0; i < 250 && $(open_files) > files_before + 1; i++)); do
        sleep 0.1
    done
    is_alive "${pid_of[anchor]}" || fail "the anchor ended"
    grown=$(($(memory_kib) - memory_before))
    [ "$grown" -le "$limit" ] || fail "the anchor grew by $grown KiB"
    [ "$(open_files)" -le $((files_before + 1)) ] || fail "$(open_files) open files, not $files_before"
    never_says anchor '"event":"cause"'
    kill -TERM "${pid_of[anchor]}"
    dones=3 exits anchor 0
    [ ! -s "$dir/anchor.err" ] || fail "it said $(wc -l < "$dir/anchor.err") lines on standard error"
    nothing_left
}

silent_connections() {
    begin
    start flood "$flood" silent "$air" anchor 2000 100
    sync watch
    type_code watch anchor 1
    finish flood
    [ "$status" = 0 ] || fail "the flood ended with $status: $(cat "$dir/flood.err")"
    exits watch 0
    honest laptop
    end
}

# Half of what the anchor takes hangs on it all the time, while an honest device comes.
silent_connections_that_greet() {
    begin
    start flood "$flood" greeted "$air" anchor 2000 16
    finish flood
    [ "$status" = 0 ] || fail "the flood ended with $status: $(cat "$dir/flood.err")"
    start flood "$flood" greeted "$air" anchor 300 16
    honest watch
    honest laptop
    end
}

# More than the anchor takes hang on it and all say nothing: the oldest make room for who comes to greet.
silent_connections_fill_it() {
    begin
    start flood "$flood" hold "$air" anchor 50 50
    wait_for flood '^50$'
    honest watch
    end_processes "${pid_of[flood]}"
    honest laptop
    end
}

lan_port() {
    ss -Hltnp 2> /dev/null | sed -n "s/.*:\([0-9]*\) .*pid=${pid_of[anchor]},.*/\1/p" | head -n 1
}

# lan_flood PORT COUNT: the latest hundred are held. A connection that finds the listener's queue full waits a second, hence the
# pauses.
lan_flood() {
    local port=$1 i fd place fds=()
    for ((i = 0; i < $2; i++)); do
        place=$((i % 100))
        if [ -n "${fds[$place]-}" ]; then
            fd=${fds[$place]}
            exec {fd}>&-
        fi
        exec {fd}<> "/dev/tcp/127.0.0.1/$port" || return 1
        fds[place]=$fd
        ((i % 50 < 49)) || sleep 0.01
    done
}

lan_connections() {
    local port
    begin
    port=$(lan_port)
    [ -n "$port" ] || skip_test 'ss does not say on which port the anchor listens'
    lan_flood "$port" 10000 2> "$dir/lan_flood.err" &
    local pid=$!
    started+=("$pid")
    honest watch
    wait "$pid" || fail "the flood failed: $(head -n 1 "$dir/lan_flood.err")"
    honest laptop
    end
}

# The deadline for the greeting is ten seconds; the slow one would go on for two minutes.
an_octet_a_second() {
    begin
    start slow "$flood" slow "$air" anchor
    finish slow
    [ "$status" = 0 ] || fail "the slow one ended with $status"
    [ "$(cut -d. -f1 "$dir/slow.out")" -le 30 ] || fail "dropped after $(cat "$dir/slow.out") s"
    [ "$(cut -d. -f1 "$dir/slow.out")" -ge 1 ] || fail "dropped at once"
    honest watch
    end
}

an_octet_a_second_beside_a_sync() {
    local i
    begin
    for ((i = 0; i < 12; i++)); do
        start "slow$i" "$flood" slow "$air" anchor
    done
    honest watch
    for ((i = 0; i < 12; i++)); do
        finish "slow$i"
    done
    end
}

# share --once waits for a device, not for a connection.
silence_is_not_the_one_device() {
    random_file file 200000
    share anchor --once --item "file=$dir/file"
    start flood "$flood" greeted "$air" anchor 40 16
    finish flood
    start slow "$flood" slow "$air" anchor
    sleep 2
    kill -KILL "${pid_of[slow]}"
    wait "${pid_of[slow]}" 2> /dev/null
    sleep 1
    is_alive "${pid_of[anchor]}" || fail "the anchor ended: $(causes_of anchor)"
    honest tablet
    exits anchor 0
    never_says anchor '"event":"cause"'
}

run_tests "${tests[@]}"

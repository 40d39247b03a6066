#!/bin/bash
# SPDX-License-Identifier: GPL-3.0-or-later
# scripts/bench, the quick way: it measures, tells it as a table and as JSON, and leaves nothing behind. How fast anything is
# is not looked at.
# shellcheck source=lib.bash
. "$(dirname "$0")/lib.bash"

tests=(quick ended)
bench=$(dirname "$(dirname "$tests_dir")")/scripts/bench
command -v python3 > /dev/null || skip_script 'python3 is not installed' "${tests[@]}"

# begin_bench [OPTION...]
begin_bench() {
    start bench env TMPDIR="$dir" "$bench" --quick --peers nc --dir "$dir" --out "$dir/out" --simhop "$SIMHOP" "$@"
}

still_running() {
    grep -las "$dir/[s]imhop-bench" /proc/[0-9]*/cmdline | tr '\n' ' '
}

# What is killed with its namespace is gone soon.
left_behind() {
    local left i
    for ((i = 0; i < 200; i++)); do
        [ -n "$(still_running)" ] || break
        sleep 0.1
    done
    left=$(find "$dir" -maxdepth 1 -name 'simhop-bench.*' -printf '%f ')
    [ -z "$left" ] || fail "left behind: $left"
    left=$(still_running)
    [ -z "$left" ] || fail "still running: $left"
}

# runs FILE: "peer size" of each transfer in it that came to its end with the time that it took.
runs() {
    python3 - "$1" << 'END'
import json, sys
for run in json.load(open(sys.argv[1]))['runs']:
    if run['status'] == 0 and not run.get('failed') and run['seconds'] > run.get('link_to_done_s', 0) > -1:
        print(run['peer'], run['size'])
END
}

# many FILE: "secondaries, and those of them that got something" of each run.
many() {
    python3 - "$1" << 'END'
import json, sys
for run in json.load(open(sys.argv[1]))['many']:
    if not run.get('failed') and run['octets'] > 0 and run['lost'] == 0:
        print(run['count'], run['served'])
END
}

quick() {
    begin_bench
    finish bench
    [ "$status" != 77 ] || skip_test 'no namespaces can be made here'
    ! grep -q 'nc.openbsd is not installed' "$dir/bench.err" || skip_test 'netcat cannot be had here'
    [ "$status" = 0 ] || fail "exit status $status"
    [ "$(runs "$dir/out/bench.json" | sort)" = $'nc 1048576\nnc 4096\nsimhop 1048576\nsimhop 4096' ] ||
        fail "measured: $(runs "$dir/out/bench.json" | tr '\n' ',')"
    grep -qE '^\| nc \| [0-9.]+ \| [0-9.]+ \|$' "$dir/bench.out" || fail "no row of nc"
    grep -qE '^\| simhop \| [0-9.]+ \| [0-9.]+ \|$' "$dir/bench.out" || fail "no row of simhop"
    [ "$(grep -cE '^\| (4 KiB|1 MiB) \| [0-9.]+ \| [0-9.]+ \| [0-9.]+ \|$' "$dir/bench.out")" = 2 ] ||
        fail "no row of the first piece of each size"
    if [ -x "$(dirname "$SIMHOP")/tests/bench_many" ]; then
        [ "$(many "$dir/out/bench.json")" = $'1 1\n8 8' ] || fail "many at once: $(many "$dir/out/bench.json" | tr '\n' ',')"
        grep -qE '^\| 8 \| [0-9]+ \| [0-9]+ % \|' "$dir/bench.out" || fail "no row of eight at once"
    fi
    cmp -s "$dir/out/bench.md" <(sed '$d' "$dir/bench.out") || fail "the file of tables is not what was printed"
    left_behind
}

# In the middle of everything it is told to end: there are more rounds than any machine is through with before it is seen.
ended() {
    local i runs=false
    begin_bench --rounds 10000
    for ((i = 0; i < 600; i++)); do
        grep -qs '"event":' "$dir"/simhop-bench.*/simhop-tablet.out && runs=true && break
        is_alive "${pid_of[bench]}" || break
        sleep 0.1
    done
    if ! is_alive "${pid_of[bench]}"; then
        finish bench
        [ "$status" != 77 ] || skip_test 'no namespaces can be made here'
        fail "it ended by itself, exit status $status"
    fi
    $runs || fail 'nothing was transferred in a minute'
    kill -TERM "${pid_of[bench]}"
    exits bench 143
    left_behind
}

run_tests "${tests[@]}"

#!/bin/bash
# SPDX-License-Identifier: GPL-3.0-or-later
# Traces, judged by `simhop proximity --replay`.
# shellcheck source=lib.bash
. "$(dirname "$0")/lib.bash"

# replay FILE OPTIONS...
replay() {
    local file=$1
    shift
    input=$file run "$SIMHOP" proximity --replay "$@"
}
# answers PATTERN: the trace was judged, in one line.
answers() {
    [ "$status" = 0 ] || fail "exit status $status: $(head -n 2 "$dir/run.err")"
    [ "$(wc -l < "$dir/run.out")" = 1 ] || fail "not one line: $(head -n 2 "$dir/run.out")"
    grep -qE "^$1\$" "$dir/run.out" || fail "says $(cat "$dir/run.out"), not $1"
}
# refuses LINE WHAT: as a trace that is none, with the number of the line.
refuses() {
    [ "$status" = 2 ] || fail "exit status $status, not 2"
    grep -q '(usage.bad-input)$' "$dir/run.err" || fail "no cause: $(head -n 2 "$dir/run.err")"
    grep -q "line $1: .*$2" "$dir/run.err" || fail "not line $1, $2: $(sed -n 2p "$dir/run.err")"
    [ ! -s "$dir/run.out" ] || fail "says $(cat "$dir/run.out")"
}
# trace SECONDS DBM...: these levels in turn, one every 40 ms.
trace() {
    awk -v end="$1" -v levels="${*:2}" 'BEGIN {
        n = split(levels, level, " ")
        for (i = 0; i * 0.04 <= end; i++)
            printf "%.3f %d L\n", i * 0.04, level[int(i / 9) % n + 1]
    }'
}
header='# tx_power_dbm=nan ref1m_dbm=-60 ref1m_peer_dbm=nan'

near_and_moved() {
    { echo "$header"; trace 4 -52 -57 -62 -55; } > "$dir/t"
    replay "$dir/t"
    answers 'accept 3\.[0-9]{3} [0-9]+\.[0-9]+'
    replay "$dir/t" --json
    answers '.*"event":"replay".*"accept":true.*"moved":true.*"level":"calibrated".*'
}
far() {
    { echo "$header"; trace 4 -70 -75 -71; } > "$dir/t"
    replay "$dir/t"
    answers 'reject [0-9]+\.[0-9]{3} -[0-9]+\.[0-9]+'
    { echo "$header"; trace 4 -100; } > "$dir/t"
    replay "$dir/t"
    answers 'reject 1\.5[0-9]* -[0-9]+\.[0-9]+' # so far away that no time is lost
}
touching() {
    { echo "$header"; trace 4 -45; } > "$dir/t"
    replay "$dir/t"
    answers 'accept 1\.0[0-9]* [0-9]+\.[0-9]+'
}
# The same levels, but nobody has said what they are at one metre.
what_is_not_known_counts() {
    trace 4 -67 -62 -72 -64 > "$dir/levels"
    { echo '# ref1m_dbm=-66'; cat "$dir/levels"; } > "$dir/t"
    replay "$dir/t"
    answers 'accept .*'
    replay "$dir/levels"
    answers 'reject .*'
    { echo '# tx_power_dbm=4'; cat "$dir/levels"; } > "$dir/t"
    replay "$dir/t" --json
    answers '.*"accept":false.*"level":"stated","level_dbm":-54\.0.*'
}
both_sides() {
    { echo '# ref1m_dbm=-60 ref1m_peer_dbm=-60'
      trace 4 -52 -57 -62 -55 | sed 'p;s/ L$/ R/'; } > "$dir/t"
    replay "$dir/t"
    answers 'accept .*'
    # One of them hears the other far too well: a stronger sender, or not the same place.
    { echo '# ref1m_dbm=-60 ref1m_peer_dbm=-60'
      trace 4 -46 -51 -56 -49 | awk '{ print; $2 -= 10; $3 = "R"; print }'; } > "$dir/t"
    replay "$dir/t" --json
    answers '.*"accept":false.*"advice":"come-closer".*'
}
nothing_at_all() {
    : > "$dir/t"
    replay "$dir/t"
    answers 'reject 0\.000 -100\.00'
    echo "$header" > "$dir/t"
    replay "$dir/t"
    answers 'reject 0\.000 -100\.00'
    { echo "$header"; printf '%s\n' '0 127 L' '1 127 L' '2 nan L' '3 -inf L' '4 inf L'; } > "$dir/t"
    replay "$dir/t"
    answers 'reject 0\.000 -100\.00'
    printf '%s\n' '0.5 -40 L' > "$dir/t"
    replay "$dir/t"
    answers 'reject 0\.500 -[0-9.]+'
}
forms_that_are_fine() {
    { echo "$header"; trace 4 -52 -57 -62 -55; } > "$dir/plain"
    replay "$dir/plain"
    cp "$dir/run.out" "$dir/wanted"
    sed 's/$/\r/' "$dir/plain" > "$dir/t"
    replay "$dir/t"
    same "$dir/run.out" "$dir/wanted"
    { echo '# a recording'; echo; sed 's/ /\t  /2;1!s/^/ /' "$dir/plain"; printf '# end'; } > "$dir/t"
    replay "$dir/t"
    same "$dir/run.out" "$dir/wanted"
    # What comes too late or from before does not count.
    { sed -n 1,40p "$dir/plain"; echo '0.1 -90 L'; sed -n '41,$p' "$dir/plain"; } > "$dir/t"
    replay "$dir/t"
    same "$dir/run.out" "$dir/wanted"
}
what_is_no_trace() {
    local line
    while IFS='|' read -r line what; do
        { echo "$header"; echo '0 -50 L'; printf '%b\n' "$line"; } > "$dir/t"
        replay "$dir/t"
        refuses 3 "$what"
    done << 'END'
1 -50|L or R
1 -50 X|L or R
1 -50 L L|L or R
-1 -50 L|time
nan -50 L|time
1e3 -50 L|time
1000000001 -50 L|time
1 -5O L|signal strength
1 -50.5.5 L|signal strength
1 - L|signal strength
1\0 -50 L|time
\0377\0376|L or R
# ref1m_dbm=-50|before the first sample
END
    echo '# ref1m_dbm=strong' > "$dir/t"
    replay "$dir/t"
    refuses 1 'behind the ='
    { echo "$header"; head -c 100000 /dev/zero | tr '\0' '5'; } > "$dir/t"
    replay "$dir/t"
    refuses 2 'too long'
    replay "$dir/t" --json
    says run '"event":"cause".*"usage.bad-input"'
    replay /
    [ "$status" = 8 ] || fail "a folder: exit status $status"
}
# As long as it likes, in no more memory than a short one.
ten_million() {
    local lines=10000000 limit='ulimit -v 100000;'
    if is_sanitized || [ -n "${SIMHOP_VALGRIND-}" ]; then
        lines=300000 limit=
    fi
    start run bash -c "awk 'BEGIN { for (i = 0; i < $lines; i++) print \"0.\" (i % 9) \" -5\" (i % 7) \" L\" }' |
        ($limit '$SIMHOP' proximity --replay)"
    finish run
    answers '(accept|reject) 0\.800 -?[0-9.]+'
}

run_tests near_and_moved far touching what_is_not_known_counts both_sides nothing_at_all forms_that_are_fine \
    what_is_no_trace ten_million

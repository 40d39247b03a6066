# SPDX-License-Identifier: GPL-3.0-or-later
# shellcheck shell=bash
# The matrix of faults: a script sources this, gives rows with `row`, and ends with `run_rows`.
#
#   row FAULT PHASE EXPECTED [always]
#
# A session is brought to PHASE (discover, measure, confirm, ble: the transfer over BLE, wifi: the transfer over Wi-Fi Direct), then
# hurt_FAULT is called (before_FAULT, if there is one, before the session). EXPECTED is a pattern of what the tablet ends with, within
# $within seconds: "done" and what each link carried, or a cause; then what became of links on the way, as "tablet: CAUSE" and
# "anchor: CAUSE". Then heal_FAULT takes back what the fault was, nothing else, and a second sync must bring the file. With
# LAB_MATRIX=all every row is run, else those marked "always", for the time it takes; of each row $logs has what both said.
# shellcheck source=lib.bash
. "$(dirname "$(realpath "${BASH_SOURCE[0]}")")/lib.bash"

within=90
quiet_most= # seconds that the tablet may say nothing in; empty: any
again_size=100000 # of what else the second sync is to bring
second_expected='done' # what it ends with, a pattern as EXPECTED
declare -A size=([discover]=100000 [measure]=100000 [confirm]=400000 [ble]=1000000 [wifi]=3145728)
rows=()

row() {
    local name=${1//-/_}_in_$2
    [ "${LAB_MATRIX-}" = all ] || [ "${4-}" = always ] || [[ " ${SIMHOP_TESTS-} " == *" $name "* ]] || return 0
    eval "$name() { cell $1 $2 '$3'; }"
    rows+=("$name")
}
run_rows() {
    : > "$work/matrix"
    (run_tests "${rows[@]}")
    local failed=$?
    echo "seen matrix: fault | phase | ends with | after s | longest silence s | second sync: s, ends with"
    sed 's/^/seen matrix: /' "$work/matrix"
    exit $failed
}

# type_if_asked: each code once.
type_if_asked() {
    local lines wanted=0 line
    mapfile -t lines < "$dir/tablet.out"
    for line in "${lines[@]}"; do
        [[ $line != *'"event":"code-wanted"'* ]] || wanted=$((wanted + 1))
    done
    if [ "$wanted" -gt "$typed" ] && [ "$(grep -c '"event":"code"' "$dir/anchor.out")" -ge "$wanted" ]; then
        type_line tablet "$(shown_code anchor)"
        typed=$wanted
    fi
}
reach() {
    case $1 in
    discover) wait_for tablet '"phase":"discover"' 30 ;;
    measure) wait_for tablet '"phase":"measure"' 30 ;;
    confirm) wait_for tablet '"event":"code-wanted"' 45 ;;
    ble) type_code tablet anchor && wait_for tablet '"event":"progress".*"verified":[1-9].*"link":"ble"' 30 ;;
    wifi) type_code tablet anchor && wait_for tablet '"event":"progress".*"link":"wifi-direct"' 60 ;;
    esac
}
anchor_starts() {
    share anchor --once --item "file=$dir/file" "$@"
}
# cause_of NAME: what it ended with.
cause_of() {
    sed -n 's/.*"event":"cause".*"cause":"\([^"]*\)".*/\1/p' "$dir/$1.out" | tail -n 1
}
# links_of NAME: why links failed or went down, each reason once.
links_of() {
    sed -n '/"link":"lan"/!s/.*"event":"link",.*"cause":"\([^"]*\)".*/\1/p' "$dir/$1.out" | awk '!seen[$0]++' | paste -sd ' '
}
# silence_of NAME LINES: the longest time between two things that it said after those lines; nearness is no news.
silence_of() {
    tail -n "+$2" "$dir/$1.out" | grep -v '"event":"proximity"' | sed -n 's/.*"t":\([0-9.]*\).*/\1/p' |
        awk 'NR > 1 && $1 - last > most { most = $1 - last } { last = $1 } END { printf "%.1f", most }'
}
# watch_tablet SECONDS: to its end, with codes typed; $ended, $after.
watch_tablet() {
    local until=$((SECONDS + $1)) from
    from=$(now_ms)
    while is_alive "${pid_of[tablet]}" && [ "$SECONDS" -lt "$until" ]; do
        type_if_asked
        pause 0.2
    done
    after=$(seconds_since "$from")
    if is_alive "${pid_of[tablet]}"; then
        ended='no end'
        # One that looks for an anchor has no deadline, but says so every 10 s.
        [ "$(grep -c '"event":"note".*"text":"Nobody is sharing' "$dir/tablet.out")" -lt $(($1 / 20)) ] || ended='looks on'
        kill -TERM "${pid_of[tablet]}"
        wait "${pid_of[tablet]}"
        waited[tablet]=$?
        return
    fi
    finish tablet
    if [ "$status" = 0 ]; then
        ended="done $(sed -n 's/.*"event":"done".*"links":{\([^}]*\)}.*/\1/p' "$dir/tablet.out" | tr -d '"')"
    else
        ended="$(cause_of tablet) ($status)"
    fi
}
# The other end ends with the tablet, or waits for the next.
watch_anchor() {
    local i
    for ((i = 0; i < 30; i++)); do
        is_alive "${pid_of[anchor]}" || break
        pause 0.1
    done
    if is_alive "${pid_of[anchor]}"; then
        ended+=', anchor waits'
    else
        finish anchor
        [ "$status" = 0 ] || ended+=", anchor $(cause_of anchor) ($status)"
    fi
}
anchor_is_gone() {
    ! is_alive "${pid_of[anchor]}"
}
add_links() {
    local name said
    for name in tablet anchor; do
        said=$(links_of "$name")
        [ -z "$said" ] || ended+=", $name: $said"
    done
}
keep_first() {
    local name
    for name in tablet anchor; do
        cp "$dir/$name.out" "$dir/first-$name.out"
        cp "$dir/$name.err" "$dir/first-$name.err"
        cp "$dir/$name.out" "$logs/$test-$name.out"
        cp "$dir/$name.err" "$logs/$test-$name.err"
        names+=("first-$name")
    done
}
# Nothing was put right but what the fault itself was. An anchor that was in a session may need a moment to notice that it is over.
second_sync() {
    local ended after again=()
    ! grep -q '"phase":"measure"' "$dir/anchor.out" || until_true 8 anchor_is_gone || true
    if ! is_alive "${pid_of[anchor]}"; then
        random_file again "$again_size"
        again=(--item "again=$dir/again")
        anchor_starts "${again[@]}"
    fi
    sync tablet
    typed=0
    watch_tablet 120
    second="$after $ended"
    [[ $ended =~ ^($second_expected) ]] || fail "the second sync ended with $ended"
    [[ $ended == done* ]] || return 0
    same "$dir/file" "$dir/tablet.dir/file"
    [ ${#again[@]} = 0 ] || same "$dir/again" "$dir/tablet.dir/again"
    exits anchor 0 15
}

# Whether something is still there that nobody wants; a script may have its own.
tidy() { :; }

cell() {
    local fault=$1 phase=$2 expected=$3 ended='not reached' after=- second=- typed=0 said=1 silence=-
    radios_up
    [ "$(type -t "before_${fault//-/_}")" != function ] || "before_${fault//-/_}"
    place anchor 0 tablet 0.25
    random_file file "${size[$phase]}"
    anchor_starts
    sync tablet
    if reach "$phase"; then
        case $phase in
        ble | wifi) typed=1 ;;
        esac
        said=$(wc -l < "$dir/tablet.out")
        "hurt_${fault//-/_}"
        watch_tablet "$within"
        silence=$(silence_of tablet "$said")
        watch_anchor
        add_links
        [ -z "$quiet_most" ] || [ "${silence%.*}" -lt "$quiet_most" ] || fail "the tablet said nothing for $silence s"
        [[ $ended =~ ^($expected) ]] || fail "it ended with $ended"
        keep_first
        "heal_${fault//-/_}"
        second_sync
        tidy
    fi
    printf '%s | %s | %s | %s | %s | %s\n' "$fault" "$phase" "$ended" "$after" "$silence" "$second" >> "$work/matrix"
    told "$fault in $phase" "$ended after $after s, silent for $silence s, second sync $second"
}

#!/bin/bash
# SPDX-License-Identifier: GPL-3.0-or-later
# What a device learns of another one, one metre away, and what it is good for; and the live meter.
# shellcheck source=lib.bash
. "$(dirname "$0")/lib.bash"

# link OPTIONS...: the tablet becomes a linked device of the anchor, which shares on with these options.
link() {
    random_file file 1000
    place anchor 0 tablet 0.25
    share anchor --item "file=$dir/file" "$@"
    sync tablet
    type_code tablet anchor
    exits tablet 0
}
# listen VERB OPTIONS...: on the tablet.
listen() {
    local verb=$1
    shift
    start tablet "$SIMHOP" "$verb" --json --radio "sim:$air" --name tablet --state "$dir/tablet.state" "$@"
}
# move_until_done: one metre away, never at rest.
move_until_done() {
    local i=0
    while is_alive "${pid_of[tablet]}" && [ $i -lt 400 ]; do
        place anchor 0 tablet "$(awk -v i=$i 'BEGIN { print 0.7 + (i * 7 % 11) * 0.06 }')"
        sleep 0.2
        i=$((i + 1))
    done
}
shown() {
    run "$SIMHOP" devices show anchor --json --state "$dir/tablet.state"
}
shown_there() {
    run "$SIMHOP" devices show tablet --json --state "$dir/anchor.state"
}
kept='"calibration":{"dbm":-[56][0-9.]*,"spread":[0-9.]*,"samples":[0-9]*,"positions":[0-9]*,"adapter":"sim","time":[0-9]*}'
learn() {
    air_is 'fade 4' 'shadow 3'
    listen calibrate
    wait_for tablet '"event":"note".*anchor is heard' && move_until_done
}

a_level_is_learned_and_counts() {
    link
    says tablet '"event":"note".*not calibrated'
    shown
    says run '"calibration":null'
    # Since then the anchor sends 12 dB less than it states.
    air_is 'tx1m -71' 'sigma 0.5' 'fade 0' 'shadow 0'
    place anchor 0 tablet 0.5
    listen sync --links ble --code-fd 0 --dir "$dir/tablet.dir" --deadline 8
    fails tablet 3 near.too-far
    never_says tablet '"phase":"connect"'
    air_is 'tx1m -71' 'fade 4' 'shadow 3'
    listen calibrate
    wait_for tablet '"event":"note".*anchor is heard' && move_until_done
    exits tablet 0
    says tablet '"event":"calibration","t":[0-9.]*,"peer":"anchor","level":-[67][0-9.]*,"spread":[2-9][0-9.]*,"samples":[0-9]*,"positions":[2-6][0-9],"final":true'
    shown
    says run '"calibration":{"dbm":-[67][0-9.]*,"spread":[0-9.]*,"samples":[0-9]*,"positions":[0-9]*,"adapter":"sim","time":[0-9]*}'
    air_is 'tx1m -71' 'sigma 0.5' 'fade 0' 'shadow 0'
    place anchor 0 tablet 0.4
    listen sync --links ble --code-fd 0 --dir "$dir/tablet.dir" --deadline 20
    wait_for tablet '"phase":"connect"'
    never_says tablet '"event":"note".*not calibrated'
    finish tablet
}
both_learn() {
    link --calibrate
    never_says anchor '"event":"note".*not calibrated'
    shown_there
    says run '"calibration":null'
    learn
    exits tablet 0
    says tablet '"event":"calibration".*"peer":"anchor".*"final":true'
    says tablet '"event":"peer-calibration","t":[0-9.]*,"peer":"anchor","level":-[56][0-9.]*,"spread":[2-9][0-9.]*,"samples":[0-9]*,"positions":[2-6][0-9],"cause":null'
    says anchor '"event":"calibration","t":[0-9.]*,"peer":"tablet","level":-[56][0-9.]*,"spread":[2-9][0-9.]*,"samples":[0-9]*,"positions":[2-6][0-9],"final":true'
    never_says tablet '"event":"note".*has learned nothing'
    shown
    says run "$kept"
    shown_there
    says run "$kept"
    kill -TERM "${pid_of[anchor]}"
    exits anchor 0
    # Another share, which knows whom it measures before it does.
    place anchor 0 tablet 0.3
    air_is 'sigma 0.5' 'fade 0' 'shadow 0'
    share anchor --item "file=$dir/file" --once
    listen sync --code-fd 0 --dir "$dir/tablet.dir"
    both_done anchor tablet
    never_says anchor '"event":"note".*not calibrated'
    never_says tablet '"event":"note".*not calibrated'
}
# Whoever was not told to learn does not, and goes on; the other one keeps its own.
only_one_learns() {
    link
    kill -TERM "${pid_of[anchor]}"
    exits anchor 0
    share anchor --item "file=$dir/file" --once
    learn
    exits tablet 0
    says tablet '"event":"peer-calibration".*"level":null,"cause":"calibrate.not-wanted"'
    says tablet '"event":"note".*is kept, but anchor has learned nothing: .*calibrate.not-wanted.*share --calibrate'
    never_says tablet '"event":"cause"'
    shown
    says run "$kept"
    shown_there
    says run '"calibration":null'
    air_is 'sigma 0.5' 'fade 0' 'shadow 0'
    place anchor 0 tablet 0.2
    listen sync --code-fd 0 --dir "$dir/tablet.dir"
    both_done anchor tablet
}
# With nothing to share it only learns, and only from whom it is linked to.
nothing_to_share() {
    link
    kill -TERM "${pid_of[anchor]}"
    exits anchor 0
    share anchor --calibrate --once
    place anchor 0 tablet 0.2
    listen sync --code-fd 0 --dir "$dir/tablet.dir"
    fails tablet 4 calibrate.only
    run "$SIMHOP" devices revoke tablet --state "$dir/anchor.state"
    learn
    exits tablet 0
    says tablet '"event":"peer-calibration".*"level":null,"cause":"linked.revoked"'
    exits anchor 10
    shown_there
    says run '"calibration":null'
}
not_moved() {
    link
    air_is 'sigma 0.5' 'fade 0' 'shadow 0'
    place anchor 0 tablet 1
    listen calibrate --anchor anchor
    fails tablet 6 calibrate.not-moved
    never_says tablet '"final":true'
    shown
    says run '"calibration":null'
}
lost_on_the_way() {
    link
    listen calibrate
    wait_for tablet '"event":"note".*anchor is heard'
    place anchor 0 tablet 100
    fails tablet 6 calibrate.too-few
}
nobody_to_learn_from() {
    listen calibrate
    fails tablet 10 linked.unknown
    link
    listen calibrate --anchor somebody
    fails tablet 10 linked.unknown
    kill -TERM "${pid_of[anchor]}"
    exits anchor 0
    listen calibrate --deadline 2
    fails tablet 9 session.deadline
    share anchor --item "file=$dir/file"
    listen calibrate
    wait_for tablet '"event":"note".*Listening'
    kill -INT "${pid_of[tablet]}"
    fails tablet 9 session.interrupted
}

the_meter_follows() {
    random_file file 1000
    place anchor 0 tablet 0.3
    share anchor --item "file=$dir/file"
    listen proximity
    wait_for tablet '"event":"proximity".*"peer":null.*"accept":true.*"advice":"hold-on","level":"stated"'
    place anchor 0 tablet 4
    wait_for tablet '"accept":false.*"advice":"come-closer"'
    kill -INT "${pid_of[tablet]}"
    fails tablet 9 session.interrupted
    start text "$SIMHOP" proximity --radio "sim:$air" --name text --state "$dir/text.state"
    wait_for text '^A device: [0-9.]+ m  [+-][0-9.]+ dB  spread'
    kill -INT "${pid_of[text]}"
    exits text 9
}
the_meter_knows_who_is_linked() {
    link
    listen proximity --anchor anchor
    wait_for tablet '"event":"proximity".*"peer":"anchor".*"accept":true'
    kill -TERM "${pid_of[tablet]}"
    exits tablet 9
    listen proximity --anchor somebody
    fails tablet 10 linked.unknown
}
the_meter_draws() {
    random_file file 1000
    place anchor 0 tablet 0.3
    share anchor --item "file=$dir/file"
    script -qec true /dev/null > /dev/null 2>&1 || skip_test 'script(1) can make no pseudo-terminal here'
    start tablet script -qec "'$SIMHOP' proximity --radio 'sim:$air' --name tablet --state '$dir/tablet.state' --deadline 8" /dev/null
    exits tablet 9
    grep -q '  1 m +-' "$dir/tablet.out" || fail "no picture"
    grep -q '█' "$dir/tablet.out" || fail "no blocks"
    grep -q $'\033\[6A' "$dir/tablet.out" || fail "the picture does not stay in its place"
}

run_tests a_level_is_learned_and_counts both_learn only_one_learns nothing_to_share not_moved lost_on_the_way nobody_to_learn_from the_meter_follows \
    the_meter_knows_who_is_linked the_meter_draws

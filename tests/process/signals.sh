#!/bin/bash
# SPDX-License-Identifier: GPL-3.0-or-later
# SIGINT and SIGTERM to either side in each phase: who got it says so, the other one hears of it, and the next sync goes on.
# shellcheck source=lib.bash
. "$(dirname "$0")/lib.bash"

file_size=6000000

stop() {
    kill "-$2" "${pid_of[$1]}"
}

# begin: an anchor and a tablet on an air so slow that the transfer takes some seconds.
begin() {
    random_file file $file_size
    air_is 'lan_rate 1000000'
    share anchor --once --item "file=$dir/file"
    sync tablet "$@"
}

no_half_file() {
    [ ! -e "$dir/tablet.dir/file" ] || fail "there is a file under the final name"
}

# and_again [OPTION]...: the same commands once more, at full speed.
and_again() {
    rm -f "$air/air" "$air/positions"
    share anchor --once --item "file=$dir/file"
    sync tablet "$@"
    complete tablet anchor
    same "$dir/file" "$dir/tablet.dir/file"
    nothing_left tablet
}

# stopped_in PHASE SIDE SIGNAL: in the phases that both share.
stopped_in() {
    local phase=$1 side=$2 signal=$3 other=anchor
    [ "$side" = tablet ] || other=tablet
    begin
    if [ "$phase" = transfer ]; then
        type_code tablet anchor
        wait_for tablet '"event":"progress"'
    else
        wait_for "$side" "\"phase\":\"$phase\""
    fi
    stop "$side" "$signal"
    fails "$side" 9 session.interrupted
    fails "$other" 9 session.peer-stopped
    no_half_file
    [ -z "$(find "$air" -name '*.air' -o -name '*.l2cap')" ] || fail "sockets are left in the air"
    and_again
    [ "$phase" != transfer ] || resumed
}

resumed() {
    [ "$(done_number tablet resumed)" -ge 65536 ] || fail "all of it was sent again"
    never_says tablet '"event":"code-wanted"'
}

for phase in measure confirm transfer; do
    for side in anchor tablet; do
        for signal in INT TERM; do
            eval "${phase}_${side}_$signal() { stopped_in $phase $side $signal; }"
            shared+=("${phase}_${side}_$signal")
        done
    done
done

# discover and approach: nobody is told, for nobody is connected.
alone() {
    local signal=$1
    random_file file $file_size
    share anchor --item "file=$dir/file"
    stop anchor "$signal"
    fails anchor 9 session.interrupted
    sync tablet
    wait_for tablet '"phase":"discover"'
    stop tablet "$signal"
    fails tablet 9 session.interrupted
    nothing_left tablet
}
discover_INT() {
    alone INT
    and_again
}
discover_TERM() {
    alone TERM
    and_again
}

approaching() {
    place anchor 0 tablet 3
    begin
    wait_for tablet '"phase":"approach"'
    stop "$1" "$2"
    fails "$1" 9 session.interrupted
}
approach_tablet_INT() {
    approaching tablet INT
    sleep 0.5
    is_alive "${pid_of[anchor]}" || fail "the anchor ended"
    never_says anchor '"event":"cause"'
    stop anchor TERM
    fails anchor 9 session.interrupted
    and_again
}
approach_anchor_TERM() {
    approaching anchor TERM
    # The tablet looks on; another anchor may come.
    wait_for tablet '"phase":"discover"' "$patience" 2
    rm -f "$air/air" "$air/positions"
    share anchor --once --item "file=$dir/file"
    type_code tablet anchor
    both_done anchor tablet
    same "$dir/file" "$dir/tablet.dir/file"
}

# A hook that takes its time, with a child that does so too.
slow_hook() {
    cat > "$dir/hook" << 'END'
#!/bin/sh
echo started >> "${0%/*}/hook.log"
[ ! -e "${0%/*}/slow" ] || sleep 30
echo ended >> "${0%/*}/hook.log"
END
    chmod +x "$dir/hook"
    : > "$dir/slow"
}

# The file is here, and the next sync runs the hook.
hook_was_stopped() {
    exits anchor 0
    never_says tablet '"event":"done"'
    [ "$(cat "$dir/hook.log")" = started ] || fail "the hook went on"
    same "$dir/file" "$dir/tablet.dir/file"
    rm "$dir/slow"
    and_again --hook "$dir/hook"
    [ "$(tail -n 1 "$dir/hook.log")" = ended ] || fail "the next sync did not run the hook"
}

installing() {
    slow_hook
    begin --hook "$dir/hook"
    type_code tablet anchor
    for ((i = 0; i < patience * 20; i++)); do
        [ ! -s "$dir/hook.log" ] || break
        sleep 0.05
    done
    stop tablet "$1"
    fails tablet 9 session.interrupted
    hook_was_stopped
    [ "$(done_number tablet resumed)" = $file_size ] || fail "the file was sent again"
}
install_INT() {
    installing INT
}
install_TERM() {
    installing TERM
}

# All is there and the two say goodbye: installing does not begin any more, or is ended.
before_installing_INT() {
    slow_hook
    begin --hook "$dir/hook"
    type_code tablet anchor
    wait_for tablet "\"event\":\"progress\".*\"verified\":$file_size,"
    stop tablet INT
    fails tablet 9 session.interrupted
    finish anchor
    never_says tablet '"event":"done"'
    ! grep -q ended "$dir/hook.log" 2> /dev/null || fail "the hook went on"
    rm "$dir/slow"
    and_again --hook "$dir/hook"
    [ "$(tail -n 1 "$dir/hook.log")" = ended ] || fail "the next sync did not run the hook"
}

# The time that the person gave is for all of it.
deadline_while_it_is_installed() {
    slow_hook
    random_file file 1000
    random_file first 1000
    share anchor --once --item "first=$dir/first"
    sync tablet
    complete tablet anchor
    share anchor --once --item "file=$dir/file"
    sync tablet --hook "$dir/hook" --deadline 20
    fails tablet 9 session.deadline
    hook_was_stopped
}

# Some that start programs leave it to the kernel to reap them.
children_are_reaped_by_nobody() {
    slow_hook
    rm "$dir/slow"
    bound+=(env --ignore-signal=CHLD)
    random_file file 1000
    share anchor --once --item "file=$dir/file"
    sync tablet --hook "$dir/hook"
    complete tablet anchor
    [ "$(tail -n 1 "$dir/hook.log")" = ended ] || fail "the hook did not run"
}

# An anchor with nothing cut off has done its work.
share_that_goes_on_TERM() {
    random_file file 1000
    share anchor --item "file=$dir/file"
    sync tablet
    type_code tablet anchor
    exits tablet 0
    stop anchor TERM
    exits anchor 0
    never_says anchor '"event":"cause"'
    nothing_left tablet
}

# Nor has one whose secondary has all, and has said so, but not goodbye.
share_that_lingers_TERM() {
    faults 'delay ble 400'
    random_file file 1000
    share anchor --item "file=$dir/file"
    sync tablet
    type_code tablet anchor
    wait_for anchor '"event":"done"'
    stop anchor TERM
    exits anchor 0
    never_says anchor '"event":"cause"'
    exits tablet 0
    same "$dir/file" "$dir/tablet.dir/file"
}

share_that_goes_on_is_cut_off() {
    share_one_then_begin_another
    stop anchor INT
    fails anchor 9 session.interrupted
    fails watch 9 session.peer-stopped
}
share_one_then_begin_another() {
    random_file file 1000
    share anchor --item "file=$dir/file"
    sync tablet
    type_code tablet anchor
    exits tablet 0
    sync watch
    wait_for watch '"phase":"measure"'
}

# keep_on NAME: signals until it is gone.
keep_on() {
    while kill -INT "${pid_of[$1]}" && kill -TERM "${pid_of[$1]}"; do
        :
    done 2> /dev/null
}
# Whoever does not wait for the end does not spoil it.
again_and_again() {
    local i
    begin
    wait_for tablet '"phase":"measure"'
    keep_on tablet
    fails tablet 9 session.interrupted
    fails anchor 9 session.peer-stopped
    for ((i = 0; i < 12; i++)); do
        sync tablet
        wait_for tablet '"phase":"discover"'
        keep_on tablet
        fails tablet 9 session.interrupted
    done
}

# KILL leaves sockets behind; the next one of that name takes the place.
killed() {
    begin
    type_code tablet anchor
    wait_for tablet '"event":"progress"'
    stop "$1" KILL
    wait "${pid_of[$1]}" 2> /dev/null
}
tablet_KILL() {
    killed tablet
    exits anchor 5
    says anchor '"cause":"(connect\.lost|transfer\.stalled|link\.none)"'
    no_half_file
    and_again
    resumed
}
anchor_KILL() {
    killed anchor
    exits tablet 5
    says tablet '"cause":"(connect\.lost|transfer\.stalled|link\.none)"'
    no_half_file
    and_again
    resumed
}

hang_up_of_the_terminal() {
    begin
    wait_for tablet '"phase":"measure"'
    stop tablet HUP
    finish tablet
    exits anchor 5
    and_again
}

run_tests "${shared[@]}" discover_INT discover_TERM approach_tablet_INT approach_anchor_TERM install_INT install_TERM before_installing_INT \
    deadline_while_it_is_installed children_are_reaped_by_nobody \
    share_that_goes_on_TERM share_that_lingers_TERM share_that_goes_on_is_cut_off again_and_again tablet_KILL anchor_KILL hang_up_of_the_terminal

#!/bin/bash
# SPDX-License-Identifier: GPL-3.0-or-later
# limit: 300
# by name only: a guest of its own takes a minute of the lane, and sleep is no everyday way to fail
# The machine falls asleep with both devices in it: as far as it can here, where the root is shared by 9p, whose device no kernel wakes
# again: the kernel tells its drivers, and Bluetooth ends connections and advertising; all processes are frozen for five seconds.
# shellcheck source=lib.bash
. "$(dirname "$(realpath "$0")")/lib.bash"

asleep() {
    grep -qw freezer /sys/power/pm_test 2> /dev/null || skip_test 'the kernel has no /sys/power/pm_test'
    echo freezer > /sys/power/pm_test
    local from
    from=$(now_ms)
    echo freeze > /sys/power/state || fail 'it does not sleep'
    told 'frozen for' "$(seconds_since "$from") s"
}

an_anchor_that_waits_is_found_afterwards() {
    radios_up
    place anchor 0 tablet 0.25
    random_file file 300000
    share anchor --once --item "file=$dir/file"
    asleep
    sync tablet
    complete tablet anchor 90
    same "$dir/file" "$dir/tablet.dir/file"
}

a_transfer_goes_on_afterwards() {
    radios_up
    place anchor 0 tablet 0.25
    random_file file 8388608
    share anchor --item "file=$dir/file"
    sync tablet
    type_code tablet anchor
    wait_for tablet '"event":"progress".*"verified":[1-9]' 60 || return
    asleep
    finish tablet 90
    told 'the tablet then' "exit status $status $(causes_of tablet)"
    if [ "$status" != 0 ]; then
        sync tablet
        finish tablet 90
        [ "$(done_number tablet resumed)" -ge 65536 ] || fail 'it began anew'
        never_says tablet '"event":"code-wanted"'
    fi
    [ "$status" = 0 ] || fail "exit status $status: $(causes_of tablet)"
    same "$dir/file" "$dir/tablet.dir/file"
}

run_tests an_anchor_that_waits_is_found_afterwards a_transfer_goes_on_afterwards

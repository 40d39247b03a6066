#!/bin/bash
# SPDX-License-Identifier: GPL-3.0-or-later
# limit: 240
# A disk that hangs, by a file system that the kernel holds still (fsfreeze(8)): who writes to it does not come back. Over the simulated
# air, for the disk is what this is about.
# shellcheck source=lib.bash
. "$(dirname "$(realpath "$0")")/lib.bash"
radio=sim space[tablet]='' # both in one place

# A file system of its own for what comes in, on a disk in memory.
disk() {
    modprobe brd rd_nr=1 rd_size=65536 && modprobe ext4 || skip_test 'no module for a disk in memory'
    until_true "$limit" [ -b /dev/ram0 ] || fail 'no disk in memory'
    command -v mkfs.ext4 fsfreeze > /dev/null || skip_test 'no mkfs.ext4 or no fsfreeze here'
    mkfs.ext4 -q -F /dev/ram0 && mkdir "$dir/tablet.dir" && mount /dev/ram0 "$dir/tablet.dir" || fail 'no file system'
    mounted+=("$dir/tablet.dir")
}

# begins_and_hangs: in mid-file.
begins_and_hangs() {
    disk
    random_file file 30000000
    place anchor 0 tablet 0.25
    air_is 'lan_rate 2000000'
    share anchor --item "file=$dir/file"
    sync tablet
    type_code tablet anchor || return
    wait_for tablet '"event":"progress".*"verified":[1-9][0-9]{6}' 40 || return
    fsfreeze -f "$dir/tablet.dir" || fail 'the disk does not hang'
}

a_disk_that_hangs_for_a_while_is_told_and_waited_for() {
    local from
    begins_and_hangs || return
    from=$(now_ms)
    wait_for tablet '"event":"note".*The disk does not answer.*"cause":"store.slow"' 15
    told 'named after' "$(seconds_since "$from") s"
    fsfreeze -u "$dir/tablet.dir"
    exits tablet 0 90
    same "$dir/file" "$dir/tablet.dir/file"
}

one_that_does_not_come_back_ends_it_and_nothing_is_lost() {
    local from
    begins_and_hangs || return
    from=$(now_ms)
    wait_for tablet '"event":"cause".*"cause":"store.slow".*"next":"Wait until the disk is idle' 60
    told 'named after' "$(seconds_since "$from") s"
    grep -q '^simhop: .*(store.slow)' "$dir/tablet.err" || fail 'nothing for a person'
    fsfreeze -u "$dir/tablet.dir" # until then the kernel keeps the process
    exits tablet 8 20
    rm "$air/air"
    sync tablet
    exits tablet 0 60
    same "$dir/file" "$dir/tablet.dir/file"
    [ "$(done_number tablet resumed)" -gt 900000 ] || fail "$(done_number tablet resumed) octets were kept"
}

run_tests a_disk_that_hangs_for_a_while_is_told_and_waited_for one_that_does_not_come_back_ends_it_and_nothing_is_lost

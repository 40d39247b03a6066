#!/bin/bash
# SPDX-License-Identifier: GPL-3.0-or-later
# What is not taken: files, folders, disks, bundles and names that are wrong, each with its cause and exit status.
# shellcheck source=lib.bash
. "$(dirname "$0")/lib.bash"
own_mounts

begin() {
    random_file file "${1:-100000}"
    share anchor --once --item "file=$dir/file"
}

# refused STATUS CAUSE: both sides end so, and no event says that anything came.
refused() {
    fails tablet "$1" "$2"
    fails anchor "$1" "$2"
    never_says tablet '"event":"done"'
    [ ! -e "$dir/tablet.dir/.simhop" ] || fail "a folder of ours is left"
}
and_again() {
    begin "${1:-100000}"
    sync tablet
    complete tablet anchor
    same "$dir/file" "$dir/tablet.dir/file"
    nothing_left tablet
}

# ---- On the secondary --------------------------------------------------------------------------

target_exists() {
    begin
    mkdir "$dir/tablet.dir"
    echo mine > "$dir/tablet.dir/file"
    sync tablet
    type_code tablet anchor
    refused 8 store.target-exists
    [ "$(cat "$dir/tablet.dir/file")" = mine ] || fail "the file was overwritten"
    never_says tablet '"event":"progress"'
    mv "$dir/tablet.dir/file" "$dir/tablet.dir/other"
    and_again
}

target_is_a_link() {
    begin
    mkdir "$dir/tablet.dir"
    ln -s "$dir/elsewhere" "$dir/tablet.dir/file"
    sync tablet
    type_code tablet anchor
    refused 8 store.target-exists
    [ ! -e "$dir/elsewhere" ] || fail "it wrote through a link"
}

folder_is_read_only() {
    mkdir "$dir/tablet.dir"
    read_only "$dir/tablet.dir"
    begin
    sync tablet
    type_code tablet anchor
    refused 8 store.read-only
}

folder_is_not_ours() {
    without_capabilities
    mkdir -m 500 "$dir/tablet.dir"
    begin
    sync tablet
    type_code tablet anchor
    refused 8 env.permission
    chmod 700 "$dir/tablet.dir"
    and_again
}
# Permission bits count for root too from here on.
without_capabilities() {
    [ "$(id -u)" = 0 ] || return 0
    setpriv --bounding-set=-dac_override,-dac_read_search true || skip_test 'root, and its capabilities cannot be dropped'
    bound+=(setpriv "--bounding-set=-dac_override,-dac_read_search")
}

folder_is_a_file() {
    : > "$dir/tablet.dir"
    sync tablet
    finish tablet
    [ "$status" = 2 ] || fail "exit status $status: $(causes_of tablet)"
}

disk_is_full() {
    small_disk "$dir/tablet.dir" 16384
    head -c 12000000 /dev/zero > "$dir/tablet.dir/filler"
    begin 8000000
    sync tablet
    type_code tablet anchor
    refused 8 store.no-space
    never_says tablet '"event":"progress"'
    says tablet '"detail":"[^"]*8000000'
    rm "$dir/tablet.dir/filler"
    and_again 8000000
}

disk_of_the_state_is_full() {
    small_disk "$dir/tablet.state" 1024
    begin
    head -c 2000000 /dev/zero > "$dir/tablet.state/filler" 2> /dev/null
    sync tablet
    fails tablet 8 store.no-space
    rm "$dir/tablet.state/filler"
    sync tablet
    complete tablet anchor
}

state_is_read_only() {
    mkdir -m 700 "$dir/tablet.state"
    read_only "$dir/tablet.state"
    sync tablet
    fails tablet 8 store.read-only
    mkdir -m 700 "$dir/anchor.state"
    read_only "$dir/anchor.state"
    random_file file 10
    run "$SIMHOP" share --json --radio "sim:$air" --name anchor --state "$dir/anchor.state" --item "file=$dir/file"
    fails run 8 store.read-only
    nothing_left
}

state_is_not_ours() {
    without_capabilities
    mkdir -m 500 "$dir/tablet.state"
    sync tablet
    fails tablet 8 env.permission
    nothing_left
}

registry_is_damaged() {
    mkdir -m 700 "$dir/tablet.state" "$dir/anchor.state"
    random_file tablet.state/registry.db 5000
    sync tablet
    fails tablet 8 env.registry
    random_file file 10
    cp "$dir/tablet.state/registry.db" "$dir/anchor.state"
    run "$SIMHOP" share --json --radio "sim:$air" --name anchor --state "$dir/anchor.state" --item "file=$dir/file"
    fails run 8 env.registry
    same "$dir/anchor.state/registry.db" "$dir/tablet.state/registry.db"
}

key_is_damaged() {
    local key
    begin
    sync tablet
    type_code tablet anchor
    both_done anchor tablet
    for key in device.key resolving.key; do
        mv "$dir/tablet.state/$key" "$dir/kept"
        echo nonsense > "$dir/tablet.state/$key"
        chmod 600 "$dir/tablet.state/$key"
        sync tablet
        fails tablet 8 env.key-damaged
        [ "$(cat "$dir/tablet.state/$key")" = nonsense ] || fail "$key was replaced"
        mv "$dir/kept" "$dir/tablet.state/$key"
    done
}

two_into_one_folder() {
    air_is 'lan_rate 500000'
    random_file file 2000000
    share anchor --item "file=$dir/file"
    mkdir "$dir/both"
    sync tablet --dir "$dir/both"
    type_code tablet anchor
    sync watch --dir "$dir/both"
    wait_for watch '"event":"code-wanted"' && wait_for anchor '"event":"code"' "$patience" 2 && type_line watch "$(shown_code anchor)"
    finish watch
    finish tablet
    # One of them has it, and the other one was told why not.
    [ "$((waited[tablet] + waited[watch]))" = 8 ] || fail "exit status ${waited[tablet]} and ${waited[watch]}, not 0 and 8"
    grep -qhE '"cause":"store\.(busy|target-exists)"' "$dir/tablet.out" "$dir/watch.out" || fail "why: $(causes_of watch)"
    same "$dir/file" "$dir/both/file"
    [ ! -e "$dir/both/.simhop" ] || fail "a folder of ours is left"
}

# ---- On the anchor -----------------------------------------------------------------------------

share_fails() {
    local status=$1 cause=$2
    shift 2
    run "$SIMHOP" share --json --once --radio "sim:$air" --name anchor --state "$dir/anchor.state" "$@"
    fails run "$status" "$cause"
    nothing_left
}

names_of_items() {
    local name
    random_file file 10
    for name in a/b /etc/x .. . .hidden "$(printf '%0300d' 0)" $'new\nline' $'esc\e[2J' $'no-utf8\xff'; do
        share_fails 6 store.bad-name --item "$name=$dir/file"
    done
    grep -q $'\e' "$dir/run.err" "$dir/run.out" && fail "an escape sequence reached the terminal"
    share_fails 2 usage.bad-option --item "=$dir/file"
    share_fails 2 usage.bad-option --item "file="
    share_fails 2 usage.bad-option --item "$dir/file"
    share_fails 2 usage.bad-option --item "file=$dir/file" --item "file=$dir/file"
    share_fails 2 usage.bad-option
}

sources_that_cannot_be_read() {
    share_fails 8 source.unreadable --item "file=$dir/absent"
    share_fails 8 source.unreadable --item "file=$dir"
    mkfifo "$dir/pipe"
    share_fails 8 source.unreadable --item "file=$dir/pipe"
    share_fails 8 source.unreadable --item "file=/dev/zero"
    share_fails 8 source.unreadable --bundle "$dir/absent"
}

longest_name() {
    local name
    name=$(printf '%0255d' 0)
    random_file file 10
    share anchor --once --item "$name=$dir/file" --item "ünïcödé name=$dir/file"
    sync tablet
    type_code tablet anchor
    both_done anchor tablet
    same "$dir/file" "$dir/tablet.dir/$name"
    same "$dir/file" "$dir/tablet.dir/ünïcödé name"
}

source_changes_while_it_is_sent() {
    air_is 'lan_rate 2000000'
    random_file file 12000000
    share anchor --once --item "file=$dir/file"
    sync tablet
    type_code tablet anchor
    wait_for tablet '"event":"progress"'
    printf x >> "$dir/file"
    fails tablet 6 transfer.source-changed
    fails anchor 6 transfer.source-changed
    [ ! -e "$dir/tablet.dir/file" ] || fail "a file appeared"
    rm "$air/air"
    share anchor --once --item "file=$dir/file"
    sync tablet
    both_done anchor tablet
    same "$dir/file" "$dir/tablet.dir/file"
}

make_bundle() {
    run "$SIMHOP" bundle create --from "$data_dir/bundle.json" --state "$dir/anchor.state" -o "$dir/lines.bundle"
    [ "$status" = 0 ] || fail "no bundle: $(cat "$dir/run.err")"
}

bundles_that_are_none() {
    local n
    make_bundle
    random_file random.bundle 900
    share_fails 6 bundle.malformed --bundle "$dir/random.bundle"
    for n in 0 1 100 500 900; do
        head -c $n "$dir/lines.bundle" > "$dir/cut.bundle"
        share_fails 6 bundle.malformed --bundle "$dir/cut.bundle"
    done
    random_file long.bundle 70000
    share_fails 6 bundle.too-large --bundle "$dir/long.bundle"
}

bundle_that_was_changed() {
    make_bundle
    sed 's/Travel/Trovel/' "$dir/lines.bundle" > "$dir/changed.bundle"
    cmp -s "$dir/lines.bundle" "$dir/changed.bundle" && fail "nothing to change"
    share_fails 6 bundle.bad-signature --bundle "$dir/changed.bundle"
}

# What a tablet got cannot be handed on.
bundle_for_another_device() {
    local got
    make_bundle
    share anchor --once --bundle "$dir/lines.bundle"
    sync tablet --no-install
    type_code tablet anchor
    both_done anchor tablet
    got=$(find "$dir/tablet.state/bundles" -name '*.bundle')
    cp "$got" "$dir/got.bundle"
    share_fails 6 bundle.not-for-us --bundle "$dir/got.bundle"
}

matching_id_with_an_underscore() {
    sed 's/TS48V1-B-UNIQUE/TS48V1_B_UNIQUE/' "$data_dir/bundle.json" > "$dir/bad.json"
    run "$SIMHOP" bundle create --json --from "$dir/bad.json" --state "$dir/anchor.state" -o "$dir/bad.bundle"
    fails run 6 activation.bad-code
    [ ! -e "$dir/bad.bundle" ] || fail "a bundle was written"
}

# ---- Radios ------------------------------------------------------------------------------------

radios_that_are_not_there() {
    local radio
    random_file file 10
    share_fails 2 usage.bad-option --item "file=$dir/file" --radio pigeon
    share_fails 8 env.no-radio --item "file=$dir/file" --radio "sim:$dir/nowhere"
    share_fails 8 env.no-radio --item "file=$dir/file" --radio "sim:$dir/file"
    for radio in "sim:$dir/nowhere" "sim:$dir/file"; do
        run "$SIMHOP" sync --json --radio "$radio" --name tablet --state "$dir/tablet.state" --dir "$dir/out"
        fails run 8 env.no-radio
    done
}

two_of_one_name() {
    begin
    share_fails_because_taken
    sync tablet
    type_code tablet anchor
    both_done anchor tablet
}
share_fails_because_taken() {
    run "$SIMHOP" share --json --radio "sim:$air" --name anchor --state "$dir/other.state" --item "file=$dir/file"
    fails run 8 env.name-taken
}

run_tests target_exists target_is_a_link folder_is_read_only folder_is_not_ours folder_is_a_file disk_is_full \
    disk_of_the_state_is_full state_is_read_only state_is_not_ours registry_is_damaged key_is_damaged two_into_one_folder \
    names_of_items sources_that_cannot_be_read longest_name source_changes_while_it_is_sent bundles_that_are_none \
    bundle_that_was_changed bundle_for_another_device matching_id_with_an_underscore radios_that_are_not_there two_of_one_name

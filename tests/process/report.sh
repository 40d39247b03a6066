#!/bin/bash
# SPDX-License-Identifier: GPL-3.0-or-later
# The support bundle: nothing secret is in it or in the records it is made of, and its runs come to the same end again.
# shellcheck source=lib.bash
. "$(dirname "$0")/lib.bash"

# Names that stand nowhere by chance.
phone=Zebra7-phone-of-Ada tablet=Quagga8-tablet-of-Bob

# report_of NAME [OPTIONS...]: into $dir/NAME.report.
report_of() {
    local name=$1
    shift
    rm -f "$dir/$name.report"
    run "$SIMHOP" report --state "$dir/$name.state" --name "$name" --radio "sim:$air" --output "$dir/$name.report" "$@"
    exits run 0
}
# replays NAME STATUS CAUSE: the last run of the report ends so again.
replays() {
    run "$SIMHOP" replay --json "$dir/$1.report"
    exits run "$2"
    says run '"event":"run".*"same":true'
    never_says run '"same":false'
    [ "$3" = 'done' ] || says run "\"event\":\"cause\".*\"cause\":\"${3//./\\.}\""
    says run "\"recorded\":\"${3//./\\.}\",\"replayed\":\"${3//./\\.}\""
}

# holds FILE WHAT BYTES: these bytes are in the file: as they are, in hexadecimal of either case, or in base64.
holds() {
    local hex base
    hex=$(od -An -v -tx1 < "$3" | tr -d ' \n')
    base=$(base64 -w 0 < "$3")
    if grep -qF "$hex" <<< "$(od -An -v -tx1 < "$1" | tr -d ' \n')"; then
        fail "$(basename "$1") holds $2"
    fi
    if grep -qaiF "$hex" "$1"; then
        fail "$(basename "$1") holds $2 in hexadecimal"
    fi
    if grep -qaF "${base%%=*}" "$1"; then
        fail "$(basename "$1") holds $2 in base64"
    fi
}
# canary WHAT TEXT
canary() {
    printf '%s' "$2" > "$dir/canaries/$1"
}
# no_canary FILE...
no_canary() {
    local file canary
    for file; do
        for canary in "$dir/canaries"/*; do
            [ -s "$canary" ] || fail "no canary: $canary"
            holds "$file" "$(basename "$canary")" "$canary"
        done
        ! LC_ALL=C grep -qaE '([0-9]{1,3}\.){3}[0-9]{1,3}|([0-9a-fA-F]{2}:){5}|fe80:|/tmp/' "$file" || fail "$file has an address or a path"
    done
}

canaries() {
    local id
    mkdir -p "$dir/canaries"
    head -c 24 "$dir/Giraffe9-item" > "$dir/canaries/content"
    canary file-name Giraffe9-item
    canary phone "$phone"
    canary tablet "$tablet"
    canary code "$(shown_code "$phone")"
    canary matching-id TS48V2-SAIP2-1-NOBERTLV-UNIQUE
    canary smdp testsmdpplus1.example.com
    canary apn mms.example.com
    canary apn-password Tapir-pass-77
    canary iccid 8949449999999990007
    canary eid 89049032123451234512345678901235
    for id in phone tablet; do
        cp "$dir/${!id}.state/device.key" "$dir/canaries/$id-key"
        cp "$dir/${!id}.state/resolving.key" "$dir/canaries/$id-resolving-key"
        run "$SIMHOP" doctor --state "$dir/${!id}.state" --name x --radio "sim:$air"
        canary "$id-device-id" "$(sed -n 's/.*device id \([0-9a-f]*\).*/\1/p' "$dir/run.out" | head -c 12)"
        head -n 3 "$dir/${!id}.state/device.key" | sed -n 2p | head -c 40 > "$dir/canaries/$id-key-line"
    done
    head -n 3 "$dir/$phone.state/ca.crt" | sed -n 2p | head -c 40 > "$dir/canaries/certificate"
}

nothing_secret_is_in_it() {
    printf 'Giraffe9 content, of 40 octets and some more\n%.0s' {1..3000} > "$dir/Giraffe9-item"
    sed 's/"password": "example"/"password": "Tapir-pass-77"/' "$data_dir/bundle.json" > "$dir/lines.json"
    run "$SIMHOP" bundle create --from "$dir/lines.json" --state "$dir/$phone.state" -o "$dir/lines.bundle"
    exits run 0
    share "$phone" --once --bundle "$dir/lines.bundle" --item "Giraffe9-item=$dir/Giraffe9-item"
    mkdir "$dir/$tablet.nm"
    sync "$tablet" --eid 89049032123451234512345678901235
    complete "$tablet" "$phone"
    canaries
    report_of "$phone"
    report_of "$tablet"
    no_canary "$dir/$phone.report" "$dir/$tablet.report" "$dir/$phone.state/traces"/* "$dir/$tablet.state/traces"/*
    # What it is for is in it.
    grep -q '"e":"measured".*"verdict":"accept"' "$dir/$tablet.report" || fail 'no measurement is in it'
    grep -q '"linked":1' "$dir/$tablet.report" || fail 'no counter is in it'
    grep -q '"check":"registry","result":"ok"' "$dir/$tablet.report" || fail 'nothing of doctor is in it'
    [ "$(stat -c %a "$dir/$tablet.report" "$dir/$tablet.state/traces"/* | sort -u)" = 600 ] || fail 'others may read it'
    replays "$tablet" 0 'done'
    replays "$phone" 0 'done'
    # What somebody writes into a record does not get through.
    printf '{"e":"rssi","t":1.0,"s":1,"dbm":-50,"note":"Zebra7"}\nZebra7\n{"e":"zebra","name":"Zebra7"}\n' >> "$(echo "$dir/$tablet.state/traces"/*)"
    report_of "$tablet"
    no_canary "$dir/$tablet.report"
    ! grep -q Zebra7 "$dir/$tablet.report" || fail 'a text came through'
}

too_far_is_too_far_again() {
    random_file file 1000
    place anchor 0 tablet 3
    share anchor --item "file=$dir/file"
    sync tablet
    fails tablet 3 near.too-far
    report_of tablet
    replays tablet 3 near.too-far
    kill -TERM "${pid_of[anchor]}"
    exits anchor 9
    report_of anchor
    replays anchor 9 session.interrupted
}

# The search goes on beside the try over the network, and it is its end.
a_deadline_in_a_trial_is_that_of_the_search() {
    random_file file 1000
    place anchor 0 tablet 0.25
    share anchor --once --item "file=$dir/file"
    sync tablet
    type_code tablet anchor
    both_done anchor tablet
    place anchor 0 tablet 3
    faults 'delay lan 400'
    share anchor --item "file=$dir/file"
    sync tablet --deadline 1
    exits tablet 3
    report_of tablet
    # too-far, where the machine is not so slow that nothing was heard before
    says tablet '"cause":"near\.(too-far|no-anchor)"'
    replays tablet 3 "$(causes_of tablet | cut -d ' ' -f 1)"
}

a_broken_link_breaks_again() {
    random_file file 3000000
    air_is 'lan_rate 300000'
    share anchor --item "file=$dir/file"
    sync tablet
    type_code tablet anchor
    wait_for tablet '"event":"progress"' "$patience" 3
    faults 'blackhole ble' 'blackhole lan'
    finish tablet
    [ "$status" = 5 ] || fail "exit status $status: $(causes_of tablet)"
    report_of tablet
    replays tablet 5 "$(causes_of tablet | cut -d ' ' -f 1)"
}

# weaker KIND: the good report with 25 dB less in records of this kind.
weaker() {
    awk -v kind="\"e\":\"$1\"" 'index($0, kind) && match($0, /"dbm":-?[0-9]+/) {
        level = substr($0, RSTART + 6, RLENGTH - 6) - 25
        $0 = substr($0, 1, RSTART + 5) level substr($0, RSTART + RLENGTH)
    } { print }' "$dir/good" > "$dir/tablet.report"
}
# The engines decide by what was recorded, not by what they came to.
another_record_ends_otherwise() {
    random_file file 100000
    share anchor --once --item "file=$dir/file"
    sync tablet
    complete tablet anchor
    report_of tablet
    replays tablet 0 'done'
    cp "$dir/tablet.report" "$dir/good"
    # As from some three metres.
    weaker rssi
    run "$SIMHOP" replay --json "$dir/tablet.report"
    fails run 6 replay.differs
    says run '"recorded":"done","replayed":"near.too-far"'
    # And so was what was heard before.
    weaker heard
    run "$SIMHOP" replay "$dir/tablet.report"
    exits run 6
    grep -q 'recorded done, replayed near.too-far' "$dir/run.err" "$dir/run.out" || fail 'the search is not replayed'
}

bad_reports() {
    printf 'hello\n' > "$dir/bad"
    run "$SIMHOP" replay --json "$dir/bad"
    fails run 2 usage.bad-input
    printf '{"report":"simhop","format":1}\n{"e":"run","t":0}\n' > "$dir/bad"
    run "$SIMHOP" replay --json "$dir/bad"
    fails run 2 usage.bad-input
    says run '"detail":"line 2: '
    head -c 20000000 /dev/zero > "$dir/bad"
    run "$SIMHOP" replay --json "$dir/bad"
    fails run 2 usage.bad-input
    printf '{"report":"simhop","format":2}\n' > "$dir/bad"
    run "$SIMHOP" replay --json "$dir/bad"
    fails run 2 usage.bad-input
    run "$SIMHOP" replay --json "$dir/none"
    fails run 8 source.unreadable
}

it_overwrites_nothing() {
    echo mine > "$dir/there"
    run "$SIMHOP" report --json --no-doctor --state "$dir/state" --output "$dir/there"
    fails run 8 store.target-exists
    [ "$(cat "$dir/there")" = mine ] || fail 'it was overwritten'
    [ ! -e "$dir/state" ] || fail 'it made a state folder'
    "$SIMHOP" report --no-doctor --state "$dir/state" --output - > "$dir/printed" || fail "exit status $?"
    grep -q '^{"report":"simhop","format":1,' "$dir/printed" || fail 'nothing was printed'
}

only_the_last_runs_are_kept() {
    local i
    for i in 1 2 3 4 5 6 7 8 9 10; do
        run "$SIMHOP" sync --state "$dir/tablet.state" --radio "sim:$air" --name tablet --dir "$dir/tablet.dir" --deadline 0
        exits run 3
    done
    [ "$(ls "$dir/tablet.state/traces")" = "$(printf 'run-%08d.jsonl\n' 3 4 5 6 7 8 9 10)" ] || fail "kept: $(ls "$dir/tablet.state/traces")"
    # A record that cannot be written ends nothing.
    rm -r "$dir/tablet.state/traces"
    : > "$dir/tablet.state/traces"
    random_file file 1000
    share anchor --once --item "file=$dir/file"
    sync tablet
    complete tablet anchor
}

run_tests too_far_is_too_far_again a_deadline_in_a_trial_is_that_of_the_search a_broken_link_breaks_again nothing_secret_is_in_it \
    another_record_ends_otherwise bad_reports it_overwrites_nothing only_the_last_runs_are_kept

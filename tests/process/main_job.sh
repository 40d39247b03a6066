#!/bin/bash
# SPDX-License-Identifier: GPL-3.0-or-later
# The main job: a code is typed, bundle and files arrive, are the same, and are put to use; again without a code.
# valgrind
# shellcheck source=lib.bash
. "$(dirname "$0")/lib.bash"

make_bundle() {
    run "$SIMHOP" bundle create --from "$data_dir/bundle.json" --state "$dir/anchor.state" -o "$dir/lines.bundle"
    [ "$status" = 0 ] || fail "no bundle: $(cat "$dir/run.err")"
}

# done_of NAME ITEM KEY
done_of() {
    sed -n 's/.*"event":"done".*{"name":"'"$2"'",\([^}]*\)}.*/,\1,/p' "$dir/$1.out" |
        sed -n 's/.*,"'"$3"'":"\{0,1\}\([^",]*\)"\{0,1\},.*/\1/p'
}

# check_item DEVICE ITEM FILE: what its `done` says of it is so.
check_item() {
    [ "$(done_of "$1" "$2" size)" = "$(stat -c %s "$3")" ] || fail "$1: $2 has size $(done_of "$1" "$2" size)"
    [ "$(done_of "$1" "$2" sha256)" = "$(sha256sum < "$3" | cut -d' ' -f1)" ] ||
        fail "$1: the hash of $2 is not that of its file"
}

# check_bytes DEVICE [TWICE]: what came over the links is what the items hold, and what was there before. The anchor may have sent
# two leaves twice: those that LAN took over from BLE in the end.
check_bytes() {
    local sum=0 n total=0
    for n in $(sed -n 's/.*"event":"done".*"links":{\([^}]*\)}.*/\1/p' "$dir/$1.out" | tr ',' '\n' | cut -d: -f2); do
        sum=$((sum + n))
    done
    for n in $(grep '"event":"done"' "$dir/$1.out" | grep -o '"size":[0-9]*' | cut -d: -f2); do
        total=$((total + n))
    done
    sum=$((sum + $(done_number "$1" resumed)))
    [ "$sum" -ge "$total" ] && [ "$sum" -le $((total + ${2:-0} * 65536)) ] ||
        fail "$1: $sum bytes over links, items of $total bytes"
}

check_modes() {
    local odd
    odd=$(find "$dir/anchor.state" "$dir/tablet.state" "$dir/tablet.dir" -type f ! -perm 0600 -printf '%p %m ')
    [ -z "$odd" ] || fail "others may read $odd"
    odd=$(find "$dir/anchor.state" "$dir/tablet.state" "$dir/tablet.dir" -type d ! -perm 0700 -printf '%p %m ')
    [ -z "$odd" ] || fail "others may look into $odd"
}

check_keyfiles() {
    local files=("$dir/tablet.nm"/*.nmconnection) code=0
    [ "$(sed -n 's/^sim-id=//p' "${files[@]}" | sort -u | wc -l)" = 2 ] || fail "not a keyfile for each line"
    [ -z "$(find "$dir/tablet.nm" -type f ! -perm 0600)" ] || fail "a keyfile that others may read"
    grep -q '^network-id=' "${files[@]}" && fail "a keyfile with a network-id"
    "$tests_dir/nm_check.sh" "${files[@]}" 2> "$dir/nm.log" || code=$?
    case $code in
    0 | 77) ;;
    *) fail "NetworkManager does not take the keyfiles: $(head -n 1 "$dir/nm.log")" ;;
    esac
}

make_hook() {
    cat > "$dir/hook" << 'END'
#!/bin/bash
out=${0%/*}/hook.log
{
    echo "arguments $#"
    echo "path ${!#}"
    [ -r "${!#}" ] && echo "readable $(sha256sum < "${!#}" | cut -d' ' -f1)"
    env | sed 's/^/env /'
    for fd in /proc/self/fd/*; do
        case ${fd##*/} in
        0 | 1 | 2 | 255) ;;
        *) [ -e "$fd" ] && echo "open $(readlink "$fd")" ;;
        esac
    done
} >> "$out"
exit 0
END
    chmod +x "$dir/hook"
}

check_hook() {
    grep -qx "readable $(sha256sum < "$dir/big" | cut -d' ' -f1)" "$dir/hook.log" || fail "the hook did not get the file"
    [ "$(grep -c '^path .*\.bundle$' "$dir/hook.log")" = 1 ] || fail "the hook did not get the bundle"
    grep -q '^path /' "$dir/hook.log" || fail "the hook's path is not a full one"
    ! grep -q 'SECRET_OF_THE_CALLER' "$dir/hook.log" || fail "the hook sees the caller's environment"
    grep -q '^env PATH=' "$dir/hook.log" || fail "the hook has no PATH"
    ! grep -q '^open \(socket\|.*registry\|.*\.code\)' "$dir/hook.log" ||
        fail "the hook got $(grep -m 1 '^open \(socket\|.*registry\|.*\.code\)' "$dir/hook.log")"
}

bundle_and_file() {
    make_bundle
    make_hook
    mkdir "$dir/tablet.nm"
    random_file big 3000001
    export SECRET_OF_THE_CALLER=1 LD_LIBRARY_PATH_OF_NOBODY=SECRET_OF_THE_CALLER
    share anchor --once --bundle "$dir/lines.bundle" --item "big=$dir/big"
    sync tablet --hook "$dir/hook"
    type_code tablet anchor
    both_done anchor tablet
    same "$dir/big" "$dir/tablet.dir/big"
    check_item anchor big "$dir/big"
    check_item tablet big "$dir/big"
    check_item tablet bundle "$(done_of tablet bundle path)"
    [ "$(done_of tablet bundle sha256)" = "$(done_of anchor bundle sha256)" ] || fail "two bundles"
    [ "$(done_of tablet big path)" = "$dir/tablet.dir/big" ] || fail "its path is said to be $(done_of tablet big path)"
    check_bytes anchor 2
    check_bytes tablet
    [ "$(done_number tablet resumed)" = 0 ] || fail "something was there before"
    check_modes
    check_keyfiles
    check_hook
    says tablet '"event":"link".*"link":"ble","state":"up"'
    says tablet '"event":"link".*"link":"lan","state":"up"'
    says tablet '"event":"progress".*"item":"big","verified":3000001,"total":3000001'
    says anchor '"event":"progress".*"item":"big","verified":3000001,"total":3000001'
    never_says tablet "\\b$(shown_code anchor)\\b" # by chance it may stand in a hash
    [ ! -s "$dir/anchor.err" ] || fail "the anchor said on standard error: $(head -n 1 "$dir/anchor.err")"
    [ ! -s "$dir/tablet.err" ] || fail "the tablet said on standard error: $(head -n 1 "$dir/tablet.err")"
    nothing_left tablet
    again_without_a_code
}

again_without_a_code() {
    share anchor --once --bundle "$dir/lines.bundle" --item "big=$dir/big"
    sync tablet
    both_done anchor tablet
    never_says tablet '"event":"code-wanted"'
    never_says anchor '"event":"code"'
    [ "$(done_number tablet resumed)" -ge 3000001 ] || fail "the file was sent again"
    check_bytes tablet
    same "$dir/big" "$dir/tablet.dir/big"
    nothing_left tablet
    run "$SIMHOP" devices --json --state "$dir/anchor.state"
    says run '"count":1'
    run "$SIMHOP" devices show tablet --state "$dir/anchor.state"
    [ "$status" = 0 ] || fail "the anchor does not know the tablet"
    run "$SIMHOP" devices show anchor --state "$dir/tablet.state"
    [ "$status" = 0 ] || fail "the tablet does not know the anchor"
}

sizes() {
    local size options=()
    for size in 0 1 65535 65536 65537 131072 1000000; do
        random_file "f$size" $size
        options+=(--item "f$size=$dir/f$size")
    done
    share anchor --once "${options[@]}"
    sync tablet
    type_code tablet anchor
    both_done anchor tablet
    for size in 0 1 65535 65536 65537 131072 1000000; do
        same "$dir/f$size" "$dir/tablet.dir/f$size"
        check_item tablet "f$size" "$dir/f$size"
        check_item anchor "f$size" "$dir/f$size"
        says tablet "\"item\":\"f$size\",\"verified\":$size,\"total\":$size"
    done
    check_bytes tablet
    nothing_left tablet
}

# each_link_alone LINK
each_link_alone() {
    random_file file 200000
    share anchor --once --item "file=$dir/file"
    sync tablet --links "$1"
    type_code tablet anchor
    both_done anchor tablet
    same "$dir/file" "$dir/tablet.dir/file"
    [ "$(done_number tablet "$1")" = 200000 ] || fail "not all of it over $1"
    nothing_left tablet
}
over_ble_alone() {
    each_link_alone ble
}
over_lan_alone() {
    each_link_alone lan
}

lines_for_a_person() {
    local code i
    random_file file 100000
    start anchor "$SIMHOP" share --once --radio "sim:$air" --name anchor --state "$dir/anchor.state" --item "file=$dir/file"
    mkfifo "$dir/code"
    exec 5<> "$dir/code"
    input=$dir/code start tablet "$SIMHOP" sync --radio "sim:$air" --name tablet --state "$dir/tablet.state" --dir "$dir/out" \
        --no-install
    wait_for anchor '^ *Code for tablet:  [0-9]{3} [0-9]{3}$'
    wait_for tablet '^Type the code that anchor shows'
    code=$(sed -nE 's/^ *Code for tablet:  ([0-9]{3} [0-9]{3})$/\1/p' "$dir/anchor.out")
    printf '%s\n' "$code" >&5 # with the blank in the middle, as a person reads it
    exits tablet 0
    exits anchor 0
    same "$dir/file" "$dir/out/file"
    says tablet '^Distance  \[[#-]*\]  0\.[0-9] m  near$'
    says tablet '^file  \[############\] 100 %'
    for i in anchor tablet; do
        says "$i" '^Done: 1 item, 97\.7 KiB in [0-9.]+ s$'
        never_says "$i" '"event"'
        never_says "$i" $'[\r\e]'
        [ ! -s "$dir/$i.err" ] || fail "$i: standard error: $(head -n 1 "$dir/$i.err")"
    done
    says tablet "^  file  97\.7 KiB  -> $dir/out/file\$"
}

# Two tablets, one after the other, at one anchor that goes on; TERM is then no failure.
two_devices_and_term() {
    local name
    random_file file 100000
    share anchor --item "file=$dir/file"
    for name in tablet watch; do
        sync "$name" --kind "$name"
        type_code "$name" anchor "$([ "$name" = tablet ] && echo 1)"
        exits "$name" 0
        same "$dir/file" "$dir/$name.dir/file"
    done
    kill -TERM "${pid_of[anchor]}"
    dones=2 exits anchor 0
    nothing_left tablet watch
}

# As people expect who share a file, change it and share it again. A copy that somebody touched is his.
a_changed_file_takes_the_place_of_the_earlier() {
    random_file file 300000
    place anchor 0 tablet 0.2
    share anchor --once --item "file=$dir/file"
    sync tablet
    type_code tablet anchor
    both_done anchor tablet
    random_file file 400000
    share anchor --once --item "file=$dir/file"
    sync tablet
    both_done anchor tablet
    says tablet '"event":"note".*file changed on the other device'
    same "$dir/file" "$dir/tablet.dir/file"
    share anchor --once --item "file=$dir/file" # and that one is had
    sync tablet
    both_done anchor tablet
    never_says tablet '"event":"note".*changed'
    [ "$(done_number tablet resumed)" = 400000 ] || fail "$(done_number tablet resumed) octets were there"
    random_file file 500000
    echo mine >> "$dir/tablet.dir/file"
    cp "$dir/tablet.dir/file" "$dir/mine"
    share anchor --once --item "file=$dir/file"
    sync tablet
    fails tablet 8 store.target-exists
    same "$dir/mine" "$dir/tablet.dir/file"
    exits anchor 8
    nothing_left tablet
}

# octet FILE OFFSET: becomes another one.
octet() {
    local old
    old=$(od -An -tu1 -j "$2" -N 1 "$1")
    printf "\\x$(printf %x $(((old + 1) % 256)))" | dd of="$1" bs=1 seek="$2" conv=notrunc status=none
}

# Of 20 MiB one octet changes: two pieces at most are sent, one of them to see whether a fresh link carries. Then some are appended;
# then it is cut, and nothing is sent.
only_what_differs_is_sent() {
    local size=20971520
    random_file file $size
    place anchor 0 tablet 0.2
    share anchor --once --item "file=$dir/file"
    sync tablet
    type_code tablet anchor
    both_done anchor tablet
    octet "$dir/file" 12345678
    send_again $((size - 65536)) $((2 * 65536))
    says tablet '"event":"note".*file changed on the other device'
    head -c 100000 /dev/urandom >> "$dir/file"
    send_again $size $((4 * 65536))
    truncate -s 10000001 "$dir/file"
    send_again 10000001 0
}

# send_again RESUMED MOST: so much was here, and at most so much is sent.
send_again() {
    local link octets sent=0
    share anchor --once --item "file=$dir/file"
    sync tablet
    both_done anchor tablet
    same "$dir/file" "$dir/tablet.dir/file"
    check_bytes tablet
    [ "$(done_number tablet resumed)" = "$1" ] || fail "$(done_number tablet resumed) octets were here, not $1"
    for link in lan ble; do
        octets=$(done_number anchor "$link")
        sent=$((sent + ${octets:-0}))
    done
    [ "$sent" -le "$2" ] || fail "the anchor sent $sent octets"
    nothing_left tablet
}

# The source changes while it is sent: both say which one; and from the same anchor, which goes on, the next sync gets what
# differs.
changes_while_it_is_sent() {
    local size=6000000
    random_file file $size
    place anchor 0 tablet 0.2
    air_is 'lan_rate 500000' 'ble_rate 300000'
    share anchor --item "file=$dir/file"
    sync tablet
    type_code tablet anchor
    wait_for tablet '"event":"progress".*"verified":[1-9][0-9]{6}' || return
    octet "$dir/file" 5
    fails tablet 6 transfer.source-changed
    says tablet '"cause":"transfer.source-changed".*"detail":"file, said by the other device"'
    wait_for anchor "\"cause\":\"transfer.source-changed\".*$dir/file"
    [ ! -e "$dir/tablet.dir/file" ] || fail "a file is there"
    rm "$air/air"
    sync tablet
    exits tablet 0
    says tablet '"event":"note".*file changed on the other device; what was kept of it is used'
    same "$dir/file" "$dir/tablet.dir/file"
    check_bytes tablet
    [ "$(done_number tablet resumed)" -ge 900000 ] || fail "$(done_number tablet resumed) octets were here"
    kill -TERM "${pid_of[anchor]}"
    exits anchor 0
}

# To compare it with the little that is there the other device would have to read all of it before anything comes.
changes_when_little_is_kept() {
    random_file file 20000000
    place anchor 0 tablet 0.2
    air_is 'lan_rate 100000' 'ble_rate 30000'
    share anchor --item "file=$dir/file"
    sync tablet
    type_code tablet anchor
    wait_for tablet '"event":"progress".*"verified":[1-9][0-9]{4}' || return
    octet "$dir/file" 5
    fails tablet 6 transfer.source-changed
    rm "$air/air"
    sync tablet
    exits tablet 0
    says tablet '"event":"note".*file changed on the other device; so little was kept of it that all of it is fetched'
    same "$dir/file" "$dir/tablet.dir/file"
    check_bytes tablet
    [ "$(done_number tablet resumed)" = 0 ] || fail "$(done_number tablet resumed) octets were here"
    kill -TERM "${pid_of[anchor]}"
    exits anchor 0
}

run_tests only_what_differs_is_sent changes_while_it_is_sent changes_when_little_is_kept a_changed_file_takes_the_place_of_the_earlier bundle_and_file sizes over_ble_alone over_lan_alone lines_for_a_person two_devices_and_term

# SPDX-License-Identifier: GPL-3.0-or-later
# shellcheck shell=bash
# What the process tests share: source it, write a function for each test, end with `run_tests NAME...`.
#
# A test runs in a subshell of its own with a folder of its own, several at a time; what it starts it ends, on every way
# out. It calls fail to say what is wrong and goes on; the first words become "not ok NAME: ...". It has
#   $dir      its folder: $air, what the devices called N write ($dir/N.out, $dir/N.err), the state $dir/N.state
#   $status   of the command or device that ended last
set -u
: "${SIMHOP:?path of the program}"
SIMHOP=$(realpath "$SIMHOP")
tests_dir=$(dirname "$(realpath "${BASH_SOURCE[0]}")")
# shellcheck disable=SC2034 # for the scripts
data_dir=$(dirname "$tests_dir")/data
script_name=$(basename "$0" .sh)
at_once=${SIMHOP_TESTS_AT_ONCE:-8} # they mostly wait
# Seconds for anything that is waited for. They only end what hangs: no test tells by them how fast something is.
patience=90
export LC_ALL=C.UTF-8

shared_air= # the lab's radios have one air
work=$(mktemp -d "${TMPDIR:-/tmp}/simhop-$script_name.XXXXXX") || exit 1
running=()  # the tests' subshells
started=()  # a test's own processes
names=()    # and what they are called
mounted=()  # a test's folders
dir=$work air=$work why='' skipped='' status=0 reached_end=''
declare -A pid_of=() code_fd_of=() waited=()

is_alive() {
    kill -0 "$1" 2> /dev/null
}

# end_processes PID...: TERM, after three seconds KILL. Only those that still run: the number of one that ended may be another's by now.
end_processes() {
    local pid i ours=() alive
    alive=" $(jobs -pr | tr '\n' ' ') $(jobs -ps | tr '\n' ' ') "
    for pid; do
        [[ $alive != *" $pid "* ]] || ours+=("$pid")
    done
    for pid in ${ours[@]+"${ours[@]}"}; do
        kill -TERM "$pid" 2> /dev/null
    done
    for pid in ${ours[@]+"${ours[@]}"}; do
        for ((i = 0; i < 60; i++)); do
            is_alive "$pid" || break
            sleep 0.05
        done
        kill -KILL "$pid" 2> /dev/null
        wait "$pid" 2> /dev/null
    done
}

leave() {
    trap '' INT TERM HUP
    end_processes ${running[@]+"${running[@]}"}
    case $work in
    */simhop-"$script_name".??????) rm -rf "$work" ;;
    esac
}
trap leave EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
trap 'exit 129' HUP

# Dies with this shell even where that is killed; and a shell gives its background jobs SIGINT ignored, a person's does not.
bound=()
if setpriv --pdeathsig KILL true 2> /dev/null; then
    bound+=(setpriv --pdeathsig KILL)
fi
if env --default-signal=INT,QUIT true 2> /dev/null; then
    bound+=(env "--default-signal=INT,QUIT")
fi

# ---- Tests -------------------------------------------------------------------------------------

fail() {
    why=${why:+$why; }$1
}
# skip_test WHY: nothing more is looked at.
skip_test() {
    skipped=$1
    exit 0
}

end_test() {
    trap '' INT TERM HUP
    end_processes ${started[@]+"${started[@]}"}
    for folder in ${mounted[@]+"${mounted[@]}"}; do
        umount -l "$folder"
    done
    # A mistake in it ends the shell, and says nothing here.
    [ -n "$skipped$reached_end" ] || fail "the test was left in its midst"
    if [ -n "$skipped" ]; then
        echo "skip $test: $skipped"
    elif [ -n "$why" ]; then
        echo "not ok $test: $(tr '\n' ' ' <<< "$why" | cut -c 1-700)"
        show_logs >&2
        exit 1
    else
        echo "ok $test"
    fi
    exit 0
}

show_logs() {
    local name
    for name in ${names[@]+"${names[@]}"}; do
        echo "---- $test: $name"
        grep -hv '"event":"proximity"' "$dir/$name.out" | cut -c 1-600 | tail -n 25
        tail -n 40 "$dir/$name.err" | cut -c 1-400
    done
}

one_test() {
    test=$1
    dir=$work/$test
    air=${shared_air:-$dir/air}
    trap end_test EXIT
    trap 'exit 130' INT
    trap 'exit 143' TERM HUP
    mkdir -p "$dir" "$air" || fail "no folder"
    "$test" < /dev/null
    reached_end=yes
    exit 0
}

# run_tests NAME...: the functions of these names (or those that SIMHOP_TESTS names); exits.
run_tests() {
    local failed=0 name only=" ${SIMHOP_TESTS-} "
    for name; do
        [ "$only" = '  ' ] || [[ $only == *" $name "* ]] || continue
        while [ "$(jobs -pr | wc -l)" -ge "$at_once" ]; do
            wait -n || failed=1
        done
        one_test "$name" &
        running+=($!)
    done
    for name in ${running[@]+"${running[@]}"}; do
        wait "$name" || failed=1
    done
    running=()
    exit $failed
}

# skip_script WHY TEST...: none of these can be run here.
skip_script() {
    local reason=$1 name
    shift
    for name; do
        echo "skip $name: $reason"
    done
    exit 0
}

is_sanitized() {
    grep -qa __asan_init "$SIMHOP"
}

# ---- Devices -----------------------------------------------------------------------------------

# start NAME COMMAND...: in the background; its output goes to $dir/NAME.out and NAME.err, which are begun anew.
start() {
    local name=$1
    shift
    : > "$dir/$name.out"
    : > "$dir/$name.err"
    "${bound[@]}" "$@" > "$dir/$name.out" 2> "$dir/$name.err" < "${input:-/dev/null}" &
    pid_of[$name]=$!
    unset "waited[$name]"
    started+=($!)
    [[ " ${names[*]-} " == *" $name "* ]] || names+=("$name")
}

# share NAME OPTIONS...: an anchor that says JSON.
share() {
    local name=$1
    shift
    start "$name" "$SIMHOP" share --json --radio "sim:$air" --name "$name" --state "$dir/$name.state" "$@"
    wait_for "$name" '"phase":"discover"'
}

# sync NAME OPTIONS...: a secondary that reads its code from a pipe that stays open (see type_code).
sync() {
    local name=$1 fd
    shift
    if [ -z "${code_fd_of[$name]-}" ]; then
        mkfifo "$dir/$name.code" || fail "no pipe"
        exec {fd}<> "$dir/$name.code"
        code_fd_of[$name]=$fd
    fi
    input=$dir/$name.code start "$name" "$SIMHOP" sync --json --radio "sim:$air" --name "$name" --state "$dir/$name.state" \
        --code-fd 0 --dir "$dir/$name.dir" --nm-dir "$dir/$name.nm" "$@"
}

# place NAME X...: where they stand, in metres on one line.
place() {
    local text=
    while [ $# -gt 0 ]; do
        text+="$1 $2 0"$'\n'
        shift 2
    done
    printf '%s' "$text" > "$air/positions.new"
    mv "$air/positions.new" "$air/positions"
}
# faults LINE...: takes the place of those before.
faults() {
    printf '%s\n' "$@" > "$air/faults.new"
    mv "$air/faults.new" "$air/faults"
}
# air_is LINE...
air_is() {
    printf '%s\n' "$@" > "$air/air.new"
    mv "$air/air.new" "$air/air"
}

# wait_for NAME PATTERN [SECONDS [COUNT]]: until the device has said it (COUNT times); false if it ends before or takes too long.
wait_for() {
    local name=$1 pattern=$2 until=$((SECONDS + ${3:-patience})) count=${4:-1} last=
    while :; do
        [ "$(grep -cE -- "$pattern" "$dir/$name.out")" -ge "$count" ] && return
        if [ -n "$last" ]; then
            fail "$name never said $pattern (x$count)${last:+: $last}$(causes_of "$name")"
            return 1
        fi
        is_alive "${pid_of[$name]}" || last='it ended '
        [ "$SECONDS" -lt "$until" ] || last='not in time '
        sleep 0.05
    done
}

causes_of() {
    sed -n 's/.*"event":"cause".*"cause":"\([^"]*\)".*"detail":\("[^"]*"\|null\).*/\1 \2/p' "$dir/$1.out" | tr '\n' ' '
}
shown_code() {
    sed -n 's/.*"event":"code".*"code":"\([0-9]*\)".*/\1/p' "$dir/$1.out" | tail -n 1
}
type_line() {
    printf '%s\n' "$2" >&"${code_fd_of[$1]}"
}
# type_code SECONDARY ANCHOR [RUN]: waits for the code and types it.
type_code() {
    wait_for "$1" '"event":"code-wanted"' "$patience" "${3:-1}" &&
        wait_for "$2" '"event":"code"' "$patience" "${3:-1}" &&
        type_line "$1" "$(shown_code "$2")"
}
another_code() {
    printf '%06d' $(((10#$1 + 1) % 1000000))
}

# finish NAME [SECONDS]: waits for its end; $status.
finish() {
    local name=$1 pid=${pid_of[$1]} limit=${2:-$patience}
    local until=$((SECONDS + limit))
    if [ -z "${waited[$name]-}" ]; then
        while is_alive "$pid" && [ "$SECONDS" -lt "$until" ]; do
            sleep 0.05
        done
        if is_alive "$pid"; then
            fail "$name did not end within $limit s"
            kill -ABRT "$pid" 2> /dev/null
        fi
        status=0
        wait "$pid" || status=$?
        waited[$name]=$status
        look_at_output "$name"
    fi
    status=${waited[$name]}
}

# What no run of the program may say.
look_at_output() {
    if grep -qE 'Sanitizer|runtime error:|internal\.bug' "$dir/$1.err"; then
        fail "$1: $(grep -hE 'Sanitizer|runtime error:|internal\.bug' "$dir/$1.err" | head -n 2)"
    fi
    if grep -qv '^{"event":"[a-z-]*","t":[0-9.]*[,}]' "$dir/$1.out" && grep -q '^{' "$dir/$1.out"; then
        fail "$1 said what is no event: $(grep -v '^{"event"' "$dir/$1.out" | head -n 1)"
    fi
    if [ "$(grep -c '"event":"done"' "$dir/$1.out")" -gt "${dones:-1}" ]; then
        fail "$1 said done more often than ${dones:-1}"
    fi
}

# exits NAME STATUS [SECONDS]: it ends, with this status.
exits() {
    finish "$1" "${3:-$patience}"
    [ "$status" = "$2" ] || fail "$1: exit status $status, not $2: $(causes_of "$1")"
}
# fails NAME STATUS CAUSE [SECONDS]: it ends with this status and says this cause, once, last and on both streams.
fails() {
    local cause=${3//./\\.}
    exits "$1" "$2" "${4:-$patience}"
    says "$1" "\"event\":\"cause\".*\"cause\":\"$cause\""
    [ "$(grep -c '"event":"cause"' "$dir/$1.out")" = 1 ] || fail "$1: not one cause: $(causes_of "$1")"
    tail -n 1 "$dir/$1.out" | grep -q '"event":"cause"' || fail "$1: the cause is not the last thing said"
    grep -q "^simhop: .*($cause)" "$dir/$1.err" || fail "$1: standard error does not say $3"
    grep -q '^  Next: ' "$dir/$1.err" || fail "$1: no next step"
}
says() {
    grep -qE -- "$2" "$dir/$1.out" || fail "$1 does not say $2: $(causes_of "$1")"
}
never_says() {
    ! grep -qE -- "$2" "$dir/$1.out" || fail "$1 says $(grep -E -m 1 -- "$2" "$dir/$1.out" | cut -c 1-200)"
}
both_done() {
    exits "$2" 0 "${3:-$patience}"
    says "$2" '"event":"done"'
    exits "$1" 0
    says "$1" '"event":"done"'
}
# done_number NAME KEY: a number of its `done`.
done_number() {
    sed -n 's/.*"event":"done".*"'"$2"'":\([0-9.]*\).*/\1/p' "$dir/$1.out" | tail -n 1
}
same() {
    cmp -s "$1" "$2" || fail "$(basename "$1") and ${2#"$dir"/} are not the same"
}
# Nothing of ours in the air but what the test put there, no half file beside those that arrived.
nothing_left() {
    local left
    left=$(find "$air" -mindepth 1 ! -name positions ! -name air ! -name faults -printf '%f ')
    [ -z "$left" ] || fail "left in the air: $left"
    for name; do
        [ -d "$dir/$name.dir" ] || continue
        left=$(find "$dir/$name.dir" "$dir/$name.state/incoming" -name '.simhop*' -printf '%f ' 2> /dev/null)
        [ -z "$left" ] || fail "$name: left over: $left"
    done
}
random_file() {
    head -c "$2" /dev/urandom > "$dir/$1"
}

# ---- Disks -------------------------------------------------------------------------------------

# own_mounts: starts the script again where what it mounts is seen by nobody else and ends with it; where that is not allowed,
# small_disk and read_only skip their tests.
own_mounts() {
    local way
    [ -z "${SIMHOP_TESTS_MOUNTS-}" ] || return 0
    # In a chroot the root is no mount point, so its propagation cannot be changed.
    for way in 'unshare --mount' 'unshare --user --map-root-user --mount' 'unshare --mount --propagation unchanged'; do
        if $way sh -c 'mount -t tmpfs none /mnt && umount /mnt' 2> /dev/null; then
            rm -rf "$work"
            # shellcheck disable=SC2086 # words
            SIMHOP_TESTS_MOUNTS=own exec $way "$0"
        fi
    done
}
mount_or_skip() {
    [ "${SIMHOP_TESTS_MOUNTS-}" = own ] || skip_test 'nothing can be mounted here'
    mount "$@" || skip_test 'nothing can be mounted here'
    mounted+=("${!#}")
}
# small_disk FOLDER KIB
small_disk() {
    mkdir "$1"
    mount_or_skip -t tmpfs -o "size=${2}k,mode=700" none "$1"
}
# read_only FOLDER: as it is, but nothing can be written.
read_only() {
    mount_or_skip --bind "$1" "$1"
    mount -o remount,bind,ro "$1"
}

# run COMMAND...: to its end; $status, $dir/run.out and run.err.
run() {
    start run "$@"
    finish run
}

# complete SECONDARY ANCHOR [SECONDS]: types the code if one is wanted; both end with done.
complete() {
    wait_for "$1" '"event":"(code-wanted|done)"|"phase":"transfer"' || return
    if grep -q '"event":"code-wanted"' "$dir/$1.out"; then
        type_code "$1" "$2"
    fi
    both_done "$2" "$1" "${3:-$patience}"
}

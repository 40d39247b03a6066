#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# Does NetworkManager's own parser take these keyfiles, with every value in them?
# usage: nm_check.sh FILE...     exit status: 0 yes, 1 no (stderr says why), 2 usage, 77 no nmcli here
#
# `nmcli --offline connection modify` reads a keyfile on stdin and prints what it understood; no daemon is needed.
# Setting an empty zone changes nothing. A key that comes back missing or changed was not understood.
set -u

[ $# -gt 0 ] || { echo "usage: $0 FILE..." >&2; exit 2; }
if ! nmcli --offline connection add type dummy ifname any0 >/dev/null 2>&1; then
    echo "nm_check: no nmcli with --offline here" >&2
    exit 77
fi

# "section.key=value" a line; \s is a space, which NetworkManager escapes only at the beginning.
flatten() {
    awk '/^\[.*\]$/ { section = substr($0, 2, length($0) - 2); next }
         /^[^#].*=/ { gsub(/\\s/, " "); print section "." $0 }' "$@"
}

work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
failed=0
for file in "$@"; do
    if ! (umask 077 && LC_ALL=C.UTF-8 nmcli --offline connection modify connection.zone '' \
            <"$file" >"$work/out" 2>"$work/err"); then
        echo "nm_check: $file: refused: $(head -n 1 "$work/err")" >&2
        failed=1
        continue
    fi
    flatten "$file" >"$work/wanted" && flatten "$work/out" >"$work/got"
    [ -s "$work/wanted" ] || { echo "nm_check: $file: nothing in it" >&2; failed=1; }
    # Only the names are shown: a value may be a password.
    lost=$(grep -vxFf "$work/got" "$work/wanted" | cut -d= -f1 | tr "\n" " ")
    if [ -n "$lost" ]; then
        echo "nm_check: $file: not understood: $lost" >&2
        failed=1
    fi
    if [ "$(stat -c %a "$file")" != 600 ]; then
        echo "nm_check: $file: NetworkManager ignores files that others may read" >&2
        failed=1
    fi
done
exit "$failed"

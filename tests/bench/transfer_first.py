# SPDX-License-Identifier: GPL-3.0-or-later
"""How soon the first verified piece is here, from 4 KiB to 10 GiB: does that depend on the size?

The sizes take turns. The clock starts with the receiver's command and stops when that says that a piece is verified; then both sides are
killed, so that no time goes into the rest. What is sent is a file of nothing but holes: no disk is read for it, and none is filled.
"""
import json
import os
import shutil
import statistics
import subprocess
import time

KIB, MIB, GIB = 1 << 10, 1 << 20, 1 << 30
SIZES = ((4 * KIB, '4 KiB'), (MIB, '1 MiB'), (50 * MIB, '50 MiB'), (GIB, '1 GiB'), (10 * GIB, '10 GiB'))
ROUNDS, QUICK_ROUNDS, QUICK_SIZES = 15, 1, 2
LIMIT_S = 20
AIM = 1.2


def verified(line):
    try:
        event = json.loads(line)
    except ValueError:
        return False
    return event.get('event') == 'progress' and event['verified'] > 0


def one(lab, peer, size, name):
    """Seconds until the first piece; None: none came."""
    with open(lab.source(name), 'wb') as source:
        source.truncate(size)
    anchor = peer.share(name, once=False)
    command, _, _ = peer.fetch(name, lab.target(name))
    started = time.monotonic()
    tablet = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    seconds = None
    try:
        for line in tablet.stdout:
            if verified(line):
                seconds = time.monotonic() - started
                break
            if time.monotonic() - started > LIMIT_S:
                break
    finally:
        for child in (tablet, anchor):
            child.kill()
            child.wait()
        tablet.stdout.close()
        os.unlink(lab.source(name))
        folder = os.path.dirname(lab.target(name))
        shutil.rmtree(os.path.join(folder, '.simhop'), ignore_errors=True)
        if os.path.exists(lab.target(name)):
            os.unlink(lab.target(name))
    return seconds


def fitting(lab, quick, say):
    """A receiver that has no room for all of it does not begin."""
    disk = os.statvfs(lab.work)
    free = disk.f_bavail * disk.f_frsize - GIB
    fit = [entry for entry in SIZES[:QUICK_SIZES if quick else None] if entry[0] <= free]
    for _, text in SIZES[len(fit):] if not quick else ():
        say('the first piece of %s is left out: there is no room for it' % text)
    return fit


def measure(lab, peer, quick, say):
    runs, sizes = [], fitting(lab, quick, say)
    for number in range(QUICK_ROUNDS if quick else ROUNDS):
        turn = number % max(len(sizes), 1)
        for size, text in sizes[turn:] + sizes[:turn]:
            seconds = one(lab, peer, size, 'first-%d-%d' % (number, size))
            runs.append({'round': number + 1, 'size': size, 'seconds': seconds})
            if seconds is None:
                runs[-1]['failed'] = 'no piece'
                say('the first piece of %s did not come' % text)
    say('the first piece of each size: done')
    return runs


def of_size(result, size):
    return [run['seconds'] for run in result['first'] if run['size'] == size and run['seconds'] is not None]


def tables(result, table):
    rows = []
    for size, text in SIZES:
        found = of_size(result, size)
        if found:
            rows.append([text] + ['%.1f' % (1000 * value) for value in (statistics.median(found), min(found), max(found))])
    return [table(['size', 'first verified piece, ms since the command, median', 'least', 'most'], rows)]


def judge_all(result, judge):
    medians = [statistics.median(of_size(result, size)) for size, _ in SIZES if of_size(result, size)]
    if len(medians) > 1:
        judge('first verified piece since the command, 4 KiB to 10 GiB, slowest size over quickest', max(medians) / min(medians), AIM, 'times')

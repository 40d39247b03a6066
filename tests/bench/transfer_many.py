# SPDX-License-Identifier: GPL-3.0-or-later
"""Many secondaries at one anchor: runs bench_many (its head says what it does) with more and more of them, in turns, and tells what came of it.

The anchor is in the far namespace, all secondaries are in the near one. A round has one run of each number, every other round from
the many to the few; a number is compared with the single one of the same round only.
"""
import json
import os
import shutil
import statistics
import subprocess
import sys

from transfer_peers import FAR

MIB = 1 << 20
ITEM = 64 * MIB
COUNTS, ROUNDS, SECONDS = (1, 10, 50, 100, 250, 500), 3, 5
QUICK_COUNTS, QUICK_SECONDS = (1, 8), 0.5
AIMS = {'ratio': 0.9, 'first_p99_s': 1.0, 'kib_each': 64.0, 'jain': 0.95}


def one(lab, program, driver, count, seconds, tag):
    """One run; what bench_many says, or why it says nothing."""
    folder = os.path.join(lab.work, 'many-%s' % tag)
    state, air = os.path.join(folder, 'anchor'), os.path.join(folder, 'air')
    os.makedirs(air)
    command = [driver, state, str(count), str(seconds), FAR] + lab.far(
        program, 'share', '--json', '--radio', 'sim:' + air, '--name', 'anchor', '--state', state, '--at-once', '1000',
        '--item', 'item=' + lab.source('many'))
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=300)
    shutil.rmtree(folder)
    if done.returncode != 0:
        return {'count': count, 'failed': done.stderr.strip()[-300:] or 'status %d' % done.returncode}
    return json.loads(done.stdout)


def measure(lab, program, driver, quick, say):
    """All runs, with what they are relative to the single secondary of their round."""
    counts, rounds, seconds = (QUICK_COUNTS, 1, QUICK_SECONDS) if quick else (COUNTS, ROUNDS, SECONDS)
    lab.make_source('many', ITEM)
    runs = []
    for number in range(rounds):
        turn = [one(lab, program, driver, count, seconds, '%d-%d' % (number, count))
                for count in (counts[::-1] if number % 2 else counts)]
        single = next((run for run in turn if run['count'] == 1 and not run.get('failed')), None)
        for run in turn:
            run['round'] = number + 1
            if run.get('failed'):
                say('%d at once failed: %s' % (run['count'], run['failed']))
            elif single and single['mib_s'] > 0:
                run['ratio'] = run['mib_s'] / single['mib_s']
                if run['count'] > 1:
                    run['kib_each'] = (run['rss_kib'] - single['rss_kib']) / (run['count'] - 1)
            if not run.get('failed') and run['octets']:
                run['cpu_s_gib'] = run['anchor_cpu_s'] / run['octets'] * (1 << 30)
                run['begin_ms'] = 1000 * run['start_anchor_cpu_s'] / run['count']
        runs += turn
        say('many, round %d of %d: done' % (number + 1, rounds))
    os.unlink(lab.source('many'))
    return runs


# ---- The report --------------------------------------------------------------------------------

def median(runs, count, key):
    values = [run[key] for run in runs if run['count'] == count and run.get(key) is not None]
    return statistics.median(values) if values else None


def cell(runs, count, key, form, factor=1.0):
    values = [run[key] * factor for run in runs if run['count'] == count and run.get(key) is not None]
    if not values:
        return '-'
    if len(values) == 1:
        return form % values[0]
    return '%s (%s to %s)' % tuple(form % value for value in (statistics.median(values), min(values), max(values)))


COLUMNS = (('MiB/s, all together', 'mib_s', '%.0f', 1), ('of a single one', 'ratio', '%.0f %%', 100),
           ('first verified byte, median, s', 'first_p50_s', '%.3f', 1), ('99 of 100, s', 'first_p99_s', '%.3f', 1),
           ('Jain', 'jain', '%.3f', 1), ('anchor\'s RSS, MiB', 'rss_kib', '%.1f', 1 / 1024),
           ('KiB for each further one', 'kib_each', '%.0f', 1))
COSTS = (('anchor\'s CPU s/GiB', 'cpu_s_gib', '%.2f', 1), ('CPU ms to begin with one, anchor', 'begin_ms', '%.2f', 1))


def rows_of(runs, columns):
    good = [run for run in runs if not run.get('failed')]
    counts = sorted({run['count'] for run in good})
    return [[str(count)] + [cell(good, count, key, form, factor) for _, key, form, factor in columns] for count in counts]


def tables(result, table):
    runs = result['many']
    first = table(['secondaries at once'] + [name for name, *_ in COLUMNS], rows_of(runs, COLUMNS))
    second = table(['secondaries at once'] + [name for name, *_ in COSTS], rows_of(runs, COSTS))
    lost = sum(run.get('lost', 0) for run in runs)
    starved = sum(run['count'] - run['served'] for run in runs if not run.get('failed'))
    return [first, second, 'Sessions that ended before their time: %d. Secondaries that got nothing: %d.' % (lost, starved)]


def judge_all(result, judge):
    """The aims for the largest number; judge is that of the report."""
    runs = [run for run in result['many'] if not run.get('failed')]
    if not runs:
        return
    most = max(run['count'] for run in runs)
    if most < COUNTS[-1]:
        return
    name = '%d at once: ' % most
    judge(name + 'throughput, of a single one', median(runs, most, 'ratio'), AIMS['ratio'], 'times', less=False)
    judge(name + 'first verified byte, 99 of 100', median(runs, most, 'first_p99_s'), AIMS['first_p99_s'], 's')
    judge(name + 'memory of the anchor for each', median(runs, most, 'kib_each'), AIMS['kib_each'], 'KiB')
    judge(name + 'Jain index', median(runs, most, 'jain'), AIMS['jain'], 'of 1', less=False)


PANELS = (('MiB/s, all together', (('mib_s', 1, 'all together'),)),
          ('seconds to the first verified byte', (('first_p50_s', 1, 'median'), ('first_p99_s', 1, '99 of 100'))),
          ('resident memory of the anchor, MiB', (('rss_kib', 1 / 1024, 'all together'),)),
          ('anchor\'s CPU seconds for a GiB', (('cpu_s_gib', 1, 'while all pull'),)))


def plot(result, path, gnuplot, environment):
    """Four panels over the number of secondaries; medians."""
    runs = [run for run in result['many'] if not run.get('failed')]
    counts = sorted({run['count'] for run in runs})
    lines = ["set terminal pngcairo size 1240,800 font 'DejaVu Sans,10' noenhanced", "set output '%s'" % path,
             'set multiplot layout 2,2', 'set grid', "set xlabel 'secondaries at once'", 'set key bottom right', 'set yrange [0:*]']
    for panel, (title, curves) in enumerate(PANELS):
        lines.append("set title '%s'" % title.replace("'", "''"))
        drawn = []
        for number, (key, factor, name) in enumerate(curves):
            points = [(count, median(runs, count, key)) for count in counts]
            block = '\n'.join('%d %g' % (count, value * factor) for count, value in points if value is not None)
            lines.append('$d%d%d << END\n%s\nEND' % (panel, number, block))
            drawn.append("$d%d%d with linespoints lw 2 pt 7 ps 0.7 title '%s'" % (panel, number, name))
        lines.append('plot ' + ', '.join(drawn))
    lines.append('unset multiplot')
    done = subprocess.run([gnuplot], input='\n'.join(lines) + '\n', capture_output=True, text=True, env=environment)
    if done.returncode:
        print('bench: no plot of many: %s' % done.stderr.strip()[-300:], file=sys.stderr)

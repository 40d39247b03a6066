# SPDX-License-Identifier: GPL-3.0-or-later
"""What transfer-bench measured, as tables (also on standard output), as JSON and as a plot."""
import json
import os
import shutil
import statistics
import subprocess
import sys

import transfer_first
import transfer_many

KIB, MIB, GIB = 1 << 10, 1 << 20, 1 << 30
FRAME, SEGMENT = 1514, 1448  # a full Ethernet frame, and what of it is the stream's


def size_name(size):
    for unit, name in ((GIB, 'GiB'), (MIB, 'MiB'), (KIB, 'KiB')):
        if size >= unit:
            return '%d %s' % (size // unit, name)
    return '%d' % size


def digits(value):
    return '%.4f' % value if 0 < value < 0.01 else '%.3f' % value if value < 10 else '%.1f' % value if value < 1000 else '%.0f' % value


class Measured:
    """The runs, asked by link, peer and size."""

    def __init__(self, result):
        self.result = result
        self.runs = [run for run in result['runs'] if not run.get('failed')]
        self.peers = list(result['peers'])
        self.links = list(dict.fromkeys(run['link'] for run in self.runs))

    def sizes(self, link):
        return sorted({run['size'] for run in self.runs if run['link'] == link})

    def values(self, key, link, peer, size):
        return [run[key] for run in self.runs
                if (run['link'], run['peer'], run['size']) == (link, peer, size) and run.get(key) is not None]

    def median(self, key, link, peer, size):
        values = self.values(key, link, peer, size)
        return statistics.median(values) if values else None

    def cell(self, key, link, peer, size):
        values = self.values(key, link, peer, size)
        if not values:
            return '-'
        if len(values) == 1:
            return digits(values[0])
        return '%s (%s to %s)' % tuple(map(digits, (statistics.median(values), min(values), max(values))))


def table(head, rows):
    lines = ['| %s |' % ' | '.join(head), '|%s' % ('---|' * len(head))]
    return '\n'.join(lines + ['| %s |' % ' | '.join(row) for row in rows])


def floor_of(size, mbit):
    """Seconds that the frames of so many octets take."""
    return size * FRAME / SEGMENT * 8 / (mbit * 1e6)


def head(result):
    machine = result['machine']
    lines = ['%s: %d cores of %s (%s), %d GiB, Linux %s, %s, TCP %s, %s; load %.1f before, %.1f after.'
             % (result['date'], machine['cores'], machine['processor'], machine['architecture'], machine['memory_gib'],
                machine['kernel'], machine['disk'], machine['tcp'], machine['openssl'], machine['load_before'],
                machine['load_after']), '']
    lines += ['- %s: %s (%s)' % (name, peer['what'], peer['version']) for name, peer in result['peers'].items()]
    lines += ['- %s: left out, %s' % item for item in result['absent'].items()]
    return '\n'.join(lines)


def times(measured, link):
    sizes = measured.sizes(link)
    rows = [[peer] + [measured.cell('seconds', link, peer, size) for size in sizes] for peer in measured.peers]
    rows.insert(1, ['simhop, link to done'] + [measured.cell('link_to_done_s', link, 'simhop', size) for size in sizes])
    if link == 'shaped':
        rows.append(['(the frames alone)'] + [digits(floor_of(size, measured.result['rate_mbit'])) for size in sizes])
    return table(['seconds, median (least to most)'] + [size_name(size) for size in sizes], rows)


def costs(measured, link, size):
    rows = []
    for peer in measured.peers:
        seconds = measured.median('seconds', link, peer, size)
        if seconds is None:
            continue
        own = measured.median('link_to_done_s', link, peer, size)
        rate = digits(size / MIB / seconds) + (' (%s from link to done)' % digits(size / MIB / own) if own else '')
        cpu = [measured.median(key, link, peer, size) * GIB / size for key in ('cpu_sender_s', 'cpu_receiver_s')]
        rss = [measured.median(key, link, peer, size) / KIB for key in ('rss_sender_kib', 'rss_receiver_kib')]
        rows.append([peer, rate, '%.2f + %.2f = %.2f' % (*cpu, sum(cpu)), '%.1f + %.1f' % tuple(rss),
                     '%.2f %%' % (100 * (measured.median('wire', link, peer, size) / size - 1))])
    return table(['%s, %s' % (size_name(size), link), 'MiB/s', 'CPU s/GiB, sender + receiver',
                  'peak RSS MiB, sender + receiver', 'wire beyond the file'], rows)


def phases(measured, link):
    keys = (('discover_s', 'start to measure'), ('measure_s', 'measure'), ('enrol_s', 'enrol'),
            ('link_to_first_byte_s', 'link to first verified byte'), ('link_to_done_s', 'link to done'), ('seconds', 'whole command'))
    rows = [[size_name(size)] + [measured.cell(key, link, 'simhop', size) for key, _ in keys] for size in measured.sizes(link)]
    return table(['simhop, %s, seconds' % link] + [name for _, name in keys], rows)


def killed(measured):
    """What had come over the link but was not kept is in flight: in the kernel's buffers, or not verified yet."""
    result, rows = measured.result, []
    link = measured.links[-1]
    for peer in dict.fromkeys(kill['peer'] for kill in result['kills']):
        of_peer = [kill for kill in result['kills'] if kill['peer'] == peer]
        good = [kill for kill in of_peer if kill['same'] and kill['was_killed']]
        if not good:
            rows.append([peer, '0 of %d' % len(of_peer), '-', '-', '-', '-'])
            continue
        middle = {key: statistics.median([kill[key] for kill in good])
                  for key in ('arrived_wire', 'kept', 'sent_in_the_end', 'sent_again')}
        arrived = middle['arrived_wire'] * 50 * MIB / measured.median('wire', link, peer, 50 * MIB)
        rows.append([peer, '%d of %d' % (len(good), len(of_peer)), '%.2f' % (middle['kept'] / MIB),
                     '%.2f' % ((arrived - middle['kept']) / MIB), '%.2f' % (middle['sent_in_the_end'] / MIB),
                     '%.0f KiB' % (middle['sent_again'] / KIB)])
    return table(['256 MiB, %s, receiver killed at half' % link, 'the same file in the end', 'MiB kept',
                  'MiB in flight, lost', 'MiB sent by the second run', 'of it, what had been kept'], rows)


# ---- Targets -----------------------------------------------------------------------------------

def targets(measured):
    """Each as (what is wanted, what was found, reached or not); only those that were measured."""
    found, median = [], measured.median
    largest = max(measured.sizes('unshaped'), default=0)

    def judge(text, value, limit, unit, less=True):
        if value is not None and limit is not None:
            reached = value <= limit if less else value >= limit
            found.append([text, '%s %s, wanted %s %s %s' % (digits(value), unit, 'at most' if less else 'at least', digits(limit),
                                                            unit), 'yes' if reached else 'no'])

    if largest >= GIB:
        for key, name in (('seconds', 'the whole command'), ('link_to_done_s', 'from link to done')):
            ours, theirs = median(key, 'unshaped', 'simhop', GIB), median('seconds', 'unshaped', 'nc', GIB)
            if ours and theirs:
                judge('1 GiB unshaped as fast as nc, ' + name, 1024 / ours, 1024 / theirs, 'MiB/s', less=False)
    if 50 * MIB in measured.sizes('shaped'):
        for key, name in (('seconds', 'the whole command'), ('link_to_done_s', 'from link to done')):
            judge('50 MiB shaped within 2 % of the frames alone, ' + name, median(key, 'shaped', 'simhop', 50 * MIB),
                  1.02 * floor_of(50 * MIB, measured.result['rate_mbit']), 's')
    nc = median('seconds', 'unshaped', 'nc', 4 * KIB)
    if nc:
        for key, name in (('seconds', 'the whole command'), ('link_to_done_s', 'from link to done')):
            judge('4 KiB resync within nc\'s time + 30 ms, ' + name, median(key, 'unshaped', 'simhop', 4 * KIB), nc + 0.03, 's')
    transfer_many.judge_all(measured.result, judge)
    transfer_first.judge_all(measured.result, judge)
    if largest >= 50 * MIB:
        for side in ('sender', 'receiver'):
            peak = median('rss_%s_kib' % side, 'unshaped', 'simhop', largest)
            judge('peak memory at %s, %s' % (size_name(largest), side), None if peak is None else peak / KIB, 10, 'MiB')

    def cpu(peer):
        both = [median(key, 'unshaped', peer, GIB) for key in ('cpu_sender_s', 'cpu_receiver_s')]
        return None if None in both else sum(both)

    judge('CPU for 1 GiB, both sides, no more than socat', cpu('simhop'), cpu('socat'), 's')
    ours = [kill['sent_again'] for kill in measured.result['kills'] if kill['peer'] == 'simhop' and 'sent_again' in kill]
    if ours:
        judge('sent again of what was kept, after a kill', max(ours) / KIB, 64, 'KiB')
    return table(['wanted', 'found', 'reached'], found)


def text_of(result):
    measured = Measured(result)
    parts = [head(result)]
    for link in measured.links:
        title = 'Unshaped' if link == 'unshaped' else 'Shaped, %d Mbit/s each way' % result['rate_mbit']
        parts += ['### %s' % title, times(measured, link), phases(measured, link)]
        parts += [costs(measured, link, size) for size in measured.sizes(link) if size >= 50 * MIB]
    if result['unshapable']:
        parts.append('No shaped link: %s.' % result['unshapable'])
    if result['first']:
        parts += ['### The first piece'] + transfer_first.tables(result, table)
    if result['kills']:
        parts += ['### A killed receiver', killed(measured)]
    if result['many']:
        parts += ['### Many at once'] + transfer_many.tables(result, table)
    return '\n\n'.join(parts + ['### What is aimed at', targets(measured)]) + '\n'


# ---- The plot ----------------------------------------------------------------------------------

def plot(measured, path, gnuplot, environment):
    lines = ["set terminal pngcairo size %d,520 font 'DejaVu Sans,10' noenhanced" % (620 * len(measured.links)),
             "set output '%s'" % path, 'set multiplot layout 1,%d' % len(measured.links), 'set logscale xy', 'set grid',
             'set key top left', "set xlabel 'size of the file'", "set ylabel 'seconds to completion, median'",
             "set format y '%g'", 'set yrange [0.002:300]']
    for link in measured.links:
        sizes = measured.sizes(link)
        lines.append("set title '%s'" % (link if link == 'unshaped' else '%d Mbit/s' % measured.result['rate_mbit']))
        lines.append('set xtics (%s)' % ', '.join("'%s' %d" % (size_name(size), size) for size in sizes))
        lines.append('set xrange [%g:%g]' % (sizes[0] / 2, sizes[-1] * 2))
        curves = [(peer, 'seconds', peer) for peer in measured.peers] + [('simhop', 'link_to_done_s', 'simhop, link to done')]
        drawn = []
        for number, (peer, key, title) in enumerate(curves):
            points = [(size, measured.median(key, link, peer, size)) for size in sizes]
            lines.append('$d%d << END\n%s\nEND' % (number, '\n'.join('%d %g' % point for point in points if point[1])))
            drawn.append("$d%d with linespoints lw %d pt 7 ps 0.7 title '%s'" % (number, 3 if peer == 'simhop' else 1, title))
        lines.append('plot ' + ', '.join(drawn))
    lines.append('unset multiplot')
    done = subprocess.run([gnuplot], input='\n'.join(lines) + '\n', capture_output=True, text=True, env=environment)
    if done.returncode:
        print('bench: no plot: %s' % done.stderr.strip()[-300:], file=sys.stderr)


def unpacked_gnuplot():
    """Where an unpacked gnuplot finds its own files."""
    share = os.path.join(os.environ.get('BENCH_PACKAGES', ''), 'usr/share/gnuplot/gnuplot/5.4')
    return {'GNUPLOT_LIB': share, 'GNUPLOT_PS_DIR': share + '/PostScript'} if os.path.isdir(share) else {}


def plots(result, folder):
    gnuplot = shutil.which('gnuplot') or shutil.which('gnuplot-nox')
    if not gnuplot:
        print('bench: no plots, gnuplot is not there', file=sys.stderr)
        return
    environment = {**os.environ, **unpacked_gnuplot()}
    if result['runs']:
        plot(Measured(result), os.path.join(folder, 'bench.png'), gnuplot, environment)
    if result['many']:
        transfer_many.plot(result, os.path.join(folder, 'many.png'), gnuplot, environment)


def write(result, folder, plot_too):
    with open(os.path.join(folder, 'bench.json'), 'w') as file:
        json.dump(result, file, indent=1)
    text = text_of(result)
    with open(os.path.join(folder, 'bench.md'), 'w') as file:
        file.write(text)
    print(text)
    if plot_too:
        plots(result, folder)

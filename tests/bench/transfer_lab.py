# SPDX-License-Identifier: GPL-3.0-or-later
"""Where transfer-bench measures: two network namespaces and the link between them, and what processes cost.

This process is in the near namespace, as are the receivers; the far one belongs to a process that sleeps. All are in a process
namespace of their own, which scripts/bench makes: nothing of it outlives this process.
"""
import hashlib
import os
import signal
import subprocess
import threading
import time

from transfer_peers import FAR, NEAR, path_of, until

TICK = os.sysconf('SC_CLK_TCK')
SAMPLE_S = 0.03


def command(*words):
    """A step of the set-up; its output, or the error with what it said."""
    done = subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError('%s: %s' % (' '.join(words), done.stderr.strip()))
    return done.stdout


def processes():
    """{pid: (parent, seconds of CPU with those of the children that it waited for)}"""
    found = {}
    for pid in filter(str.isdigit, os.listdir('/proc')):
        try:
            fields = open('/proc/%s/stat' % pid).read().rsplit(')', 1)[1].split()
        except OSError:
            continue
        found[int(pid)] = (int(fields[1]), sum(map(int, fields[11:15])) / TICK)
    return found


def tree(root, found=None):
    found = processes() if found is None else found
    members = [root] if root in found else []
    for pid in members:
        members += [child for child, (parent, _) in found.items() if parent == pid]
    return members, found


def cpu_of(root):
    members, found = tree(root)
    return sum(found[pid][1] for pid in members)


def peak_kib(root):
    total = 0
    for pid in tree(root)[0]:
        try:
            for line in open('/proc/%d/status' % pid):
                if line.startswith('VmHWM:'):
                    total += int(line.split()[1])
        except OSError:
            pass
    return total


class Sampler(threading.Thread):
    """Looks at the peak memory of both sides while a transfer runs, and ends a receiver that takes too long."""

    def __init__(self, sender, receiver, limit_s):
        super().__init__(daemon=True)
        self.roots, self.peaks = (sender, receiver), [0, 0]
        self.end, self.over = time.monotonic() + limit_s, threading.Event()
        self.late = False

    def run(self):
        while not self.over.wait(SAMPLE_S):
            for side, root in enumerate(self.roots):
                self.peaks[side] = max(self.peaks[side], peak_kib(root))
            if time.monotonic() > self.end and not self.late:
                self.late = True
                kill_tree(self.roots[1])


def kill_tree(root):
    for pid in tree(root)[0]:
        try:
            os.kill(pid, signal.SIGKILL)
        except OSError:
            pass


class Lab:
    def __init__(self, work):
        self.work = work
        self.offloads = {}
        self.accounts = None
        for folder in ('far', 'near'):
            os.mkdir(os.path.join(work, folder))
        self.holder = subprocess.Popen(['unshare', '--net', 'sleep', 'infinity'], stdin=subprocess.DEVNULL)
        mine = os.readlink('/proc/self/ns/net')
        if not until(lambda: os.readlink('/proc/%d/ns/net' % self.holder.pid) != mine):
            raise RuntimeError('no second network namespace')
        command('ip', 'link', 'set', 'lo', 'up')
        command('ip', 'link', 'add', 'near0', 'type', 'veth', 'peer', 'name', 'far0')
        command('ip', 'link', 'set', 'far0', 'netns', str(self.holder.pid))
        command(*self.far('ip', 'link', 'set', 'lo', 'up'))
        for enter, device, address in ((self.near, 'near0', NEAR), (self.far, 'far0', FAR)):
            command(*enter('ip', 'address', 'add', address + '/24', 'dev', device))
            command(*enter('ip', 'link', 'set', device, 'up'))
            # The default of a new namespace is the machine's, and cubic may be none that it is allowed to choose; a route may.
            command(*enter('ip', 'route', 'replace', '192.168.77.0/24', 'dev', device, 'src', address, 'congctl', 'cubic'))

    # ---- the two places ----

    @staticmethod
    def near(*words):
        return list(words)

    def far(self, *words):
        return ['nsenter', '--net=/proc/%d/ns/net' % self.holder.pid, *words]

    def start_far(self, words, log, stdin=None, errors=None):
        """A process in the far namespace; its output goes to a file."""
        with open(stdin or os.devnull, 'rb') as source, open(log, 'wb') as out, open(errors or log, 'ab') as err:
            return subprocess.Popen(self.far(*words), stdin=source, stdout=out, stderr=err)

    def own_accounts(self):
        """sshd wants a user of its own and a folder in /run: here they are, seen by nobody else."""
        if self.accounts:
            return
        shell, home = '/bin/sh', self.work
        for name, text in (('passwd', 'root:x:0:0:root:%s:%s\nsshd:x:100:65534::/run/sshd:/usr/sbin/nologin\n' % (home, shell)),
                           ('shadow', 'root:*:19000:0:99999:7:::\nsshd:*:19000:0:99999:7:::\n')):
            path = os.path.join(self.work, name)
            with open(path, 'w') as file:
                file.write(text)
            command('mount', '--bind', path, '/etc/' + name)
        command('mount', '-t', 'tmpfs', '-o', 'mode=755', 'none', '/run')
        os.mkdir('/run/sshd', 0o755)
        self.accounts = True

    # ---- the link ----

    def shape(self, mbit):
        """Limits both directions, with frames as a wire has them; 0 takes the limit away."""
        for enter, device in ((self.near, 'near0'), (self.far, 'far0')):
            if self.offloads.get(device, 0) == mbit:
                continue
            state = 'off' if mbit else 'on'
            command(*enter('ethtool', '-K', device, 'tso', state, 'gso', state))
            if mbit:
                command(*enter('tc', 'qdisc', 'replace', 'dev', device, 'root', 'tbf', 'rate', '%dmbit' % mbit, 'burst', '64kb',
                               'latency', '50ms'))
            else:
                command(*enter('tc', 'qdisc', 'del', 'dev', device, 'root'))
            self.offloads[device] = mbit

    @staticmethod
    def received():
        """Octets that came over the link, frames and all."""
        for line in open('/proc/self/net/dev'):
            if line.strip().startswith('near0:'):
                return int(line.split(':')[1].split()[0])
        raise RuntimeError('no near0')

    # ---- files ----

    def source(self, name):
        return os.path.join(self.work, 'far', name)

    def target(self, name):
        return os.path.join(self.work, 'near', name)

    def make_source(self, name, size):
        """Random octets, in the page cache and on the disk. Gives their SHA-256."""
        sha = hashlib.sha256()
        with open(self.source(name), 'wb') as file:
            while size:
                piece = os.urandom(min(size, 1 << 20))
                sha.update(piece)
                file.write(piece)
                size -= len(piece)
            file.flush()
            os.fsync(file.fileno())
        return sha.hexdigest()

    def target_hash(self, name):
        sha = hashlib.sha256()
        with open(self.target(name), 'rb') as file:
            while piece := file.read(1 << 20):
                sha.update(piece)
        return sha.hexdigest()

    def sync_target(self, name):
        for path in (self.target(name), os.path.dirname(self.target(name))):
            fd = os.open(path, os.O_RDONLY)
            os.fsync(fd)
            os.close(fd)

    # ---- one transfer ----

    def launch(self, peer, name, again=False):
        words, stdin, stdout = peer.fetch(name, self.target(name), again)
        with open(stdin or os.devnull, 'rb') as source, open(stdout or peer.path('fetch.out'), 'wb') as out, \
                open(peer.path('fetch.err'), 'wb') as err:
            return subprocess.Popen(words, stdin=source, stdout=out, stderr=err)

    def transfer(self, peer, name, size):
        """From the start of the receiver's command to its end and the result on the disk."""
        sender, idle = peer.serve(name)
        cpu_before = cpu_of(sender.pid) if idle else 0.0
        wire = self.received()
        started = time.monotonic()
        receiver = self.launch(peer, name)
        sampler = Sampler(sender.pid, receiver.pid, 60 + size / 3e6)
        if size >= 50 << 20:
            sampler.start()
        _, status, usage = os.wait4(receiver.pid, 0)
        receiver.returncode = os.waitstatus_to_exitcode(status)
        if receiver.returncode == 0:
            self.sync_target(name)
        seconds = time.monotonic() - started
        sampler.over.set()
        sent = self.end_sender(sender, idle, cpu_before)
        return {'seconds': seconds, 'status': receiver.returncode, 'wire': self.received() - wire,
                'cpu_receiver_s': usage.ru_utime + usage.ru_stime, 'cpu_sender_s': sent,
                'rss_sender_kib': sampler.peaks[0], 'rss_receiver_kib': sampler.peaks[1]}

    @staticmethod
    def end_sender(sender, idle, cpu_before):
        """What it took; one for a single transfer is gone after this."""
        if idle:
            until(lambda: len(tree(sender.pid)[0]) <= idle, 3)
            return cpu_of(sender.pid) - cpu_before
        end = time.monotonic() + 10
        while True:
            pid, status, usage = os.wait4(sender.pid, os.WNOHANG)
            if pid:
                break
            if time.monotonic() > end:
                sender.kill()
            time.sleep(0.005)
        sender.returncode = os.waitstatus_to_exitcode(status)
        return usage.ru_utime + usage.ru_stime

    def kill_at_half(self, peer, name, size):
        """Ends the receiver by SIGKILL when half of the octets came over the link; how many had come."""
        wire = self.received()
        receiver = self.launch(peer, name)
        until(lambda: self.received() - wire >= size / 2 or receiver.poll() is not None, 60 + size / 3e6)
        ended_itself = receiver.poll() is not None
        kill_tree(receiver.pid)
        receiver.wait()
        time.sleep(0.3)  # what is on its way comes to nobody
        return self.received() - wire, not ended_itself

# SPDX-License-Identifier: GPL-3.0-or-later
"""Who takes part in transfer-bench: how each one's sender is started and what its receiver's command is.

The sender is always in the far namespace and is ready before the clock starts; the receiver fetches. Each gives the file as
it comes from its own defaults; what is set beyond them stands in the code below and in docs/performance.md.
"""
import json
import os
import shutil
import subprocess
import time

FAR, NEAR = '192.168.77.1', '192.168.77.2'


class Unavailable(Exception):
    """This peer cannot be had here; the text says why."""


def path_of(*names):
    for name in names:
        found = shutil.which(name)
        if found:
            return found
    raise Unavailable('%s is not installed' % names[0])


def until(what, seconds=10.0):
    """Waits for something of the set-up; never inside a measurement."""
    end = time.monotonic() + seconds
    while not what():
        if time.monotonic() > end:
            return False
        time.sleep(0.01)
    return True


def listens(pid, port):
    """Does anything in this process's network namespace listen on the port?"""
    try:
        lines = open('/proc/%d/net/tcp' % pid).read().splitlines()[1:]
    except OSError:
        return False
    return any(line.split()[1].endswith(':%04X' % port) and line.split()[3] == '0A' for line in lines)


class Peer:
    """One way to bring a file over. bench: starts processes in the far namespace, and knows the folder for everything."""
    name = what = ''
    port = 0
    idle = 1  # processes of a daemon between transfers
    resumes = False

    def __init__(self, bench):
        self.bench = bench
        self.daemon = None

    def path(self, name):
        return os.path.join(self.bench.work, self.name + '-' + name)

    def version(self):
        return ''

    def begin(self):
        """Once: what stays up over all transfers."""

    def serve(self, name):
        """The sender for one transfer: the process that does it, and of how many it consists when idle; 0: it ends by itself."""
        return self.daemon, self.idle

    def fetch(self, name, out, again=False):
        """The receiver's command, its standard input and standard output."""
        raise NotImplementedError

    def begin_daemon(self, command, port):
        self.daemon = self.bench.start_far(command, self.path('log'))
        if not until(lambda: listens(self.daemon.pid, port) or self.daemon.poll() is not None) or self.daemon.poll() is not None:
            raise Unavailable('its server does not start: %s' % tail(self.path('log')))

    def sent_again(self):
        """After a fetch with again: the octets of the file that it was sent."""
        raise NotImplementedError

    def serve_once(self, command, stdin=None):
        child = self.bench.start_far(command, self.path('log'), stdin)
        until(lambda: listens(child.pid, self.port) or child.poll() is not None)
        return child, 0


def tail(path):
    try:
        return ' / '.join(open(path, errors='replace').read().split('\n')[-3:]).strip(' /')[-300:]
    except OSError:
        return 'no log'


def first_line(*command):
    done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    lines = [line for line in done.stdout.splitlines() if line.strip()]
    return lines[0].strip() if lines else ''


class Netcat(Peer):
    name, what, port = 'nc', 'netcat, in the clear, unchecked', 7001

    def begin(self):
        self.program = path_of('nc.openbsd')

    def version(self):
        return first_line(self.program, '-h')

    def serve(self, name):
        return self.serve_once([self.program, '-N', '-l', FAR, str(self.port)], self.bench.source(name))

    def fetch(self, name, out, again=False):
        return [self.program, '-d', FAR, str(self.port)], None, out


def certificate(bench):
    """One for all: self-signed, for the name bench, P-256."""
    key, cert = os.path.join(bench.work, 'tls.key'), os.path.join(bench.work, 'tls.crt')
    if not os.path.exists(cert):
        subprocess.run([path_of('openssl'), 'req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes',
                        '-keyout', key, '-out', cert, '-days', '2', '-subj', '/CN=bench', '-addext', 'subjectAltName=DNS:bench'],
                       check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return key, cert


class Socat(Peer):
    name, what, port = 'socat', 'socat over TLS 1.3, blocks of 64 KiB', 7002

    def begin(self):
        self.program = path_of('socat')
        self.key, self.cert = certificate(self.bench)

    def version(self):
        return first_line('sh', '-c', 'exec "$0" -V | grep -m1 version', self.program)

    def serve(self, name):
        return self.serve_once([self.program, '-u', '-b65536', 'OPEN:%s,rdonly' % self.bench.source(name),
                                'OPENSSL-LISTEN:%d,bind=%s,reuseaddr,cert=%s,key=%s,verify=0'
                                % (self.port, FAR, self.cert, self.key)])

    def fetch(self, name, out, again=False):
        return [self.program, '-u', '-b65536', 'OPENSSL:%s:%d,cafile=%s,commonname=bench' % (FAR, self.port, self.cert),
                'OPEN:%s,creat,trunc,wronly' % out], None, None


class Nginx(Peer):
    name, what, port, idle, resumes = 'nginx', 'nginx to curl, HTTPS with TLS 1.3', 7003, 2, True

    def begin(self):
        nginx, self.program = path_of('nginx'), path_of('curl')
        self.nginx = nginx
        key, self.cert = certificate(self.bench)
        folder = self.path('run')
        os.makedirs(folder, exist_ok=True)
        temporary = '\n'.join('%s_temp_path %s/%s;' % (kind, folder, kind)
                              for kind in ('client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'))
        with open(self.path('conf'), 'w') as conf:
            conf.write('''daemon off; user root; worker_processes 1; pid %(folder)s/pid; error_log %(folder)s/error;
events {}
http { access_log off; sendfile on; tcp_nopush on; %(temporary)s
server { listen %(far)s:%(port)d ssl; ssl_certificate %(cert)s; ssl_certificate_key %(key)s; ssl_protocols TLSv1.3;
root %(root)s; } }
''' % {'folder': folder, 'temporary': temporary, 'far': FAR, 'port': self.port, 'cert': self.cert, 'key': key,
                'root': os.path.dirname(self.bench.source('x'))})
        self.begin_daemon([nginx, '-c', self.path('conf'), '-p', folder, '-e', folder + '/error'], self.port)

    def version(self):
        return '%s, %s' % (first_line(self.nginx, '-v'), ' '.join(first_line(self.program, '--version').split()[:2]))

    def fetch(self, name, out, again=False):
        more = ['-C', '-', '-w', '%{size_download}'] if again else []
        return [self.program, '-sS', '--cacert', self.cert, '--resolve', 'bench:%d:%s' % (self.port, FAR), '-o', out, *more,
                'https://bench:%d/%s' % (self.port, name)], None, self.path('again') if again else None

    def sent_again(self):
        return int(open(self.path('again')).read())


class Ssh(Peer):
    """What scp and rsync have in common: one sshd, the user root, a key."""
    port, shared = 7004, None

    def begin(self):
        self.ssh, self.sshd = path_of('ssh'), path_of('sshd')
        self.bench.own_accounts()
        if Ssh.shared is None:
            Ssh.shared = self.begin_sshd()
        self.daemon = Ssh.shared
        if isinstance(self.daemon, Unavailable):
            raise self.daemon

    def begin_sshd(self):
        work = self.bench.work
        for key in ('ssh-host', 'ssh-user'):
            subprocess.run([path_of('ssh-keygen'), '-q', '-t', 'ed25519', '-N', '', '-f', os.path.join(work, key)], check=True)
        with open(os.path.join(work, 'sshd.conf'), 'w') as conf:
            conf.write('''ListenAddress %s:%d\nHostKey %s/ssh-host\nAuthorizedKeysFile %s/ssh-user.pub\nStrictModes no
UsePAM no\nPidFile none\nUseDNS no\nPermitRootLogin yes\nPrintMotd no\nSubsystem sftp internal-sftp\nMaxStartups 100
SetEnv LD_LIBRARY_PATH=%s\n''' % (FAR, self.port, work, work, os.environ.get('LD_LIBRARY_PATH', '/nonexistent')))
        try:
            self.begin_daemon([self.sshd, '-D', '-e', '-f', os.path.join(work, 'sshd.conf')], self.port)
        except Unavailable as why:
            return why
        return self.daemon

    def options(self):
        return ['-F', '/dev/null', '-i', os.path.join(self.bench.work, 'ssh-user'), '-o', 'StrictHostKeyChecking=no', '-o',
                'UserKnownHostsFile=%s/ssh-known' % self.bench.work, '-o', 'BatchMode=yes', '-o', 'LogLevel=ERROR']

    def version(self):
        return first_line(self.ssh, '-V')


class Scp(Ssh):
    name, what = 'scp', 'scp from sshd, its default cipher'

    def begin(self):
        super().begin()
        self.program = path_of('scp')

    def fetch(self, name, out, again=False):
        return [self.program, '-q', *self.options(), '-P', str(self.port), 'root@%s:%s' % (FAR, self.bench.source(name)), out], \
            None, None


class Rsync(Ssh):
    name, what, resumes = 'rsync', 'rsync over ssh, its default cipher', True

    def begin(self):
        super().begin()
        self.program = path_of('rsync')

    def version(self):
        return first_line(self.program, '--version')

    def fetch(self, name, out, again=False):
        more = ['--inplace', '--append-verify', '--stats'] if again else ['--inplace']
        return [self.program, *more, '--rsync-path', self.program, '-e',
                ' '.join([self.ssh, *self.options(), '-p', str(self.port)]), 'root@%s:%s' % (FAR, self.bench.source(name)), out], \
            None, self.path('again') if again else None

    def sent_again(self):
        line = next(line for line in open(self.path('again')) if line.startswith('Literal data:'))
        return int(line.split()[2].replace(',', ''))


class Simhop(Peer):
    """Two linked devices 25 cm apart; only the radio is simulated, and the air limits no LAN."""
    name, what, resumes = 'simhop', 'simhop, linked devices, no code', True

    def __init__(self, bench, program):
        super().__init__(bench)
        self.program = program

    def begin(self):
        self.air = self.path('air')
        os.makedirs(self.air)
        with open(os.path.join(self.air, 'positions'), 'w') as positions:
            positions.write('anchor 0 0\ntablet 0.25 0\n')
        self.bench.make_source('pairing', 4096)
        self.pair()

    def version(self):
        return first_line(self.program, '--version')

    def share(self, name, once=True):
        command = [self.program, 'share', '--json', '--radio', 'sim:' + self.air, '--name', 'anchor', '--state',
                   self.path('anchor'), '--item', '%s=%s' % (name, self.bench.source(name))]
        child = self.bench.start_far(command + ['--once'] * once, self.path('anchor.out'), errors=self.path('anchor.err'))
        until(lambda: events(self.path('anchor.out'), 'phase') or child.poll() is not None)
        if child.poll() is not None:
            raise Unavailable('share ended: %s' % tail(self.path('anchor.err')))
        return child

    def serve(self, name):
        return self.share(name), 0

    def fetch(self, name, out, again=False):
        # Items are called as their sources are, so --dir is all that it takes.
        return [self.program, 'sync', '--json', '--radio', 'sim:' + self.air, '--name', 'tablet', '--state', self.path('tablet'),
                '--dir', os.path.dirname(out), '--no-install', '--code-fd', '0'], None, self.path('tablet.out')

    def pair(self):
        """The first sync, with the code that a person would type."""
        anchor = self.share('pairing')
        command, _, output = self.fetch('pairing', self.bench.target('pairing'))
        with open(output, 'w') as log:
            tablet = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=log, stderr=subprocess.STDOUT, text=True)
        until(lambda: events(output, 'code-wanted') and events(self.path('anchor.out'), 'code') or tablet.poll() is not None, 30)
        code = (events(self.path('anchor.out'), 'code') or [{'code': ''}])[-1]['code']
        try:
            tablet.communicate(code + '\n', timeout=60)
        except subprocess.TimeoutExpired:
            tablet.kill()
        anchor.kill()
        anchor.wait()
        if not events(output, 'done'):
            raise Unavailable('the devices could not be linked: %s' % tail(output))

    def story(self):
        """Of the sync that ended last: seconds from its start to each of its steps, and what its done says."""
        heard = events(self.path('tablet.out'))
        when = {'start_s': 0.0}
        for event in heard:
            step = event['event'] if event['event'] in ('progress', 'done') else event.get('phase')
            if step == 'progress' and event['verified'] == 0:
                continue
            if step and step not in when:
                when[step] = event['t']
        last = [event for event in heard if event['event'] == 'done']
        if not last:
            return {}
        # Linked devices that share a network need no measurement.
        found = when.get('measure', when['enrol'])
        return {'discover_s': found, 'measure_s': when['enrol'] - found,
                'enrol_s': when['link'] - when['enrol'], 'link_to_done_s': when['done'] - when['link'],
                'first_byte_s': when['progress'], 'link_to_first_byte_s': when['progress'] - when['link'], 'links': last[0]['links'],
                'resumed': last[0]['resumed']}

    def sent_again(self):
        """By the anchor's done: the tablet's does not count what came twice."""
        until(lambda: events(self.path('anchor.out'), 'done'))
        return sum(events(self.path('anchor.out'), 'done')[-1]['links'].values())

    def kept(self):
        """What a killed sync had verified, by the done of the one after it."""
        return events(self.path('tablet.out'), 'done')[0]['resumed']


def events(path, kind=None):
    found = []
    try:
        for line in open(path):
            try:
                event = json.loads(line)
            except ValueError:
                continue
            if kind in (None, event.get('event')):
                found.append(event)
    except OSError:
        pass
    return found


OTHERS = (Netcat, Socat, Nginx, Scp, Rsync)

"""Sites of Review Board, and the servers that they need, on loopback."""

import hashlib
import json
import os
import shutil
import socket
import subprocess

import port_for
from mirakuru import HTTPExecutor, TCPExecutor
from pymemcache.client.base import Client

from evidence.program import (CONTRIB, DIRECTORY, PATIENCE, Failure, announce,
                              call, show_progress)


#: What a site has.
NUM_USERS = 16
NUM_REVIEW_REQUESTS = 40
PASSWORD = 'only-on-loopback'

_HERE = CONTRIB / 'evidence' / 'served'

# mirakuru would wait forever for an answer to a first request.
socket.setdefaulttimeout(PATIENCE)


class Memcached(TCPExecutor):
    """A memcached server."""

    def __init__(self):
        port = port_for.select_random()
        self.address = '127.0.0.1:%d' % port
        self.client = Client(self.address, timeout=PATIENCE)

        # Run by root, it wants to be told that it's meant.
        super().__init__(['memcached', '-l', '127.0.0.1', '-p', str(port),
                          '-U', '0', '-u', 'root'], '127.0.0.1', port,
                         timeout=PATIENCE)


class Site:
    """A site of a Review Board release, which several Djblets can serve."""

    def __init__(self, installation, address):
        """Make the site, with the address of its cache, and populate it."""
        self.installation = installation
        self.directory = DIRECTORY / 'sites' / installation.release
        self.environ = {'DJANGO_SETTINGS_MODULE': 'reviewboard.settings',
                        'HOME': str(self.directory / 'data'),
                        'PYTHONPATH': str(self.directory / 'conf'),
                        'REVIEWBOARD_SITEDIR': str(self.directory)}
        args = ('--noinput --opt-out-support-data --domain-name=127.0.0.1 '
                '--db-type=sqlite3 --cache-type=memcached --admin-user=admin '
                '--admin-email=admin@example.com').split()

        if installation.release == '2.0.16':
            args += ['--web-server-type=apache', '--python-loader=wsgi']

        announce('Making a site of Review Board %s' % installation.release)
        shutil.rmtree(self.directory, ignore_errors=True)
        self.directory.parent.mkdir(exist_ok=True)

        # The list of sites would be in /etc otherwise.
        call(installation.python, installation.python.with_name('rb-site'),
             'install', '--sitelist=%s' % (DIRECTORY / 'sites.txt'),
             '--db-name=%s' % (self.directory / 'data' / 'reviewboard.db'),
             '--cache-info=%s' % address, '--admin-password=%s' % PASSWORD,
             *args, self.directory)

        # A thread otherwise gives up when it has waited for five seconds.
        with open(self.directory / 'conf' / 'settings_local.py', 'a') as fp:
            fp.write("\nDATABASES['default']['OPTIONS'] = {'timeout': %d}\n"
                     % PATIENCE)

        self.change('populate', NUM_USERS, NUM_REVIEW_REQUESTS, PASSWORD)

    def change(self, function, *args):
        """Call one of the functions in ``served/acceptance_site.py``."""
        call(self.installation.python, _HERE / 'acceptance_site.py',
             function, *args, **self.environ)


class Server(HTTPExecutor):
    """gunicorn with a site."""

    def __init__(self, site, installation, name, num_processes=2,
                 num_threads=4):
        """Prepare for serving a site with an installation."""
        announce('Serving %s, %d x %d threads' % (
            installation.name, num_processes, num_threads))
        self.installation = installation
        self.num_processes = num_processes
        self.num_threads = num_processes * num_threads
        port = port_for.select_random()
        self.root = 'http://127.0.0.1:%d' % port
        path = installation.directory / name
        self._fp = open('%s.jsonl' % path, 'wb+')
        self._records = []
        self._unread = b''

        if (site.directory / 'venv').is_symlink():
            # Review Board 6 and newer take their packages from there.
            (site.directory / 'venv').unlink()
            (site.directory / 'venv').symlink_to(installation.directory)

        # The working directory comes first on gunicorn's sys.path, so there
        # must be no Djblets in it. A connection would stay with a process.
        super().__init__(
            [str(installation.python),
             str(installation.python.with_name('gunicorn')),
             '--bind', '127.0.0.1:%d' % port, '--worker-class', 'gthread',
             '--workers', str(num_processes), '--threads', str(num_threads),
             '--keep-alive', '0', '--timeout', '0', '--graceful-timeout', '10',
             '--capture-output', '--log-file', '%s.log' % path,
             'acceptance_application:application'],
            self.root + '/api/info/', method='GET', cwd=str(_HERE),
            envvars=dict(site.environ, ACCEPTANCE_RECORDS=self._fp.name),
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            timeout=PATIENCE)

    def after_start_check(self):
        """Return whether each process has answered a request well.

        The first one sets a process up, and others at the same time may fail.
        """
        show_progress('Starting %d processes' % self.num_processes)

        return super().after_start_check() and self.num_processes == len({
            request['pid'] for request in self.get_requests()
            if request['status'] < 500})

    def __exit__(self, exc_type, *args):
        """Stop it, and check which module was imported."""
        super().__exit__(exc_type, *args)
        module = self.installation.module
        expected = [os.path.realpath(module),
                    hashlib.sha256(module.read_bytes()).hexdigest()]
        served = [record['module'] for record in self.get_records()
                  if 'module' in record]

        if exc_type is None and served != [expected] * self.num_processes:
            raise Failure('Processes have imported %s, rather than %s'
                          % (served, expected))

    def get_records(self):
        """Return what the processes have recorded."""
        *lines, self._unread = (self._unread + self._fp.read()).split(b'\n')
        self._records += map(json.loads, lines)

        return self._records

    def get_requests(self):
        """Return what was recorded of requests, in the order of their end."""
        return [record for record in self.get_records() if 'path' in record]

    def is_configured(self, addresses):
        """Return whether all processes have these cache servers configured."""
        configured = {request['pid']: request['configured']
                      for request in self.get_requests()}

        return [*configured.values()] == [addresses] * self.num_processes

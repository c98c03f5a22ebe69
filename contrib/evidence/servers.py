"""Sites of Review Board, and the servers that they need, on loopback."""

import collections
import contextlib
import json
import os
import shutil
import socket
from pathlib import Path
from urllib.parse import unquote

import requests
from mirakuru import HTTPExecutor, TCPExecutor
from mirakuru.exceptions import ExecutorError
from pymemcache.client.base import Client

from evidence.progress import DIRECTORY, Failure, call, say, show


#: How many processes have reported a module, by what it should be.
REPORTED = collections.Counter()

#: What a site has.
NUM_USERS = 16
NUM_REVIEW_REQUESTS = 40
PASSWORD = 'only-on-loopback'

_SERVED = Path(__file__).resolve().parent / 'served'

# No mail may leave for anywhere. With SQLite, a thread otherwise gives up when
# it has waited for another for five seconds.
_LOCAL_SETTINGS = """

EMAIL_BACKEND = 'django.core.mail.backends.dummy.EmailBackend'
DATABASES['default']['OPTIONS'] = {'timeout': 30}
"""


class _Started:
    """A server that a ``with`` statement starts and stops."""

    def __init__(self, name):
        """Choose a port that nothing listens on."""
        with socket.socket() as sock:
            sock.bind(('127.0.0.1', 0))
            self.port = sock.getsockname()[1]

        self.address = '127.0.0.1:%d' % self.port
        self.log = DIRECTORY / 'logs' / name

    def __enter__(self):
        with contextlib.ExitStack() as stack:
            fp = stack.enter_context(open(self.log, 'wb'))

            try:
                stack.enter_context(self.get_executor(
                    timeout=120, stdout=fp, stderr=fp))
            except ExecutorError as e:
                raise Failure('%s; see %s' % (e, self.log))

            self.wait_until_ready()
            self._stack = stack.pop_all()

        return self

    def __exit__(self, *args):
        self._stack.close()

    def wait_until_ready(self):
        """Wait for more than that the server listens."""


class Memcached(_Started):
    """A memcached server."""

    def __init__(self):
        super().__init__('memcached.log')
        self.client = Client(('127.0.0.1', self.port), timeout=10)

    def get_executor(self, **kwargs):
        """Return what starts the server."""
        path = shutil.which('memcached')

        if path is None:
            raise Failure('There is no memcached on the PATH (try "apt-get '
                          'install memcached")')

        # Run by root, it wants to be told that it's meant.
        return TCPExecutor([path, '-l', '127.0.0.1', '-p', str(self.port),
                            '-U', '0', '-u', 'root'],
                           host='127.0.0.1', port=self.port, **kwargs)

    def get_keys(self):
        """Return the keys of all that's cached."""
        lines = self.client.raw_command(b'lru_crawler metadump all',
                                        b'END\r\n').decode().splitlines()

        return [unquote(line.split()[0][len('key='):]) for line in lines]

    def count_connections(self):
        """Return how many connections were ever opened to it."""
        return int(self.client.stats()[b'total_connections'])


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
        args = ('--noinput --opt-out-support-data --company=Acceptance '
                '--domain-name=127.0.0.1 --site-root=/ --static-url=static/ '
                '--media-url=media/ --db-type=sqlite3 --cache-type=memcached '
                '--admin-user=admin --admin-email=admin@example.com').split()

        if installation.release == '2.0.16':
            args += ['--web-server-type=apache', '--python-loader=wsgi']

        say('Making a site of Review Board %s' % installation.release)
        shutil.rmtree(self.directory, ignore_errors=True)
        self.directory.parent.mkdir(exist_ok=True)

        # The list of sites would be in /etc otherwise.
        call([installation.python, installation.python.with_name('rb-site'),
              'install', '--sitelist=%s' % (DIRECTORY / 'sites' / 'list'),
              '--db-name=%s' % (self.directory / 'data' / 'reviewboard.db'),
              '--cache-info=%s' % address, '--admin-password=%s' % PASSWORD,
              *args, self.directory])

        with open(self.directory / 'conf' / 'settings_local.py', 'a') as fp:
            fp.write(_LOCAL_SETTINGS)

        self.change('populate', NUM_USERS, NUM_REVIEW_REQUESTS, PASSWORD)

    def change(self, function, *args):
        """Call one of the functions in ``served/acceptance_site.py``."""
        call([self.installation.python, _SERVED / 'acceptance_site.py',
              function, *args], env=self.environ)

    def set_cache(self, *addresses):
        """Store the addresses of the cache servers."""
        self.change('set_cache', self.installation.backend, *addresses)


class Server(_Started):
    """gunicorn with a site."""

    def __init__(self, site, installation, name, num_processes=2,
                 num_threads=4):
        """Prepare for serving a site with an installation."""
        super().__init__('%s-%s.log' % (name, installation.python.parts[-3]))
        self.site = site
        self.installation = installation
        self.num_processes = num_processes
        self.num_threads = num_threads
        self.url = 'http://' + self.address
        self._records_path = self.log.with_suffix('.jsonl')
        self._records = []
        self._position = 0

    def get_executor(self, **kwargs):
        """Return what starts the server."""
        say('Serving %s, %d x %d threads'
            % (self.installation.name, self.num_processes, self.num_threads))
        self._records_path.write_bytes(b'')
        python = self.installation.python
        venv = self.site.directory / 'venv'

        if venv.is_symlink():
            # Review Board 6 and newer take their packages from there.
            venv.unlink()
            venv.symlink_to(python.parent.parent)

        # The working directory comes first on gunicorn's sys.path, so there
        # must be no Djblets in it. A connection would stay with a process.
        return HTTPExecutor(
            [str(python), str(python.with_name('gunicorn')),
             '--bind', self.address, '--worker-class', 'gthread',
             '--workers', str(self.num_processes),
             '--threads', str(self.num_threads), '--keep-alive', '0',
             '--timeout', '120', '--graceful-timeout', '10',
             '--capture-output', '--error-logfile', '-',
             'acceptance_application:application'],
            self.url + '/api/info/', method='GET', cwd=str(_SERVED),
            envvars=dict(self.site.environ,
                         ACCEPTANCE_RECORDS=str(self._records_path)),
            **kwargs)

    def wait_until_ready(self):
        """Send requests until each process has answered one well.

        The first one sets a process up, and others at the same time may fail.
        """
        while len({request['pid'] for request in self.get_requests()
                   if request['status'] < 500}) < self.num_processes:
            show('Starting %d processes' % self.num_processes)
            requests.get(self.url, timeout=60)

    def __exit__(self, exc_type, *args):
        super().__exit__()

        if exc_type is None:
            self._check_modules()

    def get_records(self):
        """Return what the processes have recorded."""
        with open(self._records_path, 'rb') as fp:
            fp.seek(self._position)

            for line in fp:
                if line.endswith(b'\n'):
                    self._records.append(json.loads(line))
                    self._position += len(line)

        return self._records

    def get_requests(self):
        """Return what was recorded of requests, in the order of their end."""
        return [record for record in self.get_records() if 'path' in record]

    def get_threads(self):
        """Return the processes and threads that have answered."""
        return {(request['pid'], request['thread'])
                for request in self.get_requests()}

    def _check_modules(self):
        """Check that all processes have imported the module that's meant."""
        expected = (os.path.realpath(self.installation.module),
                    self.installation.sha256)
        modules = {record['pid']: (record['module'], record['sha256'])
                   for record in self.get_records() if 'module' in record}

        for pid, _ in self.get_threads():
            if modules.get(pid) != expected:
                raise Failure('Process %d has imported %s, rather than %s'
                              % (pid, modules.get(pid), expected))

        REPORTED[self.installation.name, expected[1]] += len(modules)

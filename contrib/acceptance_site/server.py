"""The web server of a site, and what it wrote down."""

import collections
import json
import re
import shutil

import requests

from acceptance_site import processes


# The last line of a traceback, after its indented ones.
EXCEPTION_LINE = re.compile(
    r'^(?:[a-z_]\w*\.)*([A-Z]\w*(?:Error|Exception|Exit|Interrupt|NotExist|'
    r'Configured|Suspicious\w*)): ?(.*)$')


class Server:
    """gunicorn with a site, on the loopback interface.

    This is a context manager, which starts and stops the server.
    """

    def __init__(self, site, memcacheds, name, num_processes, num_threads):
        """Initialize the server, without starting it.

        Args:
            site (acceptance_site.review_board.Site):
                The site.

            memcacheds (list of acceptance_site.memcached.Memcached):
                The cache servers to count commands to.

            name (str):
                A name for the files it writes.

            num_processes (int):
                The number of processes.

            num_threads (int):
                The number of threads in each process.
        """
        self.site = site
        self.num_processes = num_processes
        self.num_threads = num_threads
        self.port = processes.get_free_port()
        self.url = 'http://127.0.0.1:%d' % self.port
        self.log = site.log.with_name('server-%s.log' % name)
        self.records = site.directory / 'records' / name
        self.env = dict(
            site.env,
            ACCEPTANCE_PORTS=' '.join(str(memcached.port)
                                      for memcached in memcacheds),
            ACCEPTANCE_RECORDS=str(self.records),
            ACCEPTANCE_SITE=str(site.directory))

    def __enter__(self):
        shutil.rmtree(self.records, ignore_errors=True)
        self.records.mkdir(parents=True)
        self.log.unlink(missing_ok=True)
        self.site.review_board_log.unlink(missing_ok=True)

        self.process = processes.start(
            [self.site.installation.directory / 'bin' / 'gunicorn',
             '--bind', '127.0.0.1:%d' % self.port,
             '--worker-class', 'gthread',
             '--workers', self.num_processes,
             '--threads', self.num_threads,
             # A connection stays with its process. There's one for each
             # request, so that every process gets some of each client's.
             '--keep-alive', '0',
             '--timeout', '120', '--graceful-timeout', '10',
             '--capture-output', '--error-logfile', '-',
             'acceptance_site.application:application'],
            self.log, env=self.env)

        try:
            processes.wait_until(self._is_up, self.process, self.log,
                                 timeout=90)
        except BaseException:
            processes.stop(self.process)
            raise

        return self

    def __exit__(self, *args):
        processes.stop(self.process)

    def _is_up(self):
        return requests.get(self.url + '/api/info/', timeout=60).ok

    def read_records(self):
        """Return what was recorded of each request.

        Returns:
            list of dict:
            The records, in the order in which the requests came.
        """
        records = []

        for path in self.records.glob('*.jsonl'):
            with open(path, encoding='utf-8') as fp:
                # A line that's being written has no end yet.
                records.extend(json.loads(line) for line in fp
                               if line.endswith('\n'))

        return sorted(records, key=lambda record: record['start'])

    def read_logs(self):
        """Return what the server and Review Board have logged.

        Returns:
            str:
            The text of both logs.
        """
        return ''.join(path.read_text(encoding='utf-8', errors='replace')
                       for path in (self.log, self.site.review_board_log)
                       if path.exists())

    def count_logged_exceptions(self):
        """Return the exceptions in the logs, by type.

        Returns:
            collections.Counter:
            The number of tracebacks that end with each exception.
        """
        matches = map(EXCEPTION_LINE.match, self.read_logs().splitlines())

        return collections.Counter(
            get_exception_name(match.group(1), match.group(2))
            for match in matches if match)


def count_exceptions(records):
    """Return the exceptions that were seen around the application.

    Args:
        records (list of dict):
            The records of the requests.

    Returns:
        collections.Counter:
        The number of each exception, by name.
    """
    return collections.Counter(
        get_exception_name(exc_type, message)
        for record in records
        for _, exc_type, message in record['exceptions'])


def get_exception_name(exc_type, message):
    """Return what an exception is counted as.

    Args:
        exc_type (str):
            The name of its type.

        message (str):
            Its message.

    Returns:
        str:
        The type and message, shortened.
    """
    name = '%s: %s' % (exc_type, re.sub('0x[0-9a-f]+', '0x...', message))

    return name[:80]

"""The base class of the delivery tool's tests."""

import contextlib
import functools
import http.server
import os
import shutil
import subprocess
import tempfile
import threading
import unittest

from djblets_backport.archive import Registry, read_files
from djblets_backport.catalogue import load
from djblets_backport.progress import Progress


ROOT_DIR = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))

BACKPORT = os.path.join(ROOT_DIR, 'contrib', 'backport')

#: A release of each content of the module, and one more where the tests go
#: elsewhere.
RELEASES = ('0.8.13', '0.8.19', '0.8.29', '0.9', '0.9.9', '1.0.18', '2.3.4',
            '4.0', '6.1')


@functools.lru_cache(maxsize=None)
def get_archive(version, kind='sdist'):
    """Return the path of an official archive.

    Args:
        version (str):
            The release.

        kind (str, optional):
            Either ``sdist`` or ``wheel``.

    Returns:
        str:
        The path.
    """
    archive = getattr(load()[version], kind)

    return Registry().fetch(archive.filename, archive.sha256, Progress())


@functools.lru_cache(maxsize=None)
def get_files(version, kind='sdist'):
    """Return the files of an official archive.

    Args:
        version (str):
            The release.

        kind (str, optional):
            Either ``sdist`` or ``wheel``.

    Returns:
        dict:
        The contents of the files, which must not be changed.
    """
    return read_files(get_archive(version, kind))


def write_tree(directory, files):
    """Write files.

    Args:
        directory (str):
            The directory to write to.

        files (dict):
            The contents of the files, by name.

    Returns:
        str:
        The directory.
    """
    for name, data in files.items():
        path = os.path.join(directory, *name.split('/'))
        os.makedirs(os.path.dirname(path), exist_ok=True)

        with open(path, 'wb') as fp:
            fp.write(data)

    return directory


def need(*programs):
    """Skip a test loudly where a program that it's about is missing.

    Args:
        *programs (tuple of str):
            The names of the programs.
    """
    for program in programs:
        if not shutil.which(program):
            raise unittest.SkipTest('%s is not installed' % program)


class BackportTestCase(unittest.TestCase):
    """Base class of the delivery tool's tests."""

    maxDiff = None

    @classmethod
    def setUpClass(cls):
        """Have the tool make its own environment, of which it tells."""
        super(BackportTestCase, cls).setUpClass()
        subprocess.check_call([BACKPORT, '--version'],
                              stdout=subprocess.DEVNULL)

    def setUp(self):
        """Make a directory whose path nothing can be careless with."""
        super(BackportTestCase, self).setUp()
        self.dir = tempfile.mkdtemp(prefix='djblets backport \u00fc\u65e5 ')
        self.addCleanup(shutil.rmtree, self.dir, True)

    def path(self, *parts):
        """Return a path in the test's directory.

        Args:
            *parts (tuple of str):
                The parts of the path.

        Returns:
            str:
            The path.
        """
        return os.path.join(self.dir, *parts)

    def write(self, name, data):
        """Write a file in the test's directory.

        Args:
            name (str):
                Its name.

            data (bytes):
                Its contents.

        Returns:
            str:
            Its path.
        """
        path = self.path(name)

        with open(path, 'wb') as fp:
            fp.write(data)

        return path

    def run_command(self, *args, **kwargs):
        """Run a command that has to succeed.

        Args:
            *args (tuple of str):
                The command.

            **kwargs (dict):
                Further arguments for :py:func:`subprocess.run`.

        Returns:
            str:
            What it printed.
        """
        kwargs.setdefault('cwd', self.dir)
        kwargs.setdefault('env', dict(os.environ, LC_ALL='C'))
        process = subprocess.run(args, stdin=subprocess.DEVNULL,
                                 stdout=subprocess.PIPE,
                                 stderr=subprocess.STDOUT, encoding='utf-8',
                                 errors='backslashreplace', **kwargs)
        self.assertEqual(process.returncode, 0,
                         '%r failed: %s' % (args, process.stdout))

        return process.stdout

    def run_backport(self, *args, **kwargs):
        """Run contrib/backport in the test's directory.

        Args:
            *args (tuple of str):
                The arguments.

            **kwargs (dict):
                ``env``, with variables to set, and ``program``, in place of
                contrib/backport.

        Returns:
            tuple:
            A 3-tuple of the exit status, what it printed, and its errors.
        """
        env = dict(os.environ, **kwargs.pop('env', {}))
        process = subprocess.run(
            kwargs.pop('program', [BACKPORT]) + list(args), cwd=self.dir,
            env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, encoding='utf-8',
            errors='backslashreplace', **kwargs)

        return process.returncode, process.stdout, process.stderr

    def assertOneLineError(self, result, pattern, status=1):
        """Assert that a run ended with an error of one line.

        Args:
            result (tuple):
                What :py:meth:`run_backport` returned.

            pattern (str):
                A regular expression that the error has to match.

            status (int, optional):
                The exit status.
        """
        self.assertEqual(result[0], status, result)
        errors = [line for line in result[2].splitlines()
                  if ': error: ' in line]
        self.assertEqual(len(errors), 1, result[2])
        self.assertEqual(result[2].splitlines()[-1], errors[0])
        self.assertRegex(errors[0], pattern)
        self.assertNotIn('Traceback', result[2])

    @contextlib.contextmanager
    def serve(self, directory):
        """Serve a directory on loopback.

        Args:
            directory (str):
                The directory.

        Context:
            The URL.
        """
        class Handler(http.server.SimpleHTTPRequestHandler):
            def __init__(self, *args, **kwargs):
                super(Handler, self).__init__(*args, directory=directory,
                                              **kwargs)

            def log_message(self, *args):
                """Log nothing."""

        server = http.server.ThreadingHTTPServer(('127.0.0.1', 0), Handler)
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()

        try:
            yield 'http://127.0.0.1:%d' % server.server_port
        finally:
            server.shutdown()
            server.server_close()
            thread.join()

    @contextlib.contextmanager
    def serve_registry(self, archives):
        """Serve a package registry with some archives on loopback.

        Args:
            archives (dict):
                The contents of the archives, by name.

        Context:
            The variables that pip and the tool are to be run with.
        """
        page = ''.join('<a href="%s">%s</a>\n' % (name, name)
                       for name in archives)
        write_tree(self.path('registry'), dict(
            {
                'simple/djblets/%s' % name: data
                for name, data in archives.items()
            },
            **{'simple/djblets/index.html': page.encode('utf-8')}))

        with self.serve(self.path('registry')) as url:
            yield self.get_registry_environ('%s/simple/' % url)

    def get_registry_environ(self, url):
        """Return the variables that set a package registry up for pip.

        Args:
            url (str):
                The URL of the registry.

        Returns:
            dict:
            The variables. The cache is one that's empty.
        """
        return {
            'PIP_CONFIG_FILE': os.devnull,
            'PIP_EXTRA_INDEX_URL': '',
            'PIP_INDEX_URL': url,
            'XDG_CACHE_HOME': self.path('cache'),
        }

    @contextlib.contextmanager
    def use_environ(self, environ):
        """Set variables of this process.

        Args:
            environ (dict):
                The variables.

        Context:
            They're set.
        """
        before = dict(os.environ)
        os.environ.update(environ)

        try:
            yield
        finally:
            os.environ.clear()
            os.environ.update(before)

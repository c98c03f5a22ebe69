"""Unit tests for djblets_backport.bootstrap."""

import os
import signal
import subprocess
import sys

from djblets_backport.bootstrap import (ensure_environment, ensure_made,
                                        get_cache_dir)
from djblets_backport.errors import BackportError
from djblets_backport.progress import Progress

from backport_testcase import ROOT_DIR, BackportTestCase


_MAKE = '''
import os, sys

sys.path.insert(0, sys.argv[1])

from djblets_backport.bootstrap import ensure_made


def make(path):
    os.mkdir(path)

    with open(os.path.join(path, 'partial'), 'w'):
        pass

    print('making', flush=True)
    sys.stdin.read()
    os.rename(os.path.join(path, 'partial'), os.path.join(path, 'whole'))


print(ensure_made('kind', 'name', ['ingredient'], make), flush=True)
'''


class BootstrapTests(BackportTestCase):
    """Unit tests for djblets_backport.bootstrap."""

    def setUp(self):
        super(BootstrapTests, self).setUp()
        context = self.use_environ({'XDG_CACHE_HOME': self.path('cache')})
        context.__enter__()
        self.addCleanup(context.__exit__, None, None, None)

    def start(self):
        """Start a process that makes a directory until its input is closed.

        Returns:
            subprocess.Popen:
            The process.
        """
        process = subprocess.Popen(
            [sys.executable, '-c', _MAKE, os.path.join(ROOT_DIR, 'contrib')],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, encoding='utf-8')
        self.addCleanup(process.stdout.close)

        return process

    def make(self, path):
        """Make a directory.

        Args:
            path (str):
                The path.
        """
        os.mkdir(path)
        self.made.append(path)

    made = ()

    def test_get_cache_dir(self):
        """Testing get_cache_dir"""
        self.assertEqual(get_cache_dir(),
                         self.path('cache', 'djblets-backport'))

        with self.use_environ({'XDG_CACHE_HOME': '', 'HOME': self.dir}):
            self.assertTrue(get_cache_dir().startswith(self.dir))

    def test_ensure_made(self):
        """Testing ensure_made makes once what depends on the same"""
        self.made = []
        path = ensure_made('kind', 'name', ['a', 'b'], self.make)

        self.assertEqual(ensure_made('kind', 'name', ['a', 'b'], self.make),
                         path)
        self.assertNotEqual(ensure_made('kind', 'name', ['ab'], self.make),
                            path)
        self.assertEqual(len(self.made), 2)

    def test_ensure_made_with_two_processes(self):
        """Testing ensure_made with two processes at the same time"""
        first = self.start()
        self.assertEqual(first.stdout.readline(), 'making\n')
        second = self.start()
        first.stdin.close()
        path = first.stdout.readline()

        # The second has waited for it, and makes nothing.
        self.assertEqual(second.stdout.readline(), path)
        second.stdin.close()
        self.assertEqual(sorted(os.listdir(path.rstrip('\n'))),
                         ['.complete', 'whole'])
        self.assertEqual((first.wait(), second.wait()), (0, 0))

    def test_ensure_made_after_kill(self):
        """Testing ensure_made after another run was killed while making it"""
        process = self.start()
        self.assertEqual(process.stdout.readline(), 'making\n')
        process.send_signal(signal.SIGKILL)
        process.stdin.close()
        process.wait()

        process = self.start()
        self.assertEqual(process.stdout.readline(), 'making\n')
        process.stdin.close()
        path = process.stdout.readline().rstrip('\n')
        self.assertEqual(process.wait(), 0)
        self.assertEqual(sorted(os.listdir(path)), ['.complete', 'whole'])

    def test_ensure_made_with_unwritable_cache(self):
        """Testing ensure_made with a cache that can't be written to"""
        self.write('cache', b'')

        with self.assertRaisesRegex(BackportError, 'cannot be written to'):
            ensure_made('kind', 'name', [], self.make)

    def test_ensure_environment_with_unreachable(self):
        """Testing ensure_environment with packages that can't be had"""
        requirements = self.write('requirements.txt', b'-r other.txt\n')
        self.write('other.txt', b'djblets-backport-is-not-there==1\n')
        env = {'PIP_NO_INDEX': '1', 'PIP_FIND_LINKS': ''}

        with open(os.devnull, 'w') as devnull, self.use_environ(env):
            stderr, sys.stderr = sys.stderr, devnull

            try:
                with self.assertRaisesRegex(BackportError,
                                            'could not be made'):
                    ensure_environment('name', requirements,
                                       Progress(quiet=True))
            finally:
                sys.stderr = stderr

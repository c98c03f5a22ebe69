"""Unit tests for djblets_backport.output."""

import os
import shutil
import signal
import subprocess
import sys

from djblets_backport.errors import BackportError
from djblets_backport.output import (SERIES_PATTERNS, WHEEL_PATTERNS,
                                     check_build, write_build)

from backport_testcase import ROOT_DIR, BackportTestCase


ALL_PATTERNS = SERIES_PATTERNS + WHEEL_PATTERNS

#: Writes a build, and is killed at one of the system calls that change what's
#: in the output directory.
_KILLED = '''
import os, shutil, signal, sys

sys.path.insert(0, sys.argv[1])
sys.dont_write_bytecode = True

from djblets_backport import output

directory, kill_at = sys.argv[2], int(sys.argv[3])
calls = 0


def die_before(module, name):
    func = getattr(module, name)

    def wrapper(*args, **kwargs):
        global calls
        calls += 1

        if calls == kill_at:
            os.kill(os.getpid(), signal.SIGKILL)

        return func(*args, **kwargs)

    setattr(module, name, wrapper)


for name in ('chmod', 'fsync', 'mkdir', 'open', 'rename', 'rmdir', 'unlink'):
    die_before(os, name)

die_before(output, '_write_checksums')

with output.write_build(directory, '1.0', ('*.patch', 'series')) as path:
    for name, data in (('0001.patch', 'new\\n' * 10000), ('series', 'new')):
        with open(os.path.join(path, name), 'w') as fp:
            fp.write(data)
'''


class WriteBuildTests(BackportTestCase):
    """Unit tests for djblets_backport.output.write_build."""

    def build(self, patterns=ALL_PATTERNS, **files):
        """Write a build.

        Args:
            patterns (tuple of str, optional):
                The patterns of all names that the build can have.

            **files (dict):
                The contents of the files, by name.
        """
        with write_build(self.path('out'), '1.0', patterns) as directory:
            for name, data in files.items():
                with open(os.path.join(directory, name), 'w') as fp:
                    fp.write(data)

    def read(self):
        """Return what's in the build, after checking its checksums.

        Returns:
            dict:
            The contents of the files, by name.
        """
        files = {}

        for name in check_build(self.path('out', '1.0')):
            with open(self.path('out', '1.0', name)) as fp:
                files[name] = fp.read()

        return files

    def test_new(self):
        """Testing write_build with no earlier build"""
        self.build(series='a')
        self.assertEqual(self.read(), {'series': 'a'})
        self.assertEqual(os.listdir(self.path('out')), ['1.0'])
        self.run_command('sha256sum', '-c', '--strict', 'SHA256SUMS',
                         cwd=self.path('out', '1.0'))

    def test_replace(self):
        """Testing write_build replaces an earlier build as a whole"""
        self.build(**{'0001-old.patch': 'old', 'series': 'old',
                      'old.whl': 'old'})
        self.build(series='new')
        self.assertEqual(self.read(), {'series': 'new'})
        self.assertEqual(os.listdir(self.path('out')), ['1.0'])

    def test_replace_part(self):
        """Testing write_build keeps the other part of an earlier build"""
        self.build(**{'0001-old.patch': 'old', 'series': 'old',
                      'old.whl': 'old'})
        self.build(SERIES_PATTERNS, series='new')
        self.assertEqual(self.read(), {'series': 'new', 'old.whl': 'old'})
        self.build(WHEEL_PATTERNS, **{'new.whl': 'new'})
        self.assertEqual(self.read(), {'series': 'new', 'new.whl': 'new'})

    def test_with_error(self):
        """Testing write_build with an error, or Ctrl-C, while it's written"""
        for error_class in (KeyboardInterrupt, BackportError, OSError):
            for before in ({}, {'series': 'old'}):
                shutil.rmtree(self.path('out'), True)

                if before:
                    self.build(**before)

                with self.assertRaises((BackportError, KeyboardInterrupt)):
                    with write_build(self.path('out'), '1.0',
                                     ALL_PATTERNS) as directory:
                        with open(os.path.join(directory, 'series'),
                                  'w') as fp:
                            fp.write('new')

                        raise error_class('error')

                if before:
                    self.assertEqual(self.read(), before)

                self.assertEqual(os.listdir(self.path('out')),
                                 ['1.0'] if before else [])

    def test_with_changed(self):
        """Testing write_build with an earlier build that somebody changed"""
        self.build(series='a', other='b')

        for change, pattern in (
                (lambda path: os.unlink(os.path.join(path, 'series')),
                 'series was removed'),
                (lambda path: open(os.path.join(path, 'series'), 'a').write(
                    'x') and None, 'series was changed'),
                (lambda path: open(os.path.join(path, 'mine'), 'w').close(),
                 'mine is not of this build'),
                (lambda path: os.unlink(os.path.join(path, 'SHA256SUMS')),
                 'is not a build')):
            saved = shutil.copytree(self.path('out'), self.path('saved'))
            change(self.path('out', '1.0'))
            names = sorted(os.listdir(self.path('out', '1.0')))

            with self.assertRaisesRegex(BackportError, pattern):
                self.build(series='new')

            self.assertEqual(sorted(os.listdir(self.path('out', '1.0'))),
                             names)
            shutil.rmtree(self.path('out'))
            os.rename(saved, self.path('out'))

    def test_with_no_directory(self):
        """Testing write_build with names that are taken by files"""
        self.write('out', b'mine')

        with self.assertRaisesRegex(BackportError, 'cannot be written'):
            self.build(series='a')

        os.unlink(self.path('out'))
        os.mkdir(self.path('out'))
        self.write('out/1.0', b'mine')

        with self.assertRaisesRegex(BackportError, 'is not a build'):
            self.build(series='a')

        with open(self.path('out', '1.0'), 'rb') as fp:
            self.assertEqual(fp.read(), b'mine')

    def test_with_full_disk(self):
        """Testing write_build with a disk that's full"""
        os.mkdir(self.path('out'))
        mount = subprocess.run(
            ['mount', '-t', 'tmpfs', '-o', 'size=64k', 'tmpfs',
             self.path('out')], stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT)

        if mount.returncode:
            self.skipTest('A small disk cannot be mounted here: %s'
                          % mount.stdout)

        try:
            self.build(series='old')

            with self.assertRaisesRegex(BackportError,
                                        'cannot be written: No space left'):
                self.build(series='x' * 200000)

            self.assertEqual(self.read(), {'series': 'old'})
            self.assertEqual(os.listdir(self.path('out')), ['1.0'])
        finally:
            subprocess.run(['umount', self.path('out')], check=True)

    def test_with_two_at_once(self):
        """Testing write_build twice at the same time"""
        with write_build(self.path('out'), '1.0', ALL_PATTERNS) as directory:
            with open(os.path.join(directory, 'series'), 'w') as fp:
                fp.write('first')

            # This must leave the one that's being written alone.
            self.build(series='second')
            self.assertEqual(self.read(), {'series': 'second'})

        self.assertEqual(self.read(), {'series': 'first'})
        self.assertEqual(os.listdir(self.path('out')), ['1.0'])

    def test_with_kill(self):
        """Testing write_build killed before each call that changes anything"""
        old = {'0001.patch': 'old', 'series': 'old', 'old.whl': 'old'}
        new = {'0001.patch': 'new\n' * 10000, 'series': 'new',
               'old.whl': 'old'}
        seen = []

        for kill_at in range(1, 200):
            shutil.rmtree(self.path('out'), True)
            self.build(**old)
            status = subprocess.run(
                [sys.executable, '-c', _KILLED,
                 os.path.join(ROOT_DIR, 'contrib'), self.path('out'),
                 str(kill_at)]).returncode

            # A final name has all of a build, or it isn't there. It's back
            # with the next run at the latest.
            if os.path.exists(self.path('out', '1.0')):
                self.assertIn(self.read(), (old, new))

            if status == 0:
                break

            self.assertEqual(status, -signal.SIGKILL)

            with self.assertRaises(KeyboardInterrupt):
                with write_build(self.path('out'), '1.0', ALL_PATTERNS):
                    raise KeyboardInterrupt

            seen.append(self.read())
            self.assertIn(seen[-1], (old, new))
            self.assertEqual(os.listdir(self.path('out')), ['1.0'])
        else:
            self.fail('It was never run to its end.')

        self.assertIn(old, seen)
        self.assertIn(new, seen)
        self.assertEqual(self.read(), new)

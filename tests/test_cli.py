"""Unit tests for djblets_backport.cli."""

import glob
import hashlib
import os
import pathlib
import re
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import unittest

CHECKOUT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))

sys.path.insert(0, os.path.join(CHECKOUT, 'contrib'))

from djblets_backport import archives, check  # noqa: E402


BACKPORT = os.path.join(CHECKOUT, 'contrib', 'backport')
ARCHIVE = os.path.join(CHECKOUT, 'build', 'archives', 'Djblets-0.8.13.tar.gz')


class CommandLineTests(unittest.TestCase):
    """Unit tests for the command line."""

    @classmethod
    def setUpClass(cls):
        super(CommandLineTests, cls).setUpClass()

        archives.fetch('0.8.13')
        cls.shared = tempfile.mkdtemp(suffix=' \xe9')
        cls.addClassCleanup(shutil.rmtree, cls.shared)

        # Installed, it tries nothing out, and has a cache of its own.
        copy = os.path.join(cls.shared, 'checkout')
        shutil.copytree(CHECKOUT, copy, ignore=lambda path, names: [
            name for name in names
            if name in ('build', 'dist') or name.startswith('.')])
        cls.site = os.path.join(cls.shared, 'site')
        subprocess.run(
            [sys.executable, '-m', 'pip', 'install', '-q', '--no-deps',
             '--no-build-isolation', '--target', cls.site, copy], check=True,
            stdout=subprocess.DEVNULL, stderr=subprocess.STDOUT)

    def setUp(self):
        super(CommandLineTests, self).setUp()

        self.directory = tempfile.mkdtemp(suffix=' \xe9')
        self.addCleanup(shutil.rmtree, self.directory)

    def start(self, *args, **kwargs):
        """Start the installed program in an empty directory."""
        env = dict(os.environ, PYTHONPATH=self.site, LC_ALL='C',
                   XDG_CACHE_HOME=os.path.join(self.shared, 'cache'))
        env.update(kwargs.pop('env', {}))

        return subprocess.Popen(
            [sys.executable, os.path.join(self.site, 'bin',
                                          'djblets-backport')] + list(args),
            cwd=self.directory, env=env, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, encoding='utf-8',
            errors='replace', **kwargs)

    def run_program(self, *args, **kwargs):
        """Run it, and return its exit status and what it printed."""
        process = self.start(*args, **kwargs)
        output, errors = process.communicate()

        return process.returncode, output, errors

    def check_built(self, directory):
        """Check what a build has made, and return the names."""
        names = sorted(set(os.listdir(directory)) - {'SHA256SUMS'})
        expected = ''.join('%s  %s\n' % (hashlib.sha256(pathlib.Path(
            directory, name).read_bytes()).hexdigest(), name)
            for name in names)
        self.assertEqual(
            pathlib.Path(directory, 'SHA256SUMS').read_text(), expected)

        return names

    def test_build(self):
        """Testing build with a release, from a checkout"""
        process = subprocess.run(
            [BACKPORT, 'build', '0.8.13'], cwd=self.directory, check=True,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, encoding='utf-8')
        lines = process.stdout.split('\n')
        names = self.check_built(os.path.join(self.directory, 'dist',
                                              '0.8.13'))

        self.assertEqual([name[:5] for name in names],
                         ['0001-', '0002-', 'Djble', 'serie'])
        self.assertRegex(lines[6], 'Tried out .* passed|NOT TRIED OUT on .* '
                                   'There is no Python 2.7 .* brings it')
        self.assertEqual(lines[8], '  pip install --no-deps dist/0.8.13/' +
                         names[2])
        self.assertIn('Making the series and the wheel of 0.8.13...',
                      process.stderr)
        self.assertEqual(os.listdir(self.directory), ['dist'])

    def test_build_again(self):
        """Testing build with --from and -q, two at a time and once more"""
        args = ['-o', 'out', '--from', ARCHIVE]
        processes = [self.start('build', '-q', *args),
                     self.start('-q', 'build', *args)]

        for process in processes:
            self.assertEqual(process.communicate(), ('', ''))
            self.assertEqual(process.returncode, 0)

        first = self.check_built(os.path.join(self.directory, 'out', '0.8.13'))
        status, output, errors = self.run_program('build', *args)
        self.assertEqual(status, 0)
        self.assertIn('NOT TRIED OUT: only a checkout', output)
        self.assertEqual(self.check_built(os.path.join(
            self.directory, 'out', '0.8.13')), first)
        self.assertEqual(os.listdir(os.path.join(self.directory, 'out')),
                         ['0.8.13'])

    def test_series(self):
        """Testing series with trees of a release and of no release"""
        tree = os.path.join(self.directory, 'tree')
        path = pathlib.Path(tree, check.MODULE_PATH)
        path.parent.mkdir(parents=True)

        for end, expected in ((b'', 'is that of 0.8.12 to 0.8.13'),
                              (b'\n\n# New.\n', 'is that of no release')):
            path.write_bytes(archives.fetch('0.8.13')[check.MODULE_PATH] + end)
            status, output, errors = self.run_program('series', '--from', tree)
            self.assertEqual((status, errors), (0, ''))
            self.assertIn(expected, output)
            self.assertIn('git am ', output)
            self.assertEqual(len(self.check_built(os.path.join(
                self.directory, 'dist', 'series-tree'))), 3)

    def test_releases_and_check(self):
        """Testing releases, and check with a path that has no Djblets"""
        output = self.run_program('releases')[1]
        self.assertEqual(len(re.findall('Python .* Django', output)), 8)
        self.assertEqual(self.run_program('-q', 'check', self.site)[0], 2)

    def test_bad_input(self):
        """Testing all verbs with input that can't be right"""
        for name in ('file', 'Djblets-0.8.13.tar.gz', 'dist'):
            pathlib.Path(self.directory, name).write_text('x')

        for args, message in (
                (['build', '5.0.0'], 'what can be patched is 5.0'),
                (['build', '0.8.13', '4.0beta1'], 'is a pre-release'),
                (['build'], 'build takes releases'),
                (['build', '--all', '6.1'], 'build takes releases'),
                (['build', '6.1', '--wheel'], 'unknown arguments: --wheel'),
                (['bulid'], "invalid choice: 'bulid'"),
                (['build', '6.1', '--from', ARCHIVE], 'was not asked for'),
                (['build', '6.1'], 'dist is no directory'),
                (['build', '6.1', '-o', 'file/x'], 'file/x is no directory'),
                (['build', '6.1', '-o', '/proc/x'], '/proc/x is no directory'),
                (['build', '--from', 'Djblets-0.8.13.tar.gz'], 'truncated or'),
                (['build', '--from', 'file'], 'is no official archive'),
                (['series', '--from', 'file'], 'neither an sdist nor'),
                (['series', '--from', 'missing'], 'No such file'),
                (['series', '--from', '.'], '.: there is no djblets/cache/'),
                (['series'], 'required: --from')):
            status, output, errors = self.run_program(*args)
            self.assertEqual((status, output), (2, ''), args)
            self.assertRegex(errors, '^(djblets-)?backport.*: .*%s.*\n$'
                             % re.escape(message))
            self.assertEqual(len(os.listdir(self.directory)), 3, args)

    def test_failures(self):
        """Testing build with no registry, a full disk and something there"""
        args = ['build', '--from', ARCHIVE, '-o', 'x/out']
        limit = {'preexec_fn': lambda: resource.setrlimit(
            resource.RLIMIT_FSIZE, (99999, 99999))}

        for kwargs, args, expected in (
                ({'env': {'PIP_NO_INDEX': '1', 'PIP_FIND_LINKS': '.'}},
                 ['build', '6.1', '-o', 'x/out'], 'give the official archive'),
                (limit, args, 'File too large')):
            status, output, errors = self.run_program(*args, **kwargs)
            self.assertEqual((status, output), (1, ''))
            self.assertIn(expected, errors.split('\n')[-2])
            self.assertEqual(os.listdir(self.directory), [])

        os.makedirs(os.path.join(self.directory, 'x', 'out', '0.8.13', 'mine'))
        self.assertEqual(self.run_program(*args)[0], 2)
        self.assertEqual(glob.glob('%s/x/out/*/*' % self.directory)[0][-4:],
                         'mine')

    def test_interrupt(self):
        """Testing build with Ctrl-C and with SIGTERM during a download"""
        pip = pathlib.Path(self.shared, 'slow', 'pip.py')
        pip.parent.mkdir()
        pip.write_text('import time\ntime.sleep(60)\n')

        for number in (signal.SIGINT, signal.SIGTERM):
            process = self.start('build', '6.1', env={
                'PYTHONPATH': '%s:%s' % (pip.parent, self.site)})
            self.assertIn('Downloading', process.stderr.readline())
            time.sleep(0.5)
            process.send_signal(number)
            output, errors = process.communicate()
            self.assertEqual((process.returncode, output), (130, ''))
            self.assertIn('interrupted', errors)
            self.assertEqual(os.listdir(self.directory), [])
            self.assertEqual(
                os.listdir(os.path.join(self.shared, 'cache',
                                        'djblets-backport')), [])

"""Unit tests for djblets_backport.cli."""

import os
import re
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time

from scratch import CHECKOUT, ScratchTestCase

from djblets_backport import archives, releases
from djblets_backport.check import MODULE_PATH


RELEASE = releases.find_release('0.8.13')
ARCHIVE = str(CHECKOUT / 'build' / 'archives' / 'Djblets-0.8.13.tar.gz')


class CommandLineTests(ScratchTestCase):
    """Unit tests for the command line."""

    suffix = ' \xe9'

    @classmethod
    def setUpClass(cls):
        super(CommandLineTests, cls).setUpClass()

        archives.fetch(RELEASE)
        cls.shared = tempfile.mkdtemp(suffix=cls.suffix)
        cls.addClassCleanup(shutil.rmtree, cls.shared)

        # Installed, it tries nothing out, and has a cache of its own.
        copy = os.path.join(cls.shared, 'checkout')
        shutil.copytree(str(CHECKOUT), copy, ignore=shutil.ignore_patterns(
            'build', 'dist', '.*'))
        cls.site = os.path.join(cls.shared, 'site')
        subprocess.run(
            [sys.executable, '-m', 'pip', 'install', '-q', '--no-deps',
             '--no-build-isolation', '--target', cls.site, copy], check=True,
            stdout=subprocess.DEVNULL, stderr=subprocess.STDOUT)

    def start(self, *args, program=None, env={}, **kwargs):
        """Start the installed program in an empty directory."""
        program = program or self.site + '/bin/djblets-backport'
        env = {**os.environ, 'PYTHONPATH': self.site, 'LC_ALL': 'C',
               'XDG_CACHE_HOME': self.shared + '/cache', **env}

        return subprocess.Popen(
            [sys.executable, program, *args], cwd=str(self.directory), env=env,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, **kwargs,
            stderr=subprocess.PIPE, encoding='utf-8', errors='replace')

    def run_program(self, *args, **kwargs):
        """Run it, and return what it printed and its exit status."""
        process = self.start(*args, **kwargs)

        return (*process.communicate(), process.returncode)

    def check_made(self, directory, expected):
        """Check the files that were made, by how their names start."""
        self.assertEqual(' '.join(
            name[:5] for name in self.get_names(directory)), expected)
        subprocess.run(['sha256sum', '--check', '--status', 'SHA256SUMS'],
                       cwd=str(self.directory / directory), check=True)

    def test_build(self):
        """Testing build with a release, from a checkout"""
        output, errors, status = self.run_program(
            'build', '0.8.13', program=str(CHECKOUT / 'contrib' / 'backport'))
        self.assertEqual(status, 0, errors)
        self.check_made('dist/0.8.13', '0001- 0002- Djble SHA25 serie')
        self.assertRegex(
            output, r'Tried out .* passed|NOT TRIED OUT on .* There is no '
                    r'Python 2.7 .* brings it')
        self.assertIn('\n  pip install --no-deps dist/0.8.13/Djblets-0.8.13+',
                      output)
        self.assertIn('Making the series and the wheel of 0.8.13...', errors)
        self.assertEqual(self.get_names(), ['dist'])

    def test_build_again(self):
        """Testing build with --from and -q, two at a time and once more"""
        args = ['-o', 'out', '--from', ARCHIVE]

        for process in [self.start('build', '-q', *args),
                        self.start('-q', 'build', *args)]:
            self.assertEqual(process.communicate(), ('', ''))
            self.assertEqual(process.returncode, 0)

        output, errors, status = self.run_program('build', *args)
        self.assertEqual(status, 0)
        self.assertIn('NOT TRIED OUT: only a checkout', output)
        self.check_made('out/0.8.13', '0001- 0002- Djble SHA25 serie')
        self.assertEqual(self.get_names('out'), ['0.8.13'])

    def test_series(self):
        """Testing series with trees of a release and of no release"""
        for end, expected in ((b'', 'is that of 0.8.12 to 0.8.13'),
                              (b'\n\n# New.\n', 'is that of no release')):
            self.write('tree/' + MODULE_PATH,
                       archives.fetch(RELEASE).files[MODULE_PATH] + end)
            output, *rest = self.run_program('series', '--from', 'tree')
            self.assertEqual(rest, ['', 0])
            self.assertRegex(output, '(?s)%s.*git am ' % expected)
            self.check_made('dist/series-tree', '0001- 0002- SHA25 serie')

    def test_installed(self):
        """Testing setup.py, and releases and check where it's installed"""
        self.assertFalse({'djblets', 'tests'}.intersection(
            os.listdir(self.site)))
        output = self.run_program('releases')[0]
        self.assertEqual(len(re.findall('Python .* Django', output)), 8)
        self.assertEqual(self.run_program('-q', 'check', self.site)[2], 2)

    def test_bad_input(self):
        """Testing all verbs with input that can't be right"""
        for name in ('file', 'Djblets-0.8.13.tar.gz', 'dist', 'git/objects/x',
                     'x/0.8.13/mine', 'tree/' + MODULE_PATH):
            self.write(name, b'\xff')

        names = self.get_names()

        for line, message in (
                ('build 5.0.0', 'what can be patched is 5.0'),
                ('build 0.8.13 4.0beta1', 'is a pre-release'),
                ('build', 'build takes releases'),
                ('build --all 6.1', 'build takes releases'),
                ('build 6.1 --wheel', 'unknown arguments: --wheel'),
                ('bulid', "invalid choice: 'bulid'"),
                ('build 6.1', 'dist is no directory'),
                ('build 6.1 -o file/x', 'file/x is no directory'),
                ('build 6.1 -o /proc/x', '/proc/x is no directory'),
                ('build 0.8.13 -o x', 'x/0.8.13 is in the way'),
                ('build --from Djblets-0.8.13.tar.gz', 'truncated or'),
                ('build --from file', 'is no official archive'),
                ('series --from file', 'neither an sdist nor'),
                ('series --from missing', 'No such file'),
                ('series --from git', 'git: there is no djblets/cache/'),
                ('series --from tree', 'tree: its forwarding module'),
                ('series', 'required: --from')):
            output, errors, status = self.run_program(*line.split())
            self.assertEqual((status, output), (2, ''), line)
            self.assertRegex(errors, '^(djblets-)?backport.*: .*%s.*\n$'
                             % re.escape(message))
            self.assertEqual(self.get_names(), names)

        self.assertEqual(self.get_names('x'), ['0.8.13'])

    def test_failures(self):
        """Testing build with no registry, and with a full disk"""
        (self.directory / 'mine').mkdir()

        for args, message, kwargs in (
                (['6.1'], 'give the official archive',
                 {'env': {'PIP_NO_INDEX': '1', 'PIP_FIND_LINKS': '.'}}),
                (['--from', ARCHIVE], 'File too large',
                 {'preexec_fn': lambda: resource.setrlimit(
                     resource.RLIMIT_FSIZE, (99999, 99999))})):
            output, errors, status = self.run_program(
                'build', '-o', 'mine/x/out', *args, **kwargs)
            self.assertEqual((status, output), (1, ''))
            self.assertIn(message, errors.split('\n')[-2])
            self.assertEqual(self.get_names('mine'), [])

    def test_interrupt(self):
        """Testing build with Ctrl-C and with SIGTERM during a download"""
        pip = self.write('slow/pip.py', b'import time\ntime.sleep(60)\n')

        for number in (signal.SIGINT, signal.SIGTERM):
            process = self.start('build', '6.1', env={
                'PYTHONPATH': '%s:%s' % (pip.parent, self.site)})
            self.assertIn('Downloading', process.stderr.readline())
            time.sleep(0.5)
            process.send_signal(number)
            output, errors = process.communicate()
            self.assertEqual((process.returncode, output), (130, ''))
            self.assertIn('interrupted', errors)
            self.assertEqual(self.get_names(), ['slow'])
            self.assertEqual(
                os.listdir(self.shared + '/cache/djblets-backport'), [])

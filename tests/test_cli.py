"""Unit tests for djblets_backport.cli, and for setup.py."""

import os
import re
import resource
import shutil
import signal
import subprocess
import sys
import tarfile
import tempfile
import time
from pathlib import Path

from scratch import CHECKOUT, ScratchTestCase

from djblets_backport import archives, check, releases
from djblets_backport.check import MODULE_PATH


RELEASE = releases.find_release('0.8.13')
ARCHIVE = str(CHECKOUT / 'build' / 'archives' / RELEASE.filename)


class CommandLineTests(ScratchTestCase):
    """Unit tests for the command line."""

    suffix = ' \xe9'

    @classmethod
    def setUpClass(cls):
        super(CommandLineTests, cls).setUpClass()

        archives.fetch(RELEASE)
        cls.shared = Path(tempfile.mkdtemp(suffix=cls.suffix))
        cls.addClassCleanup(shutil.rmtree, str(cls.shared))
        cls.copy = cls.shared / 'checkout'
        shutil.copytree(str(CHECKOUT), str(cls.copy),
                        ignore=shutil.ignore_patterns(
                            'build', 'dist', '.git', '.tox', '__pycache__'))
        cls.run_python('setup.py', '-q', 'sdist', cwd=str(cls.copy))
        cls.sdist, = (cls.copy / 'dist').iterdir()

        # Installed, it tries nothing out, and has a cache of its own.
        cls.site = str(cls.shared / 'site')
        cls.run_python('-m', 'pip', 'install', '-q', '--no-deps',
                       '--no-build-isolation', '--target', cls.site,
                       str(cls.sdist))

    @classmethod
    def run_python(cls, *args, **kwargs):
        """Run this Python."""
        subprocess.run([sys.executable, *args], check=True,
                       stdout=subprocess.DEVNULL, stderr=subprocess.STDOUT,
                       **kwargs)

    def start(self, *args, program=None, env={}, **kwargs):
        """Start the installed program in an empty directory."""
        program = program or self.site + '/bin/djblets-backport'
        env = {**os.environ, 'PYTHONPATH': self.site, 'LC_ALL': 'C',
               'XDG_CACHE_HOME': str(self.shared / 'cache'), **env}
        kwargs = {'stdout': subprocess.PIPE, **kwargs}

        return subprocess.Popen(
            [sys.executable, program, *args], cwd=str(self.directory), env=env,
            stdin=subprocess.DEVNULL, stderr=subprocess.PIPE,
            encoding='utf-8', errors='replace', **kwargs)

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
        self.check_made('dist/0.8.13', '0001- 0002- Djble SHA25 serie unpat')
        self.assertRegex(
            output, r'Tried out .* passed|NOT TRIED OUT on .* There is no '
                    r'Python 2.7 .* brings it')
        self.assertIn('\n  pip install --no-deps dist/0.8.13/Djblets-0.8.13+',
                      output)
        self.assertIn('\n  pip install --no-deps -U --force-reinstall dist/'
                      '0.8.13/unpatched/Djblets-0.8.13-py2-none-any.whl\n',
                      output)
        self.assertIn('Making the series and the wheel of 0.8.13...', errors)
        self.assertEqual(self.get_names(), ['dist'])

    def test_build_again(self):
        """Testing build with --from and -q, and once more"""
        args = ['-o', 'out', '--from', ARCHIVE]
        self.assertEqual(self.run_program('build', '-q', *args, '0.8.13'),
                         ('', '', 0))
        output, errors, status = self.run_program('build', *args)
        self.assertEqual(status, 0)
        self.assertIn('NOT TRIED OUT: only a checkout', output)
        self.check_made('out/0.8.13', '0001- 0002- Djble SHA25 serie unpat')
        self.assertEqual(self.get_names('out'), ['0.8.13'])

    def test_build_with_official_wheel(self):
        """Testing build with the wheel to go back to, which is official"""
        path = Path(archives.fetch(releases.find_release('6.1')).path)
        renamed = shutil.copy(str(path), str(self.directory / 'renamed'))
        self.run_program('build', '--from', renamed)
        self.assertEqual(
            (self.directory / 'dist/6.1/unpatched' / path.name).read_bytes(),
            path.read_bytes())

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

        # What it says last, where there's neither git nor pip.
        subprocess.run(['sh', '-c', output.splitlines()[-1]], check=True,
                       cwd=str(self.directory / 'tree'),
                       stdout=subprocess.DEVNULL)
        self.assertEqual(len(self.get_names('tree/djblets/cache')), 2)

    def test_sdist(self):
        """Testing setup.py with sdist, and that it has all there is"""
        def is_source(path):
            return not re.search(r'(^|/)(\.git|dist|PKG-INFO|setup.cfg)(/|$)|'
                                 r'egg-info|\.pyc$', path)

        with tarfile.open(str(self.sdist)) as archive:
            found = {member.name.partition('/')[2]: member.mode
                     for member in archive if member.isfile()}

        self.assertEqual(
            sorted(filter(is_source, found)),
            sorted(filter(is_source, (
                str(path.relative_to(self.copy))
                for path in self.copy.glob('**/*') if path.is_file()))))
        self.assertTrue(found['contrib/backport'] & 0o100)

    def test_installed(self):
        """Testing setup.py, and releases and check where it's installed"""
        self.assertFalse({'djblets', 'tests'}.intersection(
            os.listdir(self.site)))
        output = self.run_program('releases')[0]
        self.assertEqual(len(re.findall('Python .* Django', output)), 9)
        output, *rest = self.run_program('check', self.site)
        self.assertRegex(rest[0], '^djblets-backport: .* has no Djblets\n$')
        self.assertEqual(rest[1], 2)
        self.assertRegex(self.run_program('--version')[0],
                         'djblets-backport, revision %d ' % check.REVISION)

        info, = Path(self.site).glob('djblets_backport-*-info')
        self.assertIn('\nLicense: MIT\n', (info / 'METADATA').read_text())
        self.assertTrue(list(info.glob('**/COPYING')))

    def test_bad_input(self):
        """Testing all verbs with input that can't be right"""
        for name in ('file', 'Djblets-0.8.13.tar.gz', 'dist', 'git/objects/x',
                     'x/0.8.13/mine', 'tree/' + MODULE_PATH, 'y/0.8.13'):
            self.write(name, b'\xff')

        names = self.get_names()
        given = ['--from', ARCHIVE, '-o']

        for args, message in (
                ('build 0.8.13 5.0.0', '5.0.0 is none of .*; 5.0 is one'),
                (['build', ''], "'' is none of the final releases"),
                ('build', 'build takes releases'),
                ('build --all 6.1', 'build takes releases'),
                ('build 6.1 --wheel', 'unrecognized arguments: --wheel'),
                ('bulid', "invalid choice: 'bulid'"),
                (['build', *given, 'dist'], 'dist is no directory'),
                (['build', *given, 'file/x'], 'file/x is no directory'),
                (['build', *given, '/proc/x'], '/proc/x is no directory'),
                (['build', *given, ''], "'' is no directory"),
                (['build', *given, 'x'], 'x/0.8.13 is in the way'),
                (['build', *given, 'y'], 'y/0.8.13 is in the way'),
                ('build --from Djblets-0.8.13.tar.gz', 'truncated or'),
                ('build --from file', 'is no official archive'),
                (['build', '--from', ''], "'' cannot be read"),
                ('series --from file', 'neither an sdist nor'),
                ('series --from missing', 'No such file'),
                (['series', '--from', ''], "'' is missing"),
                ('series --from git', 'git: there is no djblets/cache/'),
                ('series --from tree', 'tree: its forwarding module'),
                ('series', 'required: --from'),
                ('check --nosuch', 'unrecognized arguments'),
                ('check nowhere', 'nowhere is no directory'),
                ('releases --check', 'for a checkout'),
                ('releases --update', 'for a checkout')):
            output, errors, status = self.run_program(
                *(args.split() if isinstance(args, str) else args))
            self.assertEqual((status, output), (2, ''), args)
            self.assertRegex(errors.split('...\n')[-1],
                             '^djblets-backport.*: .*%s.*\n?$' % message)
            self.assertEqual(self.get_names(), names)

        self.assertEqual(self.get_names('x'), ['0.8.13'])

    def test_failures(self):
        """Testing build with no registry, and with a full disk"""
        for args, message, kwargs in (
                (['6.1'], 'give the official archive',
                 {'env': {'PIP_NO_INDEX': '1', 'PIP_FIND_LINKS': '.'}}),
                (['--from', ARCHIVE], 'out/0.8.13 cannot be written: File too '
                 'large', {'preexec_fn': lambda: resource.setrlimit(
                     resource.RLIMIT_FSIZE, (99999, 99999))})):
            output, errors, status = self.run_program(
                'build', '-o', 'out', *args, **kwargs)
            self.assertEqual((status, output), (1, ''))
            self.assertIn(message, errors.split('\n')[-2])
            self.assertEqual(list(self.directory.glob('out/*')), [])

    def test_broken_pipe(self):
        """Testing releases with output that nobody reads"""
        read_end, write_end = os.pipe()
        os.close(read_end)
        self.assertEqual(self.run_program('releases', stdout=write_end),
                         (None, '', 1))
        os.close(write_end)

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
                os.listdir(str(self.shared / 'cache/djblets-backport')), [])

"""Unit tests for djblets_backport.cli, with the program as users run it."""

import os
import pty
import shutil
import signal
import socket
import subprocess
import sys

from djblets_backport.bootstrap import ensure_made
from djblets_backport.catalogue import MODULE_PATH, load
from djblets_backport.output import check_build, read_checksums

from backport_testcase import (BACKPORT, ROOT_DIR, BackportTestCase,
                               get_archive, get_files, write_tree)


class CommandTests(BackportTestCase):
    """Unit tests for djblets_backport.cli."""

    def setUp(self):
        super(CommandTests, self).setUp()

        # Nothing here may need the network, unless it says so.
        with socket.socket() as sock:
            sock.bind(('127.0.0.1', 0))
            self.nowhere = ('http://127.0.0.1:%d/simple/'
                            % sock.getsockname()[1])

    def get_offline_environ(self):
        """Return the variables for a run without the network.

        Returns:
            dict:
            The variables. What the tool itself needs is in the cache.
        """
        return {
            'PIP_CONFIG_FILE': os.devnull,
            'PIP_EXTRA_INDEX_URL': '',
            'PIP_FIND_LINKS': '',
            'PIP_INDEX_URL': self.nowhere,
        }

    def test_help(self):
        """Testing --help of all commands"""
        status, output, errors = self.run_backport('--help')
        self.assertEqual((status, errors), (0, ''))

        for name in ('releases', 'check', 'series', 'wheel', 'build',
                     'verify', 'catalogue'):
            self.assertIn('\n    %s' % name, output)
            status, help_output, errors = self.run_backport(name, '--help')
            self.assertEqual((status, errors), (0, ''))
            self.assertIn('--quiet', help_output)

    def test_releases(self):
        """Testing "releases" has a line for each release"""
        status, output, errors = self.run_backport('releases')
        self.assertEqual((status, errors), (0, ''))
        lines = output.split('\n\n')[0].splitlines()
        self.assertEqual([line.split()[0] for line in lines], list(load()))
        self.assertIn('0.8.12+forwarding.', lines[0])
        self.assertIn('none-access', lines[0])

    def test_releases_with_closed_output(self):
        """Testing "releases" with nobody reading to the end"""
        self.assertEqual(
            self.run_command('sh', '-c', '"$0" releases | head -1 | wc -l',
                             BACKPORT).strip(), '1')

    def test_build_offline(self):
        """Testing "build" with --from, and no network, twice the same"""
        env = self.get_offline_environ()

        for name in ('one', 'two \u00fc'):
            status, output, errors = self.run_backport(
                'build', '--from', get_archive('0.8.13'), '--no-verify', '-o',
                name, env=env)
            self.assertEqual(status, 0, errors)
            self.assertIn('Djblets-0.8.13+forwarding.', output)

        self.assertEqual(check_build(self.path('one', '0.8.13')),
                         check_build(self.path('two \u00fc', '0.8.13')))
        self.assertEqual(len(read_checksums(self.path('one', '0.8.13'))), 4)

    def test_build_twice_at_once(self):
        """Testing "build" twice at the same time in one directory"""
        processes = [
            subprocess.Popen([BACKPORT, 'build', '--no-verify', '-q',
                              '0.8.13', '0.8.19', '6.1'], cwd=self.dir)
            for i in range(2)
        ]
        self.assertEqual([process.wait() for process in processes], [0, 0])
        self.assertEqual(sorted(os.listdir(self.path('dist'))),
                         ['0.8.13', '0.8.19', '6.1'])

        for version in ('0.8.13', '0.8.19', '6.1'):
            self.assertEqual(len(check_build(self.path('dist', version))), 4)

    def test_build_verified(self):
        """Testing "build" tries out what it made"""
        status, output, errors = self.run_backport('build', '0.8.13')
        self.assertEqual(status, 0, errors)
        self.assertRegex(output, r'Tried out in a fresh environment: '
                                 r'py27-django16: \d+ tests passed')
        self.assertIn('Next: ', output)

        # The log is plain lines.
        self.assertNotIn('\r', errors)
        self.assertNotIn('\x1b', errors)

    def test_build_with_no_python(self):
        """Testing "build" and "verify" with no suitable Python"""
        os.mkdir(self.path('bin'))

        for name in ('git', 'python3'):
            os.symlink(sys.executable if name == 'python3' else
                       shutil.which(name), self.path('bin', name))

        env = {'PATH': self.path('bin'), 'PYENV_ROOT': self.dir}
        program = [sys.executable, BACKPORT]
        result = self.run_backport('build', '0.8.13', env=env,
                                   program=program)
        self.assertOneLineError(result,
                                'was made, but not tried out: no Python 2.7',
                                status=3)
        self.assertEqual(len(check_build(self.path('dist', '0.8.13'))), 4)

        result = self.run_backport('verify', 'dist/0.8.13', env=env,
                                   program=program)
        self.assertOneLineError(result, 'no Python 2.7')

        # It's no error if that was asked for.
        status, output, errors = self.run_backport(
            'build', '0.8.13', '--no-verify', env=env, program=program)
        self.assertEqual(status, 0, errors)

    def test_series_and_wheel(self):
        """Testing "series" and "wheel" in one directory"""
        for args in (('series',), ('wheel',), ('series', '-q')):
            status, output, errors = self.run_backport(*(args + ('0.8.13',)))
            self.assertEqual(status, 0, errors)

        self.assertEqual((output, errors), ('', ''))
        self.assertEqual(len(check_build(self.path('dist', '0.8.13'))), 4)

    def test_series_from_tree(self):
        """Testing "series" with a tree gives what the archive does"""
        tree = write_tree(self.path('a tree'), {
            name: data
            for name, data in get_files('4.0').items()
            if name.startswith('djblets/cache/')
        })
        env = self.get_offline_environ()

        for args in (('--from', tree, '-o', 'tree'),
                     ('--from', get_archive('4.0'), '-o', 'archive')):
            status, output, errors = self.run_backport('series', '4.0', *args,
                                                       env=env)
            self.assertEqual(status, 0, errors)

        self.assertEqual(check_build(self.path('tree', '4.0')),
                         check_build(self.path('archive', '4.0')))

    def test_with_bad_input(self):
        """Testing errors are of one line, and leave nothing behind"""
        modified = write_tree(self.path('modified'), {
            MODULE_PATH: get_files('0.8.13')[MODULE_PATH] + b'\n',
        })
        other = write_tree(self.path('other'), {
            MODULE_PATH: get_files('0.8.13')[MODULE_PATH],
        })

        with open(get_archive('0.8.13'), 'rb') as fp:
            data = fp.read()

        truncated = self.write('Djblets-0.8.13.tar.gz', data[:-1000])
        repacked = self.write('repacked.tar.gz', data[:-1000])
        text = self.write('text.tar.gz', b'<html></html>')
        before = sorted(os.listdir(self.dir))

        for args, pattern in (
                (('build',), 'No release was given'),
                (('build', '0.8.11'), '0.8.11 has nothing to fix'),
                (('build', '0.8.30'), 'There is no Djblets 0.8.30'),
                (('build', '99.0'), 'newer than the catalogue'),
                (('build', 'foo'), '"foo" is not a release'),
                (('build', '--all', '0.8.13'), '--all takes no releases'),
                (('build', '--from', 'missing'), 'missing does not exist'),
                (('build', '--from', truncated), 'its SHA-256 is'),
                (('build', '--from', repacked), 'truncated'),
                (('build', '--from', text), 'not a tar archive'),
                (('series', '--from', modified, '0.8.13'),
                 'was modified: the git blob ID'),
                (('series', '--from', other), 'does not tell its release'),
                (('series', '--from', other, '0.8.29'),
                 'is not Djblets 0.8.29'),
                (('wheel', '--from', other, '0.8.13'),
                 'needs the official Djblets-0.8.13.tar.gz')):
            with self.subTest(args):
                self.assertOneLineError(
                    self.run_backport(*(args + ('-o', 'dist'))), pattern)

                if os.path.exists(self.path('dist')):
                    os.rmdir(self.path('dist'))

        self.assertEqual(sorted(os.listdir(self.dir)), before)

    def test_with_no_command(self):
        """Testing wrong usage"""
        for args in ((), ('mend',), ('build', '--force', '0.8.13')):
            status, output, errors = self.run_backport(*args)
            self.assertEqual((status, output), (2, ''))
            self.assertIn('backport: error: ', errors.splitlines()[-1])

    def test_with_unreachable_registry(self):
        """Testing "build" with a registry that can't be reached"""
        # The cache has the tool's own environment, and no archives.
        cache = self.path('cache', 'djblets-backport')
        real = os.path.dirname(os.path.dirname(get_archive('0.8.13')))
        os.makedirs(cache)
        os.symlink(os.path.join(real, 'environments'),
                   os.path.join(cache, 'environments'))
        env = dict(self.get_offline_environ(),
                   XDG_CACHE_HOME=self.path('cache'))

        self.assertOneLineError(
            self.run_backport('build', '0.8.13', env=env),
            'The package registry (has no Djblets, or )?cannot be reached')
        self.assertEqual(os.listdir(self.path('dist')), [])

        # What was made without the network, can't be tried out without it.
        self.assertOneLineError(
            self.run_backport('build', '--from', get_archive('0.8.13'),
                              env=env),
            'was made, but not tried out', status=3)
        self.assertEqual(len(check_build(self.path('dist', '0.8.13'))), 4)

    def test_with_unwritable_output(self):
        """Testing "build" with an output directory that's not writable"""
        self.write('file', b'')
        self.assertOneLineError(
            self.run_backport('build', '0.8.13', '-o', 'file'),
            'file/0.8.13 cannot be written')

        os.mkdir(self.path('dist'))
        self.write('dist/0.8.13', b'mine')
        self.assertOneLineError(
            self.run_backport('build', '0.8.13'),
            'dist/0.8.13 is not a build')

        with open(self.path('dist', '0.8.13'), 'rb') as fp:
            self.assertEqual(fp.read(), b'mine')

    def test_without_root(self):
        """Testing "build" without root, in and out of one's own directories"""
        if os.getuid() != 0:
            self.skipTest('This is not run by root; the others show it')

        # Nobody can't read root's Python or cache.
        if not shutil.which('setpriv'):
            self.skipTest('setpriv is not installed')

        # The first program that setpriv runs still has root's capabilities.
        drop = ['setpriv', '--reuid=65534', '--regid=65534', '--clear-groups',
                'env']

        for python in (sys.executable, '/usr/bin/python3'):
            if subprocess.run(drop + [python, '-c', 'import venv, ensurepip'],
                              cwd='/', stdout=subprocess.DEVNULL,
                              stderr=subprocess.DEVNULL).returncode == 0:
                break
        else:
            self.skipTest('No Python with venv can be run without root')

        shutil.copytree(os.path.join(ROOT_DIR, 'contrib'),
                        self.path('contrib'))
        shutil.copytree(os.path.join(ROOT_DIR, 'djblets'),
                        self.path('djblets'))
        os.chmod(self.dir, 0o755)
        os.mkdir(self.path('root'))
        os.mkdir(self.path('home'))
        os.chown(self.path('home'), 65534, 65534)
        archive = shutil.copy(get_archive('0.8.13'), self.dir)
        os.chmod(archive, 0o644)
        program = drop + [python, self.path('contrib', 'backport')]
        env = {'HOME': self.path('home'), 'TMPDIR': self.path('home'),
               'XDG_CACHE_HOME': ''}

        status, output, errors = self.run_backport(
            'build', '--no-verify', '--from', archive, '-o',
            self.path('home', 'dist'), program=program, env=env)
        self.assertEqual(status, 0, errors)
        self.assertEqual(
            len(check_build(self.path('home', 'dist', '0.8.13'))), 4)

        self.assertOneLineError(
            self.run_backport('build', '--no-verify', '--from', archive, '-o',
                              self.path('root'), program=program, env=env),
            'cannot be written: Permission denied')
        self.assertEqual(os.listdir(self.path('root')), [])

    def start_build(self, **kwargs):
        """Start a build that's stopped while it makes the series.

        Args:
            **kwargs (dict):
                Further arguments for :py:class:`subprocess.Popen`.

        Returns:
            subprocess.Popen:
            The process, which waits for ever.
        """
        os.mkdir(self.path('bin'))
        path = self.path('bin', 'git')

        with open(path, 'w') as fp:
            fp.write('#!/bin/sh\necho ready > "%s"\nexec sleep 60\n'
                     % self.path('fifo'))

        os.chmod(path, 0o755)
        os.mkfifo(self.path('fifo'))
        process = subprocess.Popen(
            [BACKPORT, 'build', '0.8.13'], cwd=self.dir,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, encoding='utf-8', start_new_session=True,
            env=dict(os.environ, TMPDIR=self.path('bin'),
                     PATH='%s:%s' % (self.path('bin'), os.environ['PATH'])))

        with open(self.path('fifo')) as fp:
            self.assertEqual(fp.read(), 'ready\n')

        self.addCleanup(process.stdout.close)
        self.addCleanup(process.stderr.close)

        return process

    def test_with_interrupt(self):
        """Testing "build" with Ctrl-C"""
        process = self.start_build()
        os.killpg(process.pid, signal.SIGINT)
        output, errors = process.communicate(timeout=30)

        self.assertOneLineError((process.returncode, output, errors),
                                'Interrupted', status=130)
        self.assertEqual(os.listdir(self.path('dist')), [])
        self.assertEqual(os.listdir(self.path('bin')), ['git'])

    def test_with_terminate(self):
        """Testing "build" with SIGTERM"""
        process = self.start_build()
        os.killpg(process.pid, signal.SIGTERM)
        output, errors = process.communicate(timeout=30)

        self.assertOneLineError((process.returncode, output, errors),
                                'Interrupted', status=130)
        self.assertEqual(os.listdir(self.path('dist')), [])

    def test_with_kill(self):
        """Testing "build" with kill -9, and again"""
        process = self.start_build()
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate(timeout=30)
        self.assertFalse(os.path.exists(self.path('dist', '0.8.13')))

        status, output, errors = self.run_backport('build', '0.8.13',
                                                   '--no-verify')
        self.assertEqual(status, 0, errors)
        self.assertEqual(os.listdir(self.path('dist')), ['0.8.13'])

    def test_with_terminal(self):
        """Testing "build" shows progress in one line on a terminal"""
        master, slave = pty.openpty()

        try:
            process = subprocess.Popen(
                [BACKPORT, 'series', '0.8.13'], cwd=self.dir,
                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                stderr=slave)
            process.communicate()
            self.assertEqual(process.returncode, 0)
            output = os.read(master, 10000).decode('utf-8')
        finally:
            os.close(master)
            os.close(slave)

        self.assertIn('\r\x1b[KMaking the series for 0.8.13', output)

    def test_installed(self):
        """Testing the installed tool does what contrib/backport does"""
        def _make(path):
            source = self.path('source')
            shutil.copytree(os.path.join(ROOT_DIR, 'contrib',
                                         'djblets_backport'),
                            os.path.join(source, 'contrib',
                                         'djblets_backport'))
            shutil.copytree(os.path.join(ROOT_DIR, 'djblets'),
                            os.path.join(source, 'djblets'))
            shutil.copy(os.path.join(ROOT_DIR, 'setup.py'), source)
            self.run_command(sys.executable, '-m', 'venv', path)
            self.run_command(os.path.join(path, 'bin', 'python'), '-m', 'pip',
                             'install', source)

        contents = []

        for directory in ('contrib/djblets_backport', 'djblets/cache'):
            for base, dirnames, names in os.walk(os.path.join(
                    ROOT_DIR, *directory.split('/'))):
                for name in sorted(names):
                    if not name.endswith('.pyc'):
                        with open(os.path.join(base, name), 'rb') as fp:
                            contents.append(fp.read().decode('utf-8'))

        environment = ensure_made('environments', 'installed', contents,
                                  _make)
        program = [os.path.join(environment, 'bin', 'djblets-backport')]
        names = set(os.listdir(os.path.join(
            environment, 'lib', 'python%d.%d' % sys.version_info[:2],
            'site-packages')))
        self.assertNotIn('djblets', names)
        self.assertNotIn('tests', names)
        self.assertIn('djblets_backport', names)

        for program, output in ((program, 'one'), ([BACKPORT], 'two')):
            status, _, errors = self.run_backport(
                'build', '--no-verify', '0.8.13', '6.1', '-o', output,
                program=program)
            self.assertEqual(status, 0, errors)

        for version in ('0.8.13', '6.1'):
            self.assertEqual(check_build(self.path('one', version)),
                             check_build(self.path('two', version)))

        self.assertOneLineError(
            self.run_backport('build', 'x', program=program),
            'backport: error: "x" is not')

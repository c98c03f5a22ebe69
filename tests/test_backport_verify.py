"""Unit tests for djblets_backport.verify."""

import os
import sys
import zipfile

from djblets_backport.catalogue import MODULE_PATH, find_release
from djblets_backport.errors import BackportError, NotVerified
from djblets_backport.output import write_build
from djblets_backport.patched_wheel import make_wheel
from djblets_backport.progress import Progress
from djblets_backport.series import make_series
from djblets_backport.verify import (apply_series, find_python,
                                     get_environment_python, verify_wheel)

from wheel.wheelfile import WheelFile

from backport_testcase import BackportTestCase, get_files, write_tree


class FindPythonTests(BackportTestCase):
    """Unit tests for djblets_backport.verify.find_python."""

    def setUp(self):
        super(FindPythonTests, self).setUp()
        os.mkdir(self.path('bin'))
        context = self.use_environ({
            'PATH': self.path('bin'),
            'PYENV_ROOT': self.path('pyenv'),
        })
        context.__enter__()
        self.addCleanup(context.__exit__, None, None, None)
        self.version = '%d.%d' % sys.version_info[:2]
        self.name = 'python%s' % self.version

    def make_python(self, *parts):
        """Make a Python that works.

        Args:
            *parts (tuple of str):
                The parts of its path.

        Returns:
            str:
            Its path.
        """
        path = self.path(*parts)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        self.write_script(path, 'exec "%s" "$@"\n' % sys.executable)

        return path

    def write_script(self, path, script):
        """Write a shell script.

        Args:
            path (str):
                Its path.

            script (str):
                What it does.
        """
        with open(path, 'w') as fp:
            fp.write('#!/bin/sh\n' + script)

        os.chmod(path, 0o755)

    def test_on_path(self):
        """Testing find_python with one on the PATH"""
        self.make_python('bin', self.name)
        self.assertEqual(find_python(self.version), sys.executable)

    def test_with_broken_shim(self):
        """Testing find_python with a pyenv shim that doesn't work"""
        self.write_script(self.path('bin', self.name),
                          'echo "pyenv: command not found" >&2\nexit 127\n')
        self.make_python('pyenv', 'versions', self.version + '.9', 'bin',
                         self.name)
        self.assertEqual(find_python(self.version), sys.executable)

    def test_with_other_version(self):
        """Testing find_python with one that's of another version"""
        self.make_python('bin', 'python2.7')

        with self.assertRaisesRegex(NotVerified, 'no Python 2.7 was found'):
            find_python('2.7')

    def test_with_none(self):
        """Testing find_python with none"""
        with self.assertRaisesRegex(NotVerified, 'no Python 2.7 was found'):
            find_python('2.7')

    def test_get_environment_python(self):
        """Testing get_environment_python"""
        self.assertEqual(get_environment_python('py27-django16'), '2.7')
        self.assertEqual(get_environment_python('py313-django52'), '3.13')


class VerifyTests(BackportTestCase):
    """Unit tests for djblets_backport.verify."""

    progress = Progress(quiet=True)

    def test_apply_series_with_other_release(self):
        """Testing apply_series with a series that's of another release"""
        patches = write_tree(self.path('patches'), make_series(
            get_files('0.8.13')[MODULE_PATH],
            find_release('0.8.13').tests_path, 'x'))

        with self.assertRaisesRegex(BackportError,
                                    '0001-.* does not apply'):
            apply_series(patches, get_files('0.8.29'), self.path('tree'))

    def test_with_failing_tests(self):
        """Testing verify with a wheel whose tests fail"""
        release = find_release('0.8.13')
        name = make_wheel(release, get_files('0.8.13'), 'x', self.dir)
        os.mkdir(self.path('failing'))

        with zipfile.ZipFile(self.path(name)) as good, \
             WheelFile(self.path('failing', name), 'w') as bad:
            for info in good.infolist():
                if info.filename == release.tests_path:
                    bad.writestr(info, b'def test_it():\n    assert False\n')
                elif not info.filename.endswith('/RECORD'):
                    bad.writestr(info, good.read(info))

        status, output, errors = self.run_backport(
            'verify', self.path('failing', name))
        self.assertEqual((status, output), (1, ''))
        self.assertIn('AssertionError', errors)
        self.assertEqual(errors.splitlines()[-1],
                         'backport: error: The regression suite failed, as '
                         'shown above')

    def test_with_no_wheel(self):
        """Testing verify_wheel with what's no patched wheel"""
        for name, data, pattern in (
                ('x.whl', b'', 'its name has no version'),
                ('Djblets-0.8.13-py2-none-any.whl', b'', 'truncated'),
                ('Djblets-0.8.13-py2-none-any.whl', b'PK\3\4', 'corrupt')):
            with self.assertRaisesRegex(BackportError, pattern):
                verify_wheel(self.write(name, data), self.progress)

        path = self.path('Djblets-0.8.13-py2-none-any.whl')

        with zipfile.ZipFile(path, 'w') as archive:
            archive.writestr('other/__init__.py', '')

        with self.assertRaisesRegex(BackportError, 'not a wheel of Djblets'):
            verify_wheel(path, self.progress)

    def test_command(self):
        """Testing "verify" with a build, and with one that was changed"""
        files = get_files('0.8.13')
        release = find_release('0.8.13')

        with write_build(self.dir, '0.8.13', ('*',)) as directory:
            write_tree(directory, make_series(files[MODULE_PATH],
                                              release.tests_path, 'x'))

        status, output, errors = self.run_backport('verify', '0.8.13')
        self.assertEqual(status, 0, errors)
        self.assertRegex(output, r'^py27-django16: \d+ tests passed, \d+ '
                                 r'skipped\n$')

        with open(self.path('0.8.13', 'series'), 'a') as fp:
            fp.write('\n')

        self.assertOneLineError(self.run_backport('verify', '0.8.13'),
                                'series was changed since it was built')
        self.assertOneLineError(self.run_backport('verify', 'missing'),
                                'missing does not exist')
        self.assertOneLineError(self.run_backport('verify', '.'),
                                'is not a build')

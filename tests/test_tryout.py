"""Unit tests for djblets_backport.tryout."""

from unittest import mock

from scratch import ScratchTestCase

from djblets_backport import BackportError, environments, releases, tryout


class TryOutTests(ScratchTestCase):
    """Unit tests for try_out."""

    def try_out(self, version, missing=(), script='echo Ran 7 tests'):
        """Try a wheel out with Pythons that run a script instead."""
        python = self.write('python', b'#!/bin/sh\n%s\n' % script.encode())
        python.chmod(0o755)

        def get_pythons(names, workdir, progress):
            return {name: None if name in missing else str(python)
                    for name in names}

        with mock.patch.object(tryout, 'get_pythons', get_pythons):
            return tryout.try_out(releases.find_release(version), 'a.whl', b'')

    def test_with_pythons(self):
        """Testing try_out with Pythons that are there or not"""
        for version, missing, expected in (
                ('2.3.4', ['py27-django111'],
                 ['NOT TRIED OUT on Python 2.7 with Django 1.11: There is no '
                  'Python 2.7 on this machine. "pyenv install 2.7" brings it.',
                  'Tried out on Python 3.9 with Django 1.11: 7 tests passed.',
                  'Tried out on Python 3.6 with Django 1.11: 7 tests passed.'
                  ]),
                # Python 3.7 is too old for this one.
                ('4.0', (),
                 ['Tried out on Python 3.8 with Django 3.2: 7 tests passed.',
                  'Tried out on Python 3.13 with Django 3.2: 7 tests passed.'
                  ])):
            self.assertEqual(self.try_out(version, missing), expected)

    def test_with_failure(self):
        """Testing try_out with tests that fail"""
        with self.assertRaisesRegex(BackportError, '(?s)exit status 3.*Oops'):
            self.try_out('0.8.13', script='echo Oops; exit 3')

    def test_without_environments(self):
        """Testing try_out with no venv"""
        python = self.write('python3', b'#!/bin/sh\n'
                            b'echo "$0: No module named venv"\nexit 1\n')
        python.chmod(0o755)

        with mock.patch('sys.executable', str(python)), \
             mock.patch.object(environments, 'get_build_dir',
                               lambda: str(self.directory)):
            line, = tryout.try_out(releases.find_release('6.1'), 'a', b'')

        self.assertRegex(line,
                         'NOT TRIED OUT: .* failed: .*No module named venv$')

"""Unit tests for djblets_backport.tryout."""

import os
import pathlib
import shutil
import sys
import tempfile
import unittest
from unittest import mock

CHECKOUT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))

sys.path.insert(0, os.path.join(CHECKOUT, 'contrib'))

from djblets_backport import (BackportError, archives,  # noqa: E402
                              series, tryout, wheel)


#: An environments.py with Pythons that do nothing.
ENVIRONMENTS = '''
class EnvironmentFailure(Exception):
    pass

MissingInterpreter = EnvironmentFailure

def get_pythons(names, workdir, progress):
    return {name: None if name in %r else %r for name in names}
'''


class TryOutTests(unittest.TestCase):
    """Unit tests for try_out."""

    def setUp(self):
        super(TryOutTests, self).setUp()

        self.directory = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, self.directory)

    def try_out(self, version, missing=(), script='echo Ran 7 tests'):
        """Try a wheel out with Pythons that run a script instead."""
        files = archives.fetch(version)
        name, data = wheel.make_wheel(version, files,
                                      series.get_changes(files))

        python = pathlib.Path(self.directory, 'python')
        python.write_text('#!/bin/sh\n%s\n' % script)
        python.chmod(0o755)
        python.with_name(name).write_bytes(data)
        python.with_name('environments.py').write_text(
            ENVIRONMENTS % (missing, str(python)))

        with mock.patch.object(tryout, '_TESTS', self.directory):
            return [line.split(':')[0] for line in tryout.try_out(
                version, os.path.join(self.directory, name))]

    def test_with_pythons(self):
        """Testing try_out with the oldest and newest Python that are there"""
        for version, missing, expected in (
                ('2.3.4', (), ['Tried out on Python 2.7 with Django 1.11',
                               'Tried out on Python 3.9 with Django 1.11']),
                ('2.3.4', ['py27-django111'],
                 ['NOT TRIED OUT on Python 2.7 with Django 1.11',
                  'Tried out on Python 3.6 with Django 1.11',
                  'Tried out on Python 3.9 with Django 1.11']),
                ('0.8.13', ['py27-django16'],
                 ['NOT TRIED OUT on Python 2.7 with Django 1.6']),
                # Python 3.7 is too old for this one.
                ('4.0', (), ['Tried out on Python 3.8 with Django 3.2',
                             'Tried out on Python 3.13 with Django 3.2'])):
            self.assertEqual(self.try_out(version, missing), expected)

    def test_with_failure(self):
        """Testing try_out with tests that fail"""
        with self.assertRaisesRegex(BackportError, '(?s)exit status 3.*Oops'):
            self.try_out('0.8.13', script='echo Oops; exit 3')

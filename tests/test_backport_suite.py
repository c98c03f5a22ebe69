"""Unit tests for djblets_backport.suite."""

import os
import subprocess

from djblets_backport import verify
from djblets_backport.catalogue import MODULE_PATH
from djblets_backport.progress import Progress

from backport_testcase import (ROOT_DIR, BackportTestCase, get_files,
                               write_tree)


_SUITE = os.path.join(ROOT_DIR, 'contrib', 'djblets_backport', 'suite.py')

_TESTS = b'''
from __future__ import unicode_literals

import unittest

import djblets
from django.conf import settings


class SomeTests(unittest.TestCase):
    def test_passing(self):
        """Testing something that passes"""
        self.assertEqual(__name__, 'djblets.cache.test_forwarding_backend')
        self.assertIn('djblets.siteconfig', settings.INSTALLED_APPS)

    def test_failing(self):
        """Testing something that fails"""
        self.fail('It fails in %r' % djblets.__file__)
'''


class SuiteTests(BackportTestCase):
    """Unit tests for djblets_backport.suite."""

    def setUp(self):
        super(SuiteTests, self).setUp()
        self.python = verify.ensure_test_environment('py27-django16',
                                                     Progress())
        self.site = write_tree(self.path('site'), {
            name: data
            for name, data in get_files('0.8.13').items()
            if name.startswith('djblets/')
        })

    def run_suite(self, *args, **kwargs):
        """Run the suite.

        Args:
            *args (tuple of str):
                The arguments.

            **kwargs (dict):
                Further arguments for :py:func:`subprocess.run`.

        Returns:
            tuple:
            A 2-tuple of the exit status and the output.
        """
        process = subprocess.run(
            [self.python, _SUITE] + list(args), stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            encoding='utf-8', errors='backslashreplace', **kwargs)

        return process.returncode, process.stdout

    def test_with_file(self):
        """Testing suite.py with a file of tests"""
        path = self.write('some tests.py', _TESTS)
        status, output = self.run_suite('--site', self.site, '--tests', path)

        self.assertEqual(status, 1)
        self.assertIn('Ran 2 tests', output)
        self.assertIn('It fails in ', output)

        status, output = self.run_suite(
            '--site', self.site, '--tests',
            path + ':SomeTests.test_passing', '-v')
        self.assertEqual(status, 0, output)
        self.assertIn('Ran 1 test ', output)

    def test_with_checkout(self):
        """Testing suite.py is not misled by the checkout that it's run in"""
        path = self.write('some_tests.py', _TESTS)

        for cwd in (ROOT_DIR, os.path.join(ROOT_DIR, 'contrib')):
            status, output = self.run_suite('--site', self.site, '--tests',
                                            path, cwd=cwd)
            self.assertIn('site/djblets/__init__.py', output)
            self.assertIn('Testing %s' % os.path.join(self.site, MODULE_PATH),
                          output)

    def test_with_none(self):
        """Testing suite.py with no tests, or no Djblets"""
        path = self.write('tests.py', b'')
        status, output = self.run_suite('--site', self.site, '--tests', path)
        self.assertEqual(status, 1)
        self.assertIn('No test was run.', output)

        status, output = self.run_suite('--site', self.site)
        self.assertEqual(status, 2)
        self.assertIn('has no regression suite', output)

        status, output = self.run_suite()
        self.assertEqual(status, 2)
        self.assertIn('has no Djblets', output)

        status, output = self.run_suite('--site', self.dir)
        self.assertEqual(status, 2)
        self.assertIn('has no djblets directory', output)

    def test_with_xunit(self):
        """Testing suite.py with options for nose"""
        tests = self.write('tests.py', _TESTS)
        path = self.path('results.xml')
        self.run_suite('--site', self.site, '--tests', tests, '--with-xunit',
                       '--xunit-file=%s' % path)

        with open(path, encoding='utf-8') as fp:
            self.assertIn('classname="djblets.cache.test_forwarding_backend.'
                          'SomeTests"', fp.read())

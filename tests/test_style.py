"""Tests of how the code is written."""

import subprocess
import sys
import unittest

from scratch import CHECKOUT


class StyleTests(unittest.TestCase):
    """Tests of all files, as Review Bot would look at them."""

    def check(self, *tool):
        """Check that a tool says nothing of any file."""
        paths = [str(CHECKOUT / name) for name in (
            'setup.py', 'contrib', 'contrib/acceptance', 'contrib/backport',
            'contrib/benchmark', 'djblets', 'tests')]
        process = subprocess.run([sys.executable, '-m', *tool, *paths],
                                 stdout=subprocess.PIPE, encoding='utf-8')
        self.assertEqual(process.stdout, '')
        self.assertEqual(process.returncode, 0)

    def test_pyflakes(self):
        """Testing all files with pyflakes"""
        self.check('pyflakes')

    def test_pycodestyle(self):
        """Testing all files with pycodestyle"""
        self.check('pycodestyle', '--max-line-length=79')

"""Tests that Review Bot's linters have nothing to say about any file."""

import os
import subprocess
import sys
import unittest

from running.trees import ROOT_DIR


class StyleTests(unittest.TestCase):
    """Tests that the linters have nothing to say.

    They are run as Review Bot does, which has each file to itself, so that no
    configuration in the checkout would be seen.
    """

    def get_sources(self):
        """Return the paths of all Python files that git knows."""
        names = subprocess.check_output(
            ['git', 'ls-files', '-z', '--cached', '--others',
             '--exclude-standard'],
            cwd=ROOT_DIR, encoding='utf-8').rstrip('\0').split('\0')
        paths = []

        for name in names:
            path = os.path.join(ROOT_DIR, name)

            if os.path.isfile(path):
                with open(path, 'rb') as fp:
                    first_line = fp.readline()

                if name.endswith('.py') or (first_line[:2] == b'#!' and
                                            b'python' in first_line):
                    paths.append(path)

        self.assertIn(os.path.join(ROOT_DIR, 'contrib', 'backport'), paths)

        return paths

    def run_linter(self, name, *args):
        """Assert that a linter has nothing to say.

        Args:
            name (str):
                The name of the linter's module.

            *args (tuple of str):
                Arguments for the linter.
        """
        process = subprocess.run(
            [sys.executable, '-m', name] + list(args) + self.get_sources(),
            cwd=os.path.dirname(ROOT_DIR), stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            encoding='utf-8')
        self.assertEqual((process.returncode, process.stdout), (0, ''))

    def test_with_pycodestyle(self):
        """Testing all files with pycodestyle"""
        self.run_linter('pycodestyle', '--max-line-length=79')

    def test_with_pyflakes(self):
        """Testing all files with pyflakes"""
        self.run_linter('pyflakes')

"""Unit tests for djblets_backport.releases."""

import os
import re
import sys
import unittest

CHECKOUT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))

sys.path.insert(0, os.path.join(CHECKOUT, 'contrib'))

from djblets_backport import BadInput, check, releases  # noqa: E402


class TableTests(unittest.TestCase):
    """Unit tests for the tables of contents and archives."""

    def test_releases(self):
        """Testing releases with all contents"""
        self.assertEqual(len(releases.CONTENTS), 8)
        self.assertEqual(len(releases.RELEASES), 74)

        for known, content in zip(check.CONTENTS, releases.CONTENTS):
            # What check tells is what is in the tables.
            self.assertEqual(
                [re.findall(r'[\d.]+', known.releases)[i] for i in (0, -1)],
                [content.releases[i] for i in (0, -1)])

    def test_archives(self):
        """Testing releases with all archives"""
        names = [archive.filename for archive in releases.ARCHIVES]
        self.assertEqual(len(set(names)), 141)
        self.assertEqual(sum(name.endswith('.whl') for name in names), 67)


class FindReleaseTests(unittest.TestCase):
    """Unit tests for find_release."""

    def test_with_bad_versions(self):
        """Testing find_release with what is no final release"""
        for version, message in (
                ('5.0.0', 'is no release; what can be patched is 5.0'),
                ('1', 'is no release; what can be patched is 1.0'),
                ('4.0beta1', 'is a pre-release; what can be patched is 4.0'),
                ('5.3rc2', 'is a pre-release; .* 0.8.12 to 6.1'),
                ('0.8.1', 'is no release; .* 0.8.12 to 6.1'),
                ('', 'is no release; .* 0.8.12 to 6.1'),
                ('../x', 'is no release; .* 0.8.12 to 6.1')):
            with self.assertRaisesRegex(BadInput, message):
                releases.find_release(version)

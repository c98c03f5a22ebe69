"""Unit tests for djblets_backport.releases."""

import re

from scratch import ScratchTestCase

from djblets_backport import BadInput, check, releases


class ReleasesTests(ScratchTestCase):
    """Unit tests for the tables of contents and archives."""

    def test_tables(self):
        """Testing releases with all contents and archives"""
        self.assertEqual(len(releases.CONTENTS), 8)
        self.assertEqual(len(releases.RELEASES), 74)
        self.assertEqual(len(releases.ARCHIVES), 141)

        for known, content in zip(check.CONTENTS, releases.CONTENTS):
            # What check tells is what is in the tables.
            first, *_, last = re.findall(r'[\d.]+', known.releases)
            self.assertEqual([first, last], [content.releases[0],
                                             content.releases[-1]])

    def test_find_release_with_bad_versions(self):
        """Testing find_release with what is no final release"""
        for version, message in (
                ('5.0.0', 'no known release; what can be patched is 5.0'),
                ('4.0beta1', 'a pre-release; what can be patched is 4.0'),
                ('5.3rc2', 'a pre-release; .* 0.8.12 to 6.1'),
                ('0.8.1', 'no known release; .* 0.8.12 to 6.1'),
                ('7.0', 'no known release; .* to 6.1 .*releases --update'),
                ('../x', 'no known release; .* 0.8.12 to 6.1')):
            with self.assertRaisesRegex(BadInput, message):
                releases.find_release(version)

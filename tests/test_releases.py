"""Unit tests for djblets_backport.releases."""

from scratch import ScratchTestCase

from djblets_backport import BadInput, releases


class ReleasesTests(ScratchTestCase):
    """Unit tests for the tables of contents and archives."""

    def test_tables(self):
        """Testing releases with all modules and archives"""
        self.assertEqual(len(releases.MODULES), 8)

        # 0.8.12 to 0.8.18 have no wheel.
        self.assertEqual(len(releases.ARCHIVES),
                         2 * len(releases.RELEASES) - 7)
        self.assertEqual(
            [name for module in releases.MODULES for name in module.releases],
            list(releases.RELEASES))

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

"""Unit tests for djblets_backport.releases."""

from shlex import quote

from scratch import ScratchTestCase

from djblets_backport import BadInput, releases


class ReleasesTests(ScratchTestCase):
    """Unit tests for the tables, and for what's looked up in them."""

    def test_tables(self):
        """Testing releases with all modules and archives"""
        self.assertEqual(len(releases.MODULES), 8)
        self.assertEqual(
            [name for module in releases.MODULES for name in module.releases],
            list(releases.RELEASES))
        self.assertEqual(list(releases.RELEASES), sorted(
            releases.RELEASES, key=releases.parse_version))

        # 0.8.12 to 0.8.18 have no wheel.
        sdists = [release.version for release in releases.RELEASES.values()
                  if not release.filename.endswith('.whl')]
        self.assertEqual(sdists, list(releases.RELEASES)[:7])

    def test_find_release(self):
        """Testing find_release with two releases with the same module"""
        old, new = map(releases.find_release, ('3.3', '4.0'))
        self.assertIs(old.module, new.module)
        self.assertIn('py37-django32', old.environments)
        self.assertNotIn('py37-django32', new.environments)

    def test_find_release_with_bad_versions(self):
        """Testing find_release with what is no final release"""
        first, *_, last = releases.RELEASES
        newer = ' ("releases --update" adds newer ones)'

        for version, hint in (
                ('5.0.0', '; 5.0 is one'), ('4.0beta1', '; 4.0 is one'),
                ('5.3rc2', ''), ('0.8.11', ''), ('0.7', ''), ('0.8.99', ''),
                ('99.0', newer), ('', ''), ('a b', ''), ('../x', '')):
            with self.assertRaises(BadInput) as context:
                releases.find_release(version)

            self.assertEqual(
                str(context.exception),
                '%s is none of the final releases from %s to %s%s'
                % (quote(version), first, last, hint))

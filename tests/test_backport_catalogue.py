"""Unit tests for djblets_backport.catalogue."""

import json
import os

from djblets_backport import catalogue
from djblets_backport.archive import Registry
from djblets_backport.catalogue import (CONTENTS, DEFECTS, find_release,
                                        get_environments, load, update)
from djblets_backport.errors import BackportError
from djblets_backport.progress import Progress

from packaging.version import Version

from backport_testcase import ROOT_DIR, BackportTestCase, get_archive


class CatalogueTests(BackportTestCase):
    """Unit tests for djblets_backport.catalogue."""

    def test_load(self):
        """Testing load gives all releases in order"""
        versions = list(load())

        self.assertEqual(versions[0], '0.8.12')
        self.assertEqual(versions, sorted(versions, key=Version))
        self.assertEqual(versions[-1], '6.1')

    def test_defects(self):
        """Testing each release has defects that are known"""
        for release in load().values():
            self.assertTrue(catalogue.get_defects(release.blob))

        self.assertEqual(set(release.blob[:8] for release in load().values()),
                         set(CONTENTS))
        self.assertEqual(set(sum(CONTENTS.values(), ())), set(DEFECTS))

    def test_environments(self):
        """Testing each release has environments that are there"""
        names = set()

        for version in load():
            names.update(get_environments(version, more=True))
            self.assertLessEqual(set(get_environments(version)), names)

        for name in names:
            self.assertTrue(os.path.exists(os.path.join(
                ROOT_DIR, 'contrib', 'djblets_backport', 'environments',
                '%s.txt' % name)))

    def test_tests_path(self):
        """Testing the tests go into the package from 1.0 on"""
        for release in load().values():
            self.assertEqual(
                release.tests_path,
                'djblets/cache/tests/test_forwarding_backend.py'
                if Version(release.version) >= Version('1.0')
                else 'djblets/cache/test_forwarding_backend.py')

    def test_find_release(self):
        """Testing find_release"""
        self.assertEqual(find_release('0.8.13').version, '0.8.13')

    def test_find_release_with_none(self):
        """Testing find_release with what's no release that can be mended"""
        for version, pattern in (('0.8.11', 'nothing to fix'),
                                 ('0.8.30', 'There is no Djblets 0.8.30'),
                                 ('99.0', 'newer than the catalogue'),
                                 ('0.8.x', 'is not a release'),
                                 ('', 'is not a release')):
            with self.assertRaisesRegex(BackportError, pattern):
                find_release(version)


class UpdateTests(BackportTestCase):
    """Unit tests for djblets_backport.catalogue.update."""

    def setUp(self):
        super(UpdateTests, self).setUp()
        self.entries = [
            entry
            for entry in json.load(open(catalogue._CATALOGUE_PATH,
                                        encoding='utf-8'))
            if entry['version'] in ('0.8.13', '0.8.19')
        ]
        self.archives = {}

        for version, kind in (('0.8.13', 'sdist'), ('0.8.19', 'sdist'),
                              ('0.8.19', 'wheel')):
            path = get_archive(version, kind)

            with open(path, 'rb') as fp:
                self.archives[os.path.basename(path)] = fp.read()

        before = catalogue._CATALOGUE_PATH
        catalogue._CATALOGUE_PATH = self.path('catalogue.json')
        self.addCleanup(setattr, catalogue, '_CATALOGUE_PATH', before)

    def update(self):
        """Update the catalogue.

        Returns:
            tuple:
            A 2-tuple of what changed, and the entries of the catalogue.
        """
        with self.serve_registry(self.archives) as env:
            with self.use_environ(env):
                changes = update(Registry(), Progress(quiet=True))

        with open(catalogue._CATALOGUE_PATH, encoding='utf-8') as fp:
            return changes, json.load(fp)

    def write_entries(self):
        """Write the entries to the catalogue."""
        self.write('catalogue.json',
                   json.dumps(self.entries).encode('ascii'))

    def test_with_none(self):
        """Testing update with no catalogue"""
        self.assertEqual(
            self.update(),
            (['0.8.13: added', '0.8.19: added'], self.entries))

    def test_with_no_change(self):
        """Testing update with nothing that changed"""
        self.write_entries()

        self.assertEqual(self.update(), ([], self.entries))

    def test_with_changes(self):
        """Testing update with releases that changed"""
        wanted = json.loads(json.dumps(self.entries))
        self.entries[0]['sdist']['sha256'] = '0' * 64
        self.entries[1]['version'] = '0.8.18'
        self.write_entries()
        changes, entries = self.update()

        self.assertEqual(entries, wanted)
        self.assertEqual(len(changes), 3)
        self.assertRegex(changes[0], '^0.8.13: sdist was .*0000.*, is ')
        self.assertEqual(changes[1:], ['0.8.19: added',
                                       '0.8.18: no longer in the registry'])

    def test_with_broken_archive(self):
        """Testing update with an archive that's broken"""
        self.write_entries()
        self.archives['Djblets-0.8.19.tar.gz'] = b'broken'

        with self.assertRaisesRegex(BackportError, 'Djblets-0.8.19.tar.gz'):
            self.update()

        with open(self.path('catalogue.json'), encoding='ascii') as fp:
            self.assertEqual(json.load(fp), self.entries)

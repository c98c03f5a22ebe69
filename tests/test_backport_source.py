"""Unit tests for djblets_backport.source."""

import os
import shutil

from djblets_backport.archive import get_blob_id
from djblets_backport.catalogue import MODULE_PATH, find_release, load
from djblets_backport.errors import BackportError
from djblets_backport.progress import Progress
from djblets_backport.source import Sources

from backport_testcase import (BackportTestCase, get_archive, get_files,
                               write_tree)


class NoRegistry(object):
    """A registry that must not be used."""

    def fetch(self, *args):
        """Fail.

        Args:
            *args (tuple):
                Anything.
        """
        raise AssertionError('The registry was used.')


class SourcesTests(BackportTestCase):
    """Unit tests for djblets_backport.source.Sources."""

    def get_sources(self, *paths):
        """Return the sources for what a user has given.

        Args:
            *paths (tuple of str):
                The paths.

        Returns:
            djblets_backport.source.Sources:
            The sources.
        """
        return Sources(NoRegistry(), paths, Progress(quiet=True))

    def test_with_archives(self):
        """Testing Sources with an sdist and a wheel"""
        sources = self.get_sources(get_archive('0.8.19'),
                                   get_archive('0.8.19', 'wheel'))
        release = find_release('0.8.19')

        self.assertEqual(sources.get_versions([]), ['0.8.19'])
        module, tests_path, where = sources.get_module(release)
        self.assertEqual(get_blob_id(module), release.blob)
        self.assertEqual(tests_path, release.tests_path)
        self.assertEqual(where, get_archive('0.8.19'))
        files, where = sources.get_wheel_files(release)
        self.assertEqual(where, get_archive('0.8.19', 'wheel'))

    def test_with_renamed_archive(self):
        """Testing Sources with an archive that was renamed"""
        path = shutil.copy(get_archive('0.8.13'),
                           self.path('djblets_0.8.13.orig.tar.gz'))
        sources = self.get_sources(path)

        self.assertEqual(sources.get_versions([]), ['0.8.13'])
        self.assertEqual(sources.get_wheel_files(find_release('0.8.13'))[1],
                         path)

    def test_with_repacked_archive(self):
        """Testing Sources with an archive that a packager made"""
        write_tree(self.path('djblets-0.8.13'), get_files('0.8.13'))
        path = self.path('djblets.tar.xz')
        self.run_command('tar', '-cJf', path, 'djblets-0.8.13')
        sources = self.get_sources(path)
        release = find_release('0.8.13')

        self.assertEqual(sources.get_versions([]), ['0.8.13'])
        self.assertEqual(get_blob_id(sources.get_module(release)[0]),
                         release.blob)

        with self.assertRaisesRegex(BackportError,
                                    'needs the official Djblets-0.8.13.tar.gz'
                                    ' .*--from'):
            sources.get_wheel_files(release)

    def test_with_tree(self):
        """Testing Sources with a tree"""
        for version in ('0.8.13', '4.0'):
            tree = write_tree(self.path(version), {
                name: data
                for name, data in get_files(version).items()
                if name.startswith('djblets/')
            })
            sources = self.get_sources(tree)
            release = find_release(version)
            module, tests_path, where = sources.get_module(release)

            self.assertEqual(get_blob_id(module), release.blob)
            self.assertEqual(tests_path, release.tests_path)
            self.assertEqual(where, tree)
            self.assertEqual(sources.get_versions([version]), [version])

            with self.assertRaisesRegex(BackportError,
                                        'does not tell its release.*%s'
                                        % version):
                sources.get_versions([])

    def test_with_missing(self):
        """Testing Sources with a path that isn't there"""
        with self.assertRaisesRegex(BackportError, 'does not exist'):
            self.get_sources(self.path('missing'))

    def test_with_wrong_hash(self):
        """Testing Sources with an archive that only has an official name"""
        for version, kind in (('0.8.13', 'sdist'), ('0.8.19', 'wheel')):
            path = shutil.copy(get_archive(version, kind), self.dir)

            with open(path, 'ab') as fp:
                fp.write(b'\0')

            with self.assertRaisesRegex(
                    BackportError, 'is not the official archive.*%s'
                    % getattr(load()[version], kind).sha256):
                self.get_sources(path)

    def test_with_modified(self):
        """Testing Sources with a module that somebody modified"""
        files = {MODULE_PATH: get_files('0.8.13')[MODULE_PATH] + b'\n'}
        tree = write_tree(self.path('djblets-0.8.13'), files)
        self.run_command('tar', '-czf', 'some.tar.gz', 'djblets-0.8.13')

        for path in (tree, self.path('some.tar.gz')):
            with self.assertRaisesRegex(
                    BackportError,
                    'was modified.*%s' % get_blob_id(files[MODULE_PATH])):
                self.get_sources(path)

    def test_with_no_module(self):
        """Testing Sources with what has no module"""
        os.mkdir(self.path('tree'))
        self.write('file', b'')
        self.run_command('tar', '-czf', 'some.tar.gz', 'file')

        for path in (self.path('tree'), self.path('some.tar.gz')):
            with self.assertRaisesRegex(BackportError, 'nothing to fix'):
                self.get_sources(path)

    def test_with_other_release(self):
        """Testing Sources with a tree of another release than asked for"""
        tree = write_tree(self.path('tree'), {
            MODULE_PATH: get_files('0.8.13')[MODULE_PATH],
        })

        with self.assertRaisesRegex(BackportError,
                                    'is not Djblets 0.8.29: its module is '
                                    'that of 0.8.12, 0.8.13'):
            self.get_sources(tree).get_module(find_release('0.8.29'))

"""Unit tests for djblets_backport.archives."""

import os
import shutil
import sys
from unittest import mock

from scratch import CHECKOUT, ScratchTestCase

from djblets_backport import BackportError, BadInput, archives, releases
from djblets_backport.check import MODULE_PATH


CACHE = CHECKOUT / 'build' / 'archives'
SDIST = releases.find_release('0.8.13')
WHEEL = releases.find_release('6.1')


class DownloadTests(ScratchTestCase):
    """Unit tests for fetch and download."""

    def setUp(self):
        super(DownloadTests, self).setUp()

        self.links = self.directory / 'links'
        self.links.mkdir()

    def download(self, release, sha256=None, **env):
        """Download an archive, with settings of the user's, and return it."""
        env = dict({'PIP_NO_INDEX': '1', 'PIP_FIND_LINKS': str(self.links),
                    'PIP_EXTRA_INDEX_URL': ''}, **env)

        with mock.patch.dict(os.environ, env):
            return archives.download(
                release.filename, str(self.directory / 'output'),
                sha256 or release.sha256)

    def test_with_wheel(self):
        """Testing download of a wheel with no registry and with find-links"""
        archives.fetch(WHEEL)

        with self.assertRaisesRegex(BackportError, 'No matching .*--from'):
            self.download(WHEEL)

        shutil.copy(str(CACHE / WHEEL.filename), str(self.links))
        self.assertEqual(archives.identify(self.download(WHEEL)), WHEEL)
        self.assertEqual(self.get_names('output'), [WHEEL.filename])

        with self.assertRaisesRegex(BackportError, 'HASHES'):
            self.download(WHEEL, '0' * 64)

        self.assertEqual(self.get_names('output'), [WHEEL.filename])

    def test_with_sdist(self):
        """Testing download of an sdist with no registry, which has nothing
        to build it with, and that nothing of it is run
        """
        tree = self.write('Djblets-0.8.13/PKG-INFO', (
            b'Name: Djblets\nVersion: 0.8.13\n\nVersion: 1\n')).parent
        self.write('Djblets-0.8.13/setup.py', b'open(%r, "w")\n'
                   % str(self.directory / 'was-run').encode())
        sdist = shutil.make_archive(str(self.links / tree.name), 'gztar',
                                    str(self.directory), tree.name)
        sha256 = archives.get_sha256(sdist)
        shutil.rmtree(str(tree))

        constraints = self.write('links/constraints.txt',
                                 b'setuptools==72.0.0\nDjblets==0.8.29\n')

        for name, value in (('ONLY_BINARY', ':all:'),
                            ('CONSTRAINT', str(constraints))):
            self.download(SDIST, sha256, **{'PIP_' + name: value})
            self.assertEqual(self.get_names(), ['links', 'output'])
            self.assertEqual(self.get_names('output'), [SDIST.filename])

    def test_without_connection(self):
        """Testing download with a registry that can't be reached"""
        with self.assertRaisesRegex(BackportError, 'Connection refused'):
            self.download(WHEEL, PIP_NO_INDEX='0', PIP_RETRIES='1',
                          PIP_INDEX_URL='http://127.0.0.1:9/simple')

    def test_without_pip(self):
        """Testing download with pip missing, and with a full disk"""
        python = self.write('python', b'')
        python.chmod(0o755)

        for text, expected in (
                ('%s: No module named pip' % python, 'ensurepip'),
                ('ERROR: Could not install packages due to an OSError: [Errno '
                 '28] No space left on device\n', 'left on device. Make room'),
                ('', 'it printed nothing')):
            python.write_text('#!/bin/sh\necho "%s"; exit 1\n' % text)

            with mock.patch.object(sys, 'executable', str(python)):
                with self.assertRaisesRegex(BackportError,
                                            expected + '.* with --from$'):
                    self.download(WHEEL)

    def test_with_unwritable_directory(self):
        """Testing download to a directory that can't be written to"""
        self.write('output', b'')

        with self.assertRaisesRegex(
                BackportError, 'kept in .*output, which cannot be written'):
            self.download(WHEEL)


class ReadTests(ScratchTestCase):
    """Unit tests for identify and read."""

    def test_identify_with_bad_archives(self):
        """Testing identify with archives that can't be built from"""
        for name, message in (
                (WHEEL.filename, 'truncated or altered: .* should be'),
                ('other.tar.gz', 'is no official .* "series --from" makes'),
                ('a file', "^'.*/a file' is no official archive")):
            with self.assertRaisesRegex(BadInput, message):
                archives.identify(str(self.write(name, b'PK')))

        for path in ('missing', ''):
            with self.assertRaisesRegex(
                    BadInput, "^(missing|'') cannot be read: No such file"):
                archives.identify(path)

    def test_read_with_bad_archives(self):
        """Testing read with archives that are damaged, or none"""
        archives.fetch(SDIST)
        data = (CACHE / SDIST.filename).read_bytes()

        for path in (self.write('cut.tar.gz', data[:20000]),
                     self.write('altered.tar.gz',
                                data[:9000] + b'\0' * 99 + data[9099:]),
                     self.write('text', b'text'), 'missing'):
            with self.assertRaisesRegex(BadInput, '^%s is missing, d' % path):
                archives.read(str(path))

    def test_read_with_trees(self):
        """Testing read with Windows line ends, and with an archive of a tree
        """
        self.write('djblets/' + MODULE_PATH, b'one\r\ntwo\r\n')
        self.assertEqual(archives.read(str(self.directory / 'djblets')).files,
                         {MODULE_PATH: b'one\ntwo\n'})

        path = shutil.make_archive(str(self.directory / 'tree'), 'gztar',
                                   str(self.directory), 'djblets')
        self.assertEqual(archives.read(path).files,
                         {MODULE_PATH: b'one\r\ntwo\r\n'})

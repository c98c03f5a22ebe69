"""Unit tests for djblets_backport.archives."""

import os
import shutil
from unittest import mock

from scratch import CHECKOUT, ScratchTestCase

from djblets_backport import BackportError, BadInput, archives, releases
from djblets_backport.check import MODULE_PATH


RELEASE = releases.find_release('6.1')
CACHE = CHECKOUT / 'build' / 'archives'
WHEEL = 'djblets-6.1-py3-none-any.whl'


class ArchivesTests(ScratchTestCase):
    """Unit tests for fetch, identify and read."""

    def test_fetch_with_user_settings_of_pip(self):
        """Testing fetch with no registry and with pip's find-links"""
        archives.fetch(RELEASE)
        links, output = self.directory / 'links', self.directory / 'output'
        links.mkdir()

        with mock.patch.dict(os.environ, PIP_NO_INDEX='1',
                             PIP_FIND_LINKS=str(links)):
            with self.assertRaisesRegex(BackportError, 'Could|No matching'):
                archives.download(WHEEL, str(output))

            shutil.copy(str(CACHE / WHEEL), str(links))
            path = archives.download(WHEEL, str(output))
            self.assertEqual(archives.identify(path).version, '6.1')
            self.assertEqual(self.get_names('output'), [WHEEL])

            with self.assertRaisesRegex(BackportError, 'HASHES'):
                archives.download(WHEEL, str(self.directory / '2'),
                                  '0' * 64)

            self.assertEqual(self.get_names('2'), [])

    def test_identify_with_bad_archives(self):
        """Testing identify with archives that can't be built from"""
        for name, message in ((WHEEL, 'truncated or altered: .* should be'),
                              ('other.tar.gz', 'is no official archive')):
            with self.assertRaisesRegex(BadInput, message):
                archives.identify(str(self.write(name, b'PK')))

        with self.assertRaisesRegex(BadInput, 'cannot be read: No such file'):
            archives.identify('missing')

        # This one lacks some of the media.
        with mock.patch.object(archives, 'get_sha256', return_value=(
                releases.ARCHIVES['djblets-6.1.tar.gz'])), \
             self.assertRaisesRegex(BadInput, 'give the wheel'):
            archives.identify('djblets-6.1.tar.gz')

    def test_read_with_bad_archives(self):
        """Testing read with archives that are damaged, or none"""
        archives.fetch(releases.find_release('0.8.13'))
        data = (CACHE / 'Djblets-0.8.13.tar.gz').read_bytes()

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

"""Unit tests for djblets_backport.archives."""

import io
import os
import shutil
import sys
import tarfile
import tempfile
import unittest
from unittest import mock

CHECKOUT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))

sys.path.insert(0, os.path.join(CHECKOUT, 'contrib'))

from djblets_backport import (BackportError, BadInput,  # noqa: E402
                              archives, check, releases)


CACHE = os.path.join(CHECKOUT, 'build', 'archives')
WHEEL = 'djblets-6.1-py3-none-any.whl'


class ArchivesTests(unittest.TestCase):
    """Unit tests for fetch, find_version, read and update."""

    def setUp(self):
        super(ArchivesTests, self).setUp()

        self.directory = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, self.directory)

    def write(self, name, data):
        """Write a file, and return its path."""
        path = os.path.join(self.directory, name)

        with open(path, 'wb') as fp:
            fp.write(data)

        return path

    def test_fetch_with_sdist_only(self):
        """Testing fetch with a release that has no wheel"""
        files = archives.fetch('0.8.13')
        metadata = files['Djblets-0.8.13.dist-info/METADATA'].decode()

        self.assertEqual(releases.find_content(files[check.MODULE_PATH]),
                         releases.find_release('0.8.13'))
        self.assertIn('\nRequires-Dist: Django>=1.6.7,<1.7\n', metadata)
        self.assertIn(b'\nTag: py2-none-any\n',
                      files['Djblets-0.8.13.dist-info/WHEEL'])
        self.assertFalse([name for name in files if not name.startswith(
            ('djblets/', 'Djblets-0.8.13.dist-info/'))])

    def test_fetch_with_user_settings_of_pip(self):
        """Testing fetch with no registry and with pip's find-links"""
        archives.fetch('6.1')
        links = os.path.join(self.directory, 'links')
        output = os.path.join(self.directory, 'output')
        os.mkdir(links)
        settings = {'PIP_NO_INDEX': '1', 'PIP_FIND_LINKS': links}

        with mock.patch.dict(os.environ, settings):
            with self.assertRaisesRegex(BackportError,
                                        'No matching|Could not find'):
                archives._download(WHEEL, output)

            shutil.copy(os.path.join(CACHE, WHEEL), links)
            path = archives._download(WHEEL, output)
            self.assertEqual(archives.find_version(path), '6.1')

            with self.assertRaisesRegex(BackportError, 'HASHES'):
                archives._download(WHEEL, os.path.join(output, '2'),
                                   ' --hash=sha256:' + '0' * 64)

        self.assertEqual(sorted(os.listdir(output)), ['2', WHEEL])
        self.assertEqual(os.listdir(os.path.join(output, '2')), [])

    def test_find_version_with_bad_archives(self):
        """Testing find_version with archives that aren't official"""
        for name, message in ((WHEEL, 'truncated or altered: .* should be'),
                              ('other.tar.gz', 'is no official archive')):
            with self.assertRaisesRegex(BadInput, message):
                archives.find_version(self.write(name, b'PK'))

        with self.assertRaisesRegex(BadInput, 'cannot be read: No such file'):
            archives.find_version('missing')

    def test_read_with_requirements_of_sdist(self):
        """Testing read with an sdist that has conditional requirements"""
        path = os.path.join(self.directory, 'Djblets-2.0.tar.gz')

        with tarfile.open(path, 'w:gz') as archive:
            for name, data in (
                    ('djblets/__init__.py', b''), ('tests/runtests.py', b''),
                    ('PKG-INFO', b'Metadata-Version: 1.1\nName: Djblets\n'
                                 b'Version: 2.0\nLicense: MIT\n'),
                    ('Djblets.egg-info/requires.txt',
                     b'Django<2\n[:python_version == "2.7"]\nPillow<7\n'
                     b'[docs]\nSphinx\n')):
                info = tarfile.TarInfo('Djblets-2.0/' + name)
                info.size = len(data)
                archive.addfile(info, io.BytesIO(data))

        files = archives.read(path)
        self.assertEqual(
            files['Djblets-2.0.dist-info/METADATA'].decode(),
            'Metadata-Version: 2.1\nName: Djblets\nVersion: 2.0\n'
            'Requires-Dist: Django<2\n'
            'Requires-Dist: Pillow<7; python_version == "2.7"\n'
            'Requires-Dist: Sphinx; extra == "docs"\nLicense: MIT\n')
        self.assertIn(b'\nTag: py2-none-any\nTag: py3-none-any\n',
                      files['Djblets-2.0.dist-info/WHEEL'])
        self.assertNotIn('tests/runtests.py', files)

    def test_read_with_bad_archives(self):
        """Testing read with archives that are damaged, or none"""
        archives.fetch('0.8.13')

        with open(os.path.join(CACHE, 'Djblets-0.8.13.tar.gz'), 'rb') as fp:
            data = fp.read()

        for path in (self.write('cut.tar.gz', data[:20000]),
                     self.write('altered.tar.gz',
                                data[:9000] + b'\0' * 99 + data[9099:]),
                     self.write('text', b'text'), 'missing'):
            with self.assertRaisesRegex(BadInput, '^%s is missing, d' % path):
                archives.read(path)

    def test_read_with_trees(self):
        """Testing read with Windows line ends, and with a git directory"""
        os.makedirs(os.path.join(self.directory, 'djblets', 'cache'))
        self.write(check.MODULE_PATH, b'one\r\ntwo\r\n')
        self.assertEqual(archives.read(self.directory),
                         {check.MODULE_PATH: b'one\ntwo\n'})

        os.mkdir(os.path.join(self.directory, 'objects'))

        with self.assertRaisesRegex(BadInput, 'give a checkout'):
            archives.read(self.directory)

    def test_update(self):
        """Testing update with new releases, the last with a new content"""
        path = self.write('archives.sha256', b'')

        def _download(filename, directory, hashes=''):
            return self.write(filename, b'')

        with mock.patch.object(archives, 'ARCHIVES_PATH', path), \
             mock.patch.object(archives, '_download', _download), \
             mock.patch.object(archives, '_run_pip',
                               return_value='versions: 7.0, 6.2, 6.1, 6.0'), \
             mock.patch.object(archives, 'read',
                               side_effect=[archives.fetch('6.1'),
                                            {check.MODULE_PATH: b''}]):
            lines = archives.update()

        self.assertEqual([line[:13] for line in lines],
                         ['6.2 was added', '7.0 has a new'])

        with open(path) as fp:
            self.assertEqual([line.split()[1] for line in fp], [
                'djblets-6.2.tar.gz', 'djblets-6.2-py3-none-any.whl'])

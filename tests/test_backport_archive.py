"""Unit tests for djblets_backport.archive."""

import io
import os
import socket
import tarfile
import zipfile

from djblets_backport import archive
from djblets_backport.archive import (Registry, get_blob_id, get_sha256,
                                      read_files)
from djblets_backport.catalogue import MODULE_PATH, load
from djblets_backport.errors import BackportError
from djblets_backport.progress import Progress

from backport_testcase import BackportTestCase, get_archive, get_files


class ReadFilesTests(BackportTestCase):
    """Unit tests for djblets_backport.archive.read_files."""

    def test_with_sdist_and_wheel(self):
        """Testing read_files with an sdist and its wheel"""
        sdist = get_files('0.8.19', 'sdist')
        wheel = get_files('0.8.19', 'wheel')
        names = [name for name in wheel if name.startswith('djblets/')]

        self.assertIn(MODULE_PATH, names)

        for name in names:
            self.assertEqual(sdist[name], wheel[name])

    def test_with_truncated(self):
        """Testing read_files with truncated archives"""
        for kind in ('sdist', 'wheel'):
            path = get_archive('0.8.19', kind)

            with open(path, 'rb') as fp:
                data = fp.read()

            for size in (1, 10, 1000, len(data) // 2, len(data) - 30):
                self.assert_refused(data[:size],
                                    '(truncated|not a tar archive)')

    def test_with_corrupt(self):
        """Testing read_files with corrupt archives"""
        for kind in ('sdist', 'wheel'):
            with open(get_archive('0.8.19', kind), 'rb') as fp:
                data = fp.read()

            middle = len(data) // 2
            self.assert_refused(
                data[:middle] + b'\xff' * 500 + data[middle + 500:],
                'corrupt|not a tar archive')

    def test_with_no_archive(self):
        """Testing read_files with files that are no archives"""
        for data in (b'', b'<html></html>\n' * 100, b'PK', b'\x1f\x8b\x08'):
            self.assert_refused(data, 'not a tar archive|corrupt')

    def test_with_unsafe_names(self):
        """Testing read_files with members that lead out of the archive"""
        for name in ('../evil', 'a/../../evil', '/evil', 'a/..', 'a\\..\\evil',
                     'C:/evil'):
            self.assert_refused(self.make_tar(tarfile.TarInfo(name)),
                                'leads out of it')
            self.assert_refused(self.make_zip(name, 0), 'leads out of it')

    def test_with_links_and_devices(self):
        """Testing read_files with members that are links or devices"""
        for kind in (tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE,
                     tarfile.FIFOTYPE):
            info = tarfile.TarInfo('a/evil')
            info.type = kind
            info.linkname = '/etc/passwd'
            self.assert_refused(self.make_tar(info), 'a link or a device')

        self.assert_refused(self.make_zip('a/evil', 0o120777),
                            'a link or a device')

    def test_with_too_much(self):
        """Testing read_files with an archive that unpacks to too much"""
        before = archive.MAX_SIZE
        archive.MAX_SIZE = 1000
        self.addCleanup(setattr, archive, 'MAX_SIZE', before)

        for kind in ('sdist', 'wheel'):
            with open(get_archive('0.8.19', kind), 'rb') as fp:
                self.assert_refused(fp.read(), 'unpacks to more than')

    def assert_refused(self, data, pattern):
        """Assert that an archive is refused, with an error of one line.

        Args:
            data (bytes):
                The archive.

            pattern (str):
                A regular expression that the error has to match.
        """
        path = self.write('archive', data)

        with self.assertRaisesRegex(BackportError, pattern) as cm:
            read_files(path)

        self.assertIn(path, str(cm.exception))
        self.assertNotIn('\n', str(cm.exception))
        self.assertEqual(os.listdir(self.dir), ['archive'])

    def make_tar(self, info):
        """Return a tar archive.

        Args:
            info (tarfile.TarInfo):
                Its member.

        Returns:
            bytes:
            The archive.
        """
        stream = io.BytesIO()

        with tarfile.open(fileobj=stream, mode='w:gz') as tar:
            tar.addfile(info, io.BytesIO())

        return stream.getvalue()

    def make_zip(self, name, mode):
        """Return a zip archive.

        Args:
            name (str):
                The name of its member.

            mode (int):
                The mode of its member.

        Returns:
            bytes:
            The archive.
        """
        stream = io.BytesIO()
        info = zipfile.ZipInfo(name)
        info.external_attr = mode << 16

        with zipfile.ZipFile(stream, 'w') as fp:
            fp.writestr(info, b'')

        return stream.getvalue()


class RegistryTests(BackportTestCase):
    """Unit tests for djblets_backport.archive.Registry."""

    def setUp(self):
        super(RegistryTests, self).setUp()
        self.archive = load()['0.8.13'].sdist

        with open(get_archive('0.8.13'), 'rb') as fp:
            self.data = fp.read()

    def fetch(self):
        """Fetch the archive.

        Returns:
            str:
            Its path.
        """
        return Registry().fetch(self.archive.filename, self.archive.sha256,
                                Progress(quiet=True))

    def get_cached(self):
        """Return what's in the cache.

        Returns:
            list of str:
            The names of the files.
        """
        path = self.path('cache', 'djblets-backport', 'archives')

        return os.listdir(path) if os.path.exists(path) else []

    def test_fetch(self):
        """Testing Registry.fetch from the registry that pip is set up with"""
        with self.serve_registry({self.archive.filename: self.data}) as env:
            with self.use_environ(env):
                path = self.fetch()

        self.assertEqual(get_sha256(path), self.archive.sha256)
        self.assertEqual(self.get_cached(), [self.archive.filename])

        # It's now taken from the cache.
        with self.use_environ(env):
            self.assertEqual(self.fetch(), path)

    def test_fetch_with_damaged_cache(self):
        """Testing Registry.fetch with a damaged archive in the cache"""
        with self.serve_registry({self.archive.filename: self.data}) as env:
            with self.use_environ(env):
                path = self.fetch()

                with open(path, 'wb') as fp:
                    fp.write(self.data[:-1])

                self.assertEqual(get_sha256(self.fetch()),
                                 self.archive.sha256)

    def test_fetch_with_wrong_hash(self):
        """Testing Registry.fetch with another archive than the official"""
        for data in (self.data[:-1], self.data + b'\0', b''):
            with self.serve_registry({self.archive.filename: data}) as env:
                with self.use_environ(env):
                    with self.assertRaisesRegex(BackportError,
                                                'is not the official archive: '
                                                'its SHA-256 is .*%s'
                                                % self.archive.sha256):
                        self.fetch()

            self.assertEqual(self.get_cached(), [])

    def test_fetch_with_missing(self):
        """Testing Registry.fetch with a registry that lacks the archive"""
        with self.serve_registry({'Djblets-0.1.tar.gz': b''}) as env:
            with self.use_environ(env):
                with self.assertRaisesRegex(BackportError, 'has no Djblets-'):
                    self.fetch()

    def test_fetch_with_unreachable(self):
        """Testing Registry.fetch with a registry that can't be reached"""
        with socket.socket() as sock:
            # Nothing listens there.
            sock.bind(('127.0.0.1', 0))
            env = self.get_registry_environ('http://127.0.0.1:%d/simple/'
                                            % sock.getsockname()[1])

            with self.use_environ(env):
                with self.assertRaisesRegex(BackportError,
                                            'cannot be reached.*--from'):
                    self.fetch()

    def test_get_blob_id(self):
        """Testing get_blob_id gives what git does"""
        path = self.write('file', self.data)

        self.assertEqual(
            self.run_command('git', 'hash-object', path).strip(),
            get_blob_id(self.data))

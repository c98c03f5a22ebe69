"""Unit tests for djblets_backport.wheel."""

import base64
import hashlib
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import unittest
import zipfile
from unittest import mock

CHECKOUT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))

sys.path[:0] = [os.path.join(CHECKOUT, 'contrib'),
                os.path.join(CHECKOUT, 'tests')]

import environments  # noqa: E402
from djblets_backport import archives, series, wheel  # noqa: E402


class MakeWheelTests(unittest.TestCase):
    """Unit tests for make_wheel."""

    def setUp(self):
        super(MakeWheelTests, self).setUp()

        self.directory = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, self.directory)

    def make(self, version, local='+forwarding.2'):
        """Write the patched wheel of a release, and return its path."""
        files = archives.fetch(version)
        self.changes = series.get_changes(files)

        with mock.patch.object(wheel, 'LOCAL', local):
            name, data = wheel.make_wheel(version, files, self.changes)

        path = pathlib.Path(self.directory, name)
        path.write_bytes(data)

        return str(path)

    def test_contents(self):
        """Testing make_wheel with releases that have a wheel or an sdist"""
        for version, name in (
                ('0.8.13', 'Djblets-0.8.13+forwarding.2-py2-none-any.whl'),
                ('2.3.4', 'Djblets-2.3.4+forwarding.2-py2.py3-none-any.whl'),
                ('6.1', 'djblets-6.1+forwarding.2-py3-none-any.whl')):
            path = self.make(version)
            self.assertEqual(os.path.basename(path), name)
            info = '%s.dist-info/' % '-'.join(name.split('-')[:2])

            with zipfile.ZipFile(path) as archive:
                contents = {item.filename: archive.read(item)
                            for item in archive.infolist()}
                self.assertLess(
                    sum(item.compress_size for item in archive.infolist()),
                    sum(map(len, contents.values())) / 2)

            record = contents.pop(info + 'RECORD').decode('utf-8').split('\n')
            self.assertEqual(record, [
                '%s,sha256=%s,%d' % (
                    item, base64.urlsafe_b64encode(
                        hashlib.sha256(data).digest()).decode().rstrip('='),
                    len(data))
                for item, data in contents.items()
            ] + [info + 'RECORD,,', ''])
            self.assertIn(b'\nVersion: %s+forwarding.2\n' % version.encode(),
                          contents[info + 'METADATA'].replace(b'\r', b''))

            expected = archives.fetch(version)

            for change in self.changes:
                expected.update(change.files)

            self.assertEqual(
                {item for item in contents.items() if info not in item[0]},
                {item for item in expected.items()
                 if '.dist-info/' not in item[0]})

    def check_installing(self, python, version):
        """Check that a pip takes the wheel, and takes it away."""
        def pip(*args):
            return subprocess.run(
                [python, '-m', 'pip', *args], check=True,
                env=dict(os.environ, PIP_CONSTRAINT=os.devnull),
                stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                cwd=self.directory, encoding='utf-8').stdout

        # There's the release, which is also what to go back to, and then
        # there was another revision.
        for local, *args in ([''], ['+forwarding.1'], ['+forwarding.2'],
                             ['', '--force-reinstall']):
            pip('install', '--no-deps', self.make(version, local), *args)
            self.assertRegex(pip('list'), r'(?i)djblets +%s%s\s'
                             % (version, re.escape(local)))

        pip('uninstall', '-y', 'djblets')
        self.assertNotIn('jblets', pip('list'))

    def test_with_pip_of_python3(self):
        """Testing make_wheel with pip of Python 3"""
        subprocess.run([sys.executable, '-m', 'venv', self.directory],
                       check=True)
        self.check_installing(os.path.join(self.directory, 'bin', 'python'),
                              '6.1')

    def test_with_pip_of_python27(self):
        """Testing make_wheel with pip of Python 2.7"""
        try:
            python = environments.get_python('py27-django16', self.directory)
        except environments.MissingInterpreter:
            raise unittest.SkipTest('needs Python 2.7')

        self.check_installing(python, '0.8.13')

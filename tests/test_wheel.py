"""Unit tests for djblets_backport.wheel."""

import base64
import hashlib
import os
import re
import subprocess
import sys
import zipfile
from unittest import mock

from scratch import ScratchTestCase

from djblets_backport import (archives, environments, releases, series,
                              wheel)


class MakeWheelTests(ScratchTestCase):
    """Unit tests for make_wheel."""

    def make(self, version, local=releases.LOCAL):
        """Write the patched wheel of a release, and return its path."""
        release = releases.find_release(version)
        archive = archives.fetch(release)
        self.changes = series.get_changes(archive.files, release.module)

        with mock.patch.object(wheel, 'LOCAL', local):
            return self.write(*wheel.make_wheel(release, archive, self.changes))

    def test_contents(self):
        """Testing make_wheel with releases that have a wheel or an sdist"""
        for version, name in (
                ('0.8.13', 'Djblets-0.8.13+forwarding.3-py2-none-any.whl'),
                ('2.3.4', 'Djblets-2.3.4+forwarding.3-py2.py3-none-any.whl'),
                ('6.1', 'djblets-6.1+forwarding.3-py3-none-any.whl')):
            path = self.make(version)
            self.assertEqual(path.name, name)
            info = '%s.dist-info/' % '-'.join(name.split('-')[:2])

            with zipfile.ZipFile(str(path)) as archive:
                contents = {name: archive.read(name)
                            for name in archive.namelist()}

            self.assertLess(path.stat().st_size,
                            sum(map(len, contents.values())) / 2)
            self.assertEqual(
                contents.pop(info + 'RECORD').decode('utf-8'), ''.join(
                    '%s,sha256=%s,%d\n' % (
                        item, base64.urlsafe_b64encode(hashlib.sha256(
                            data).digest()).decode().rstrip('='), len(data))
                    for item, data in contents.items()) +
                info + 'RECORD,,\n')
            self.assertRegex(
                contents[info + 'METADATA'].decode('utf-8'),
                r'(?is)^Metadata-Version: 2.*\nVersion: %s\+forwarding.3\r?\n'
                r'.*\nRequires-Dist: Django' % version)

            expected = archives.fetch(
                releases.find_release(version)).files

            for change in self.changes:
                expected.update(change.files)

            for item, data in expected.items():
                if '.dist-info/' not in item:
                    self.assertEqual(contents.pop(item), data)

            self.assertEqual({item.split('/')[0] for item in contents},
                             {info[:-1]})

    def check_installing(self, python, version):
        """Check that a pip takes the wheel, and takes it away."""
        def pip(*args):
            return subprocess.run(
                [python, '-m', 'pip', *args], check=True,
                env=dict(os.environ, PIP_CONSTRAINT=os.devnull),
                stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                cwd=str(self.directory), encoding='utf-8').stdout

        # There's the release, which is also what to go back to, and then
        # there was another revision.
        for local, *args in ([''], ['+forwarding.1'], ['+forwarding.3'],
                             ['', '--force-reinstall']):
            pip('install', '--no-deps', str(self.make(version, local)), *args)
            self.assertRegex(pip('list'), r'(?i)djblets +%s%s\s'
                             % (version, re.escape(local)))

        pip('uninstall', '-y', 'djblets')
        self.assertNotIn('jblets', pip('list'))

    def test_with_pip_of_python3(self):
        """Testing make_wheel with pip of Python 3"""
        venv = str(self.directory / 'venv')
        subprocess.run([sys.executable, '-m', 'venv', venv], check=True)
        self.check_installing(os.path.join(venv, 'bin', 'python'), '6.1')

    def test_with_pip_of_python27(self):
        """Testing make_wheel with pip of Python 2.7"""
        name = 'py27-django16'
        python = environments.get_pythons([name], str(self.directory))[name]

        if not python:
            self.skipTest(environments.describe_missing(name))

        self.check_installing(python, '0.8.13')

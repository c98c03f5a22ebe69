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


LOCAL = releases.LOCAL


class MakeWheelTests(ScratchTestCase):
    """Unit tests for make_wheel."""

    def make(self, version, has_changes=True, local=LOCAL):
        """Write a wheel of a release, and return its path."""
        release = releases.find_release(version)
        archive = archives.fetch(release)
        changes = series.get_changes(archive.files, release.module)
        self.changed = {name: data for change in changes
                        for name, data in change.files.items()}

        with mock.patch.object(wheel, 'LOCAL', local):
            return self.write(*wheel.make_wheel(
                release, archive, changes if has_changes else []))

    def test_names(self):
        """Testing make_wheel with releases that have a wheel or an sdist"""
        for version, name in (
                ('0.8.13', 'Djblets-0.8.13%s-py2-none-any.whl'),
                ('2.3.4', 'Djblets-2.3.4%s-py2.py3-none-any.whl'),
                ('6.1', 'djblets-6.1%s-py3-none-any.whl')):
            self.assertEqual(self.make(version).name, name % LOCAL)
            self.assertEqual(self.make(version, False).name, name % '')

    def test_contents(self):
        """Testing make_wheel with names, contents and modes of the official
        one, and with what is added to these
        """
        # All releases are a matter of minutes.
        is_long = os.environ.get('FORWARDING_TESTS_LONG')

        for version in (releases.RELEASES if is_long else [
                module.releases[-1] for module in releases.MODULES] + [
                '0.8.13']):
            path = self.make(version)
            archive = archives.fetch(releases.find_release(version))
            info = '%s.dist-info/' % '-'.join(path.name.split('-')[:2])
            self.assertIn(LOCAL, info)

            expected = {name.replace(info.replace(LOCAL, ''), info): data
                        for name, data in archive.files.items()
                        if not name.endswith(('/metadata.json',
                                              '/pydist.json'))}
            line = b'\nVersion: ' + version.encode()
            expected.update(self.changed)
            expected[info + 'METADATA'] = expected[info + 'METADATA'].replace(
                line, line + LOCAL.encode())

            with zipfile.ZipFile(str(path)) as patched:
                found = {name: patched.read(name)
                         for name in patched.namelist()}
                modes = {member.filename.replace(LOCAL, ''):
                         member.external_attr >> 16
                         for member in patched.infolist()}

            record = found.pop(info + 'RECORD').decode('utf-8')
            expected.pop(info + 'RECORD', None)
            self.assertEqual(set(found), set(expected))
            self.assertEqual(found, expected)
            self.assertEqual(record, ''.join(
                '%s,sha256=%s,%d\n' % (
                    item, base64.urlsafe_b64encode(hashlib.sha256(
                        data).digest()).decode().rstrip('='), len(data))
                for item, data in found.items()) + info + 'RECORD,,\n')

            for name, mode in modes.items():
                self.assertEqual(
                    mode, archive.modes.get(name, 0o100644),
                    'The mode of %s in %s' % (name, version))

            self.assertRegex(
                found[info + 'METADATA'].decode('utf-8'),
                r'(?is)^Metadata-Version: 2.*\nRequires-Dist: Django')
            self.assertLess(path.stat().st_size,
                            sum(map(len, found.values())) / 2)

    def test_without_changes(self):
        """Testing make_wheel without changes, and a release with a wheel"""
        archive = archives.fetch(releases.find_release('6.1'))
        found = archives.read(str(self.make('6.1', has_changes=False)))
        self.assertEqual(set(found.files), set(archive.files))
        self.assertEqual(found.modes, archive.modes)

    def check_installing(self, python, version):
        """Check that a pip takes the wheel, and takes it away."""
        def run_python(*args):
            return subprocess.run(
                [python, *args], check=True,
                env=dict(os.environ, PIP_CONSTRAINT=os.devnull),
                stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                cwd=str(self.directory), encoding='utf-8').stdout

        # There's the release, then another revision, and then the release is
        # gone back to.
        for has_changes, local, *args in (
                (False, ''), (True, '+forwarding.1'), (True, LOCAL),
                (False, '', '-U', '--force-reinstall')):
            path = self.make(version, has_changes, local)
            run_python('-m', 'pip', 'install', '--no-deps', str(path), *args)
            self.assertRegex(run_python('-m', 'pip', 'list'),
                             r'(?i)djblets [ (]*%s%s[\s)]'
                             % (version, re.escape(local)))

        run_python('-m', 'pip', 'uninstall', '-y', 'djblets')
        self.assertNotIn('jblets', run_python('-m', 'pip', 'list'))

    def test_with_pip_of_python3(self):
        """Testing make_wheel with pip of Python 3"""
        venv = str(self.directory / 'venv')
        subprocess.run([sys.executable, '-m', 'venv', venv], check=True)
        self.check_installing(os.path.join(venv, 'bin', 'python'), '6.1')

    def test_with_pip_of_python27(self):
        """Testing make_wheel with pip of Python 2.7, and with an older one"""
        name = 'py27-django16'
        python = environments.get_pythons([name])[name]

        if not python:
            self.skipTest(environments.describe_missing(name))

        venv = str(self.directory / 'venv')
        subprocess.run([environments._get_tox(print), '-m', 'virtualenv',
                        '--quiet', '--python', python, venv], check=True)
        python = os.path.join(venv, 'bin', 'python')
        self.check_installing(python, '0.8.13')

        # Without -U, this one would not go back.
        subprocess.run([python, '-m', 'pip', 'install', 'pip==9.0.3'],
                       check=True, stdout=subprocess.DEVNULL,
                       stderr=subprocess.DEVNULL,
                       env=dict(os.environ, PIP_CONSTRAINT=os.devnull))
        self.check_installing(python, '0.8.13')

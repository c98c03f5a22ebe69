"""Unit tests for djblets_backport.wheel."""

import base64
import hashlib
import os
import re
import subprocess
import sys
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

    def test_make_wheel(self):
        """Testing make_wheel with names, contents and modes of the official
        one, and with what is added to these
        """
        # All are a matter of minutes: else one that only has an sdist, one
        # with a file that's executable, and the newest.
        versions = ['0.8.13', '1.0.18', list(releases.RELEASES)[-1]]

        if os.environ.get('FORWARDING_TESTS_LONG'):
            versions = list(releases.RELEASES)

        for version in versions:
            path = self.make(version)
            archive = archives.fetch(releases.find_release(version))
            name = re.match(r'(?i)(djblets-%s)%s-py[23.py]+-none-any.whl$'
                            % (version, re.escape(LOCAL)),
                            path.name).group(1)
            info = '%s%s.dist-info/' % (name, LOCAL)
            line = b'\nVersion: ' + version.encode()

            expected = {item.replace(name + '.dist-info/', info): data
                        for item, data in archive.files.items()
                        if not item.endswith(('metadata.json', 'pydist.json'))}
            expected.update(self.changed)
            expected[info + 'METADATA'] = expected[info + 'METADATA'].replace(
                line, line + LOCAL.encode())
            found = archives.read(str(path))
            expected[info + 'RECORD'] = found.files[info + 'RECORD']
            self.assertEqual(found.files, expected)
            self.assertEqual(set(found.files[info + 'RECORD'].splitlines()), {
                b'%s,sha256=%s,%d' % (
                    item.encode('utf-8'), base64.urlsafe_b64encode(
                        hashlib.sha256(data).digest()).rstrip(b'='), len(data))
                for item, data in found.files.items()
                if item != info + 'RECORD'
            } | {info.encode() + b'RECORD,,'})

            for item, mode in found.modes.items():
                self.assertEqual(
                    mode, archive.modes.get(
                        item.replace(LOCAL, ''), 0o100644),
                    'The mode of %s in %s' % (item, version))

            self.assertRegex(
                found.files[info + 'METADATA'].decode('utf-8'),
                r'(?is)^Metadata-Version: 2.*\nRequires-Dist: Django')
            self.assertLess(path.stat().st_size,
                            sum(map(len, found.files.values())) / 2)

            # This is the one to go back to.
            found = archives.read(str(self.make(version, has_changes=False)))
            self.assertIn(name + '.dist-info/METADATA', found.files)
            self.assertFalse(set(found.files).difference(
                archive.files, [name + '.dist-info/RECORD']))

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
            run_python('-m', 'pip', 'install', '--no-deps', '--no-compile',
                       str(path), *args)
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
            self.skipTest('needs: Python 2.7')

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

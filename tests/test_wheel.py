"""Unit tests for djblets_backport.wheel."""

import base64
import hashlib
import os
import re
import subprocess
from unittest import mock

from scratch import ScratchTestCase

from djblets_backport import (archives, environments, releases, series,
                              wheel)


LOCAL = releases.LOCAL


class MakeWheelTests(ScratchTestCase):
    """Unit tests for make_wheel."""

    def make(self, version, local=LOCAL, left_out='no such file'):
        """Write a wheel of a release, and return its path."""
        release = releases.find_release(version)
        archive = archives.fetch(release)
        archive = archive._replace(files={
            name: data for name, data in archive.files.items()
            if left_out not in name})
        changes = series.get_changes(archive.files, release.module)
        self.changed = {name: data for change in changes
                        for name, data in change.files.items()}

        with mock.patch.object(wheel, 'LOCAL', local):
            return self.write(*wheel.make_wheel(release, archive,
                                                changes if local else []))

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
            found = archives.read(str(self.make(version, local='')))
            self.assertIn(name + '.dist-info/METADATA', found.files)
            self.assertFalse(set(found.files).difference(
                archive.files, [name + '.dist-info/RECORD']))

    def check_installing(self, version, *options):
        """Check that a pip takes the wheel, and goes back."""
        venv = self.directory / 'venv'
        subprocess.run([environments._get_tox(print), '-m', 'virtualenv',
                        '--quiet', *options, str(venv)], check=True)

        # There's the release, then another revision, and it's gone back to.
        for local, *args in (
                ('',), ('+forwarding.1',), (LOCAL,),
                ('', '-U', '--force-reinstall')):
            subprocess.run(
                [str(venv / 'bin' / 'python'), '-m', 'pip', 'install',
                 '--no-deps', '--no-compile', *args,
                 # What takes the most time makes no difference.
                 str(self.make(version, local, left_out='/static/'))],
                check=True,
                env=dict(os.environ, PIP_CONSTRAINT=os.devnull),
                stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            self.assertEqual(
                [re.sub('(?i)^djblets-', '', path.name)
                 for path in venv.glob('lib/*/site-packages/?jblets-*')],
                ['%s%s.dist-info' % (version, local)])
            self.assertEqual(bool(list(venv.glob('**/test_forwarding_*.py'))),
                             local != '')

    def test_with_pip_of_python3(self):
        """Testing make_wheel with pip of Python 3"""
        self.check_installing('6.1')

    def test_with_pip_of_python27(self):
        """Testing make_wheel with an old pip of Python 2.7, which would not
        go back without -U
        """
        name = 'py27-django16'
        python = environments.get_pythons([name])[name]

        if not python:
            self.skipTest('needs: Python 2.7')

        self.check_installing('0.8.13', '--python', python, '--no-setuptools',
                              '--no-wheel', '--download', '--pip', '9.0.3')

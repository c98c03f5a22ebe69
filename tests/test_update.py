"""Unit tests for djblets_backport.update."""

import os
import re
import shutil
import subprocess
import sys
import zipfile

from scratch import CHECKOUT, ScratchTestCase

from djblets_backport import archives, check, releases, update


NEWEST = list(releases.RELEASES.values())[-1]


class UpdateTests(ScratchTestCase):
    """Unit tests for releases --update and --check."""

    def make_copy(self):
        """Make a copy of the checkout, that has the archives it needs."""
        self.copy = self.directory / 'checkout'
        shutil.copytree(str(CHECKOUT), str(self.copy),
                        ignore=shutil.ignore_patterns(
                            'build', 'dist', '.git', '__pycache__'))
        cache = self.copy / 'build' / 'archives'
        cache.mkdir(parents=True)

        for module in releases.MODULES:
            for version in (module.releases[0], module.releases[-1]):
                shutil.copy(archives.fetch(releases.RELEASES[version]).path,
                            str(cache))

    def make_release(self, version, end=b''):
        """Write the wheel of a new release to the directory for pip."""
        links = self.directory / 'links'
        links.mkdir(exist_ok=True)
        archive = archives.fetch(NEWEST)
        name = 'djblets-%s' % version

        with zipfile.ZipFile(str(links / (name + '-py3-none-any.whl')),
                             'w') as wheel:
            for path, data in archive.files.items():
                # What takes the most room isn't looked at.
                if '/static/' not in path:
                    data = data.replace(
                        b'\nVersion: ' + NEWEST.version.encode(),
                        b'\nVersion: ' + version.encode())
                    wheel.writestr(
                        path.replace('djblets-' + NEWEST.version, name),
                        data + (end if path == check.MODULE_PATH else b''))

    def run_program(self, *args):
        """Run a program of the copy, and return its status and output."""
        process = subprocess.run(
            [sys.executable, *args], cwd=str(self.copy), encoding='utf-8',
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            env=dict(os.environ, PIP_NO_INDEX='1', PYTHONDONTWRITEBYTECODE='1',
                     PIP_FIND_LINKS=str(self.directory / 'links'),
                     PIP_EXTRA_INDEX_URL=''))

        return process.returncode, process.stdout

    def read_files(self):
        """Return the contents of all files of the copy but for archives."""
        return {path: path.read_bytes() for path in self.copy.glob('**/*')
                if path.is_file() and 'build' not in path.parts}

    def test_check(self):
        """Testing is_outdated with the checkout itself"""
        self.assertFalse(update.is_outdated(),
                         'Run "contrib/backport releases --update"')

    def test_update(self):
        """Testing releases --update with new releases: after the newest one,
        within the last line but one, and with a new module
        """
        backport = os.path.join('contrib', 'backport')
        self.make_copy()
        new = '%d.0' % (releases.parse_version(NEWEST.version)[0] + 1)
        self.make_release(new)
        self.make_release('5.0.99')

        # There's also something older that isn't brought up to date.
        path = self.copy / 'contrib' / 'djblets_backport' / 'check.py'
        path.write_text(re.sub('(?s)PATCHED = {.*?}', 'PATCHED = {}',
                               path.read_text()))
        status, output = self.run_program(backport, 'releases', '--check')
        self.assertEqual(status, 1)
        self.assertRegex(output, 'check.py is out of date: "releases --up')

        status, output = self.run_program(backport, 'releases', '--update')
        self.assertEqual(status, 0, output)
        self.assertIn('djblets-%s-py3-none-any.whl was added.\n' % new, output)
        self.assertEqual(
            self.run_program(backport, 'releases', '--check')[0], 0)
        self.assertIn("'5.0 - %s'" % new, path.read_text())

        # It's built from, in its order, and no test has to know.
        tests = str(self.copy / 'tests')

        for args, expected in (
                (['-c', 'import sys; sys.path[0] = "contrib"; '
                  'from djblets_backport import archives, releases; '
                  'archives.fetch(releases.find_release("%s")); '
                  'print(*releases.RELEASES)' % new],
                 ' 5.0.2 5.0.99 5.1 .* %s$' % new),
                (['-m', 'nose', '-w', tests, 'test_releases.py', 'test_check:'
                  'CheckTests.test_tables', 'test_check:CheckTests.'
                  'test_states'], 'OK$')):
            status, output = self.run_program(*args)
            self.assertEqual(status, 0, output)
            self.assertRegex(output.strip(), expected)

        # This one would need a row in the table.
        self.make_release('%s.1' % new, b'# New.\n')
        files = self.read_files()
        status, output = self.run_program(backport, 'releases', '--update')
        self.assertEqual(status, 1)
        self.assertRegex(output, '%s.1 has another module .* row in rele'
                         % new)
        self.assertEqual(self.read_files(), files)

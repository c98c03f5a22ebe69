"""Unit tests for djblets_backport.check."""

import json
import os
import re
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / 'contrib'))

from djblets_backport import (archives, check, releases, series,  # noqa: E402
                              update)


MODULE = check.MODULE_PATH


class CheckTests(unittest.TestCase):
    """Unit tests for djblets_backport.check."""

    def setUp(self):
        directory = tempfile.TemporaryDirectory(prefix='a \xe9')
        self.addCleanup(directory.cleanup)
        self.dir = Path(directory.name).resolve()

        # A copy runs, without the package, to which "old" is of revision 1.
        self.script = self.dir / 'check.py'
        self.script.write_text(Path(check.__file__).read_text().replace(
            next(iter(check.SUPERSEDED)), check.get_blob_id(b'old')))

    def make(self, place, version, *numbers, **others):
        """Put a release somewhere, with some of the changes of the series."""
        release = releases.find_release(version)
        files = dict(archives.fetch(release).files, **others)

        for change in [series.get_changes(files, release.module)[i]
                       for i in numbers]:
            files.update(change.files)

        # Nothing of it is ever run.
        files['djblets/__init__.py'] = b'import sys; sys.exit("imported")\n'

        for name in files:
            if files[name] and re.search(
                    'djblets/__i|forwarding_b|django_set|-info/', name):
                path = self.dir / place / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(files[name])

        return self.dir / place

    def check(self, status, *argv, python=sys.executable):
        """Run the file alone, and return what it prints."""
        process = subprocess.run(
            [python, self.script, *map(str, argv)], cwd=self.dir,
            env=dict(os.environ, PYTHONPATH='first:second', LC_ALL='C'),
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, encoding='utf-8')
        self.assertEqual(process.returncode, status, process)

        return process.stdout or process.stderr.splitlines()[-1]

    def test_tables(self):
        """Testing check's tables and DEFECTS with what they're made of"""
        self.assertEqual(update.find_outdated(), [])
        self.assertEqual(set(check.DEFECTS), set(' '.join(
            row.defects for row in check.MODULES).split()))

    def test_states(self):
        """Testing check with releases, patched, half, otherwise and not"""
        newer = {MODULE: archives.fetch(
            releases.find_release('6.1')).files[MODULE].replace(
            b'\n\n', b'\n\nfrom __future__ import annotations\n\n\n', 1)}
        self.assertIn('6.1', releases.find_module(newer[MODULE]).releases)

        for version, numbers, others, status, text in (
                ('0.8.13', (), {}, 1, 'can fail on None'),
                ('4.0', (), {}, 1, 'siteconfig never asks for a reset'),
                ('4.0', (0,), {}, 1, 'half patched'),
                ('4.0', (2,), {}, 1, 'keeps the old backend'),
                ('4.0', (0, 2), {}, 0, 'has revision 3'),
                ('6.1', (), {}, 1, 'a replaced backend is never closed'),
                ('6.1', (0,), {}, 0, 'Next: nothing'),
                ('6.1', (), newer, 1, 'is that of 5.0 - 6.1'),
                ('6.1', (0,), newer, 0, 'has revision 3'),
                ('6.1', (), {MODULE: b'old'}, 1, 'revision 1 is superseded'),
                ('6.1', (), {MODULE: b'new'}, 2, 'is of no release'),
                ('6.1', (), {MODULE: b''}, 0, 'nothing to mend'),
                ('6.1', (), {MODULE: b'', MODULE + 'c': b'c'}, 2, 'bytecode')):
            output = self.check(status, self.make(
                text + version, version, *numbers, **others))
            self.assertRegex(output, '(?s)Djblets %s is .*' % version + text)
            self.assertEqual('build %s;' % version in output, status > 0)

    def test_pythons(self):
        """Testing check on each Python there is, of what it would import"""
        self.make('second', '6.1')
        self.make('first', '0.8.13', 0)
        (self.dir / 'v').symlink_to(sys.prefix)

        for python in ['v/bin/python', *Path.home().glob(
                '.pyenv/versions/*/bin/python')]:
            found = json.loads(self.check(0, '--json', python=python))
            self.assertEqual(found['version'], '0.8.13')
            self.assertEqual(found['revision'], check.REVISION)
            self.assertTrue(found['path'].endswith('first/djblets'))
            self.check(0, '--python', python)
            self.check(1, 'second', python=python)

    def test_places(self):
        """Testing check with a checkout, an egg and an environment"""
        place = self.make('checkout', '6.1')
        next(place.glob('*-info')).rename(place / 'old')
        (place / 'setup.py').write_bytes(b'#')
        self.assertIn('series --from checkout', self.check(1, 'checkout'))

        site = self.make('v/lib/python2.7/site-packages', '6.1', 0)
        egg = self.make(site / 'Djblets-1.egg', '0.8.13')
        next(egg.glob('*-info')).rename(egg / 'EGG-INFO')
        self.check(0, 'v')
        (site / 'easy-install.pth').write_bytes(b'./Djblets-1.egg\n')
        self.assertIn('0.8.13', self.check(1, 'v'))

    def test_bad_input(self):
        """Testing check with bad input"""
        for argv, message in (
                (['nowhere'], 'nowhere is no directory'),
                ([''], 'is no directory'),
                (['.'], '. has no Djblets'),
                (['--python', 'nowhere'], 'nowhere cannot be run'),
                (['--python', '/bin/cat'], '/bin/cat is no Python'),
                (['--python', sys.executable, '.'], 'not allowed')):
            self.assertIn(message, self.check(2, *argv))

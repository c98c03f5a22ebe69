"""Unit tests for djblets_backport.check."""

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

from scratch import ScratchTestCase

from djblets_backport import archives, check, releases, series


MODULE = check.MODULE_PATH

#: Pythons that this has to run on, the oldest one first.
PYTHONS = sorted(Path.home().glob('.pyenv/versions/*/bin/python'))


def read(version, name=MODULE):
    """Return a file of a release."""
    return archives.fetch(releases.find_release(version)).files[name]


class CheckTests(ScratchTestCase):
    """Unit tests for djblets_backport.check."""

    suffix = ' \xe9['

    def setUp(self):
        super(CheckTests, self).setUp()

        # A copy runs, without the package, to which "old" is of revision 1,
        # and "bad" is the last one of revision 2.
        source = Path(check.__file__).read_text()

        first, *_, last = check.SUPERSEDED

        for blob_id, text in ((first, b'old'), (last, b'bad')):
            source = source.replace(blob_id, check.get_blob_id(text))

        self.write('check.py', source.encode('utf-8'))

    def make(self, place, version, *numbers, **others):
        """Put a release somewhere, with some of the changes of the series."""
        release = releases.find_release(version)
        files = dict(archives.fetch(release).files)
        changes = series.get_changes(files, release.module)

        for number in numbers:
            files.update(changes[number].files)

        # Nothing of it is ever run.
        files.update({'djblets/__init__.py': b'import sys; sys.exit("ran")\n'},
                     **others)

        for name in files:
            if files[name] is not None and re.search(
                    'djblets/__i|forwarding_b|django_set|-info/', name):
                self.write(os.path.join(place, name), files[name])

        return self.directory / place

    def check(self, status, *argv, python=sys.executable, script='check.py'):
        """Run the file alone, and return what it prints."""
        process = subprocess.run(
            [python, script, *map(str, argv)], cwd=self.directory,
            env=dict(os.environ, PYTHONPATH='first:second', LC_ALL='C'),
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, encoding='utf-8')
        self.assertEqual(process.returncode, status, process)
        self.assertNotIn('Traceback', process.stderr)

        return process.stdout or process.stderr

    def test_tables(self):
        """Testing check's tables with what they're made of"""
        self.assertEqual(
            {blob_id: defects.split()
             for blob_id, (_, defects) in check.MODULES.items()},
            {module.blob_id: module.defects for module in releases.MODULES})
        self.assertEqual(set(check.DEFECTS), {
            name for module in releases.MODULES for name in module.defects})
        self.assertFalse(set(check.PATCHED).intersection(check.SUPERSEDED))

    def test_states(self):
        """Testing check with releases, patched, half, otherwise and not"""
        patched = 'patched: it has revision %d' % check.REVISION
        newer = read('6.1').replace(
            b'\n\n', b'\n\nfrom __future__ import annotations\n\n\n', 1)
        self.assertIs(releases.find_module(newer), releases.MODULES[-1])

        for number, (version, numbers, module, status, text) in enumerate((
                ('0.8.13', (), None, 1, 'can fail on None.*0.8.29 ends'),
                ('4.0', (), None, 1, r'\* siteconfig '),
                ('4.0', (0,), None, 1, 'half patched'),
                ('4.0', (2,), None, 1, 'a reset keeps the old backend'),
                ('4.0', (0, 2), None, 0, patched),
                ('6.1', (), None, 1, 'a replaced backend is never closed'),
                ('6.1', (0,), None, 0, 'Next: nothing'),
                ('6.1', (), newer, 1, 'is that of 5.0 - '),
                ('6.1', (), read('6.1').replace(b'\n', b'\r\n'), 1,
                 'is that of 5.0 - '),
                ('0.8.29', (), read('0.8.13'), 1, r'.13\.(?!.*0.8.29 ends)'),
                ('6.1', (), b'old', 1, 'revision 1 is superseded'),
                ('6.1', (), b'bad', 1, 'revision 2 is superseded.*pymemcache'
                                       '.*caches.all'),
                ('6.1', (), b'', 2, 'is of no release'),
                ('6.1', (), b'new', 2, 'a wheel would replace it.*series --fr')
                )):
            others = {} if module is None else {MODULE: module}
            output = self.check(status, self.make(
                str(number), version, *numbers, **others))
            self.assertRegex(output, '(?s)Djblets %s is .*' % version + text)
            self.assertEqual('build %s;' % version in output, status == 1)

    def test_unreadable(self):
        """Testing check with files that can't be read, and with none"""
        place = self.make('site', '6.1', **{MODULE: None})
        self.assertIn('nothing to mend', self.check(0, place))

        self.write('site/' + MODULE + 'c', b'')
        self.assertIn('as bytecode alone', self.check(2, place))

        (place / MODULE).symlink_to('missing')
        self.assertIn('not readable: ', self.check(2, place))

        (place / MODULE).unlink()
        (place / MODULE).mkdir()
        self.assertIn('not readable: ', self.check(2, place))

        # Of several, the others are told nevertheless.
        self.make('site/Djblets-0.8.13-py2.7.egg', '0.8.13')
        self.assertRegex(self.check(2, place),
                         '(?s)0.8.13 is not patched.*not readable')

    def test_pythons(self):
        """Testing check on each Python there is, of what it would import"""
        self.make('second', '6.1')
        self.make('first', '0.8.13', 0)
        (self.directory / 'v').symlink_to(sys.prefix)

        for python in ['v/bin/python', *PYTHONS]:
            found, = json.loads(self.check(0, '--json', python=python))
            self.assertEqual(found['version'], '0.8.13')
            self.assertEqual(found['revision'], check.REVISION)
            self.assertTrue(found['path'].endswith('first/djblets'))
            self.check(0, '--python', python)
            self.check(1, 'second', python=python)

    def test_places(self):
        """Testing check with a checkout, and all in an environment"""
        place = self.make('checkout', '6.1')
        next(place.glob('*-info')).rename(place / 'old')
        self.write('checkout/setup.py', b'#')
        self.assertIn('series --from checkout', self.check(1, 'checkout'))

        site = self.make('v/lib/python2.7/site-packages', '6.1', 0)
        self.make('v/lib/python3.8/dist-packages', '4.0', 0, 2)
        self.check(0, 'v')
        egg = self.make(site / 'Djblets-1.egg', '0.8.13')
        next(egg.glob('*-info')).rename(egg / 'EGG-INFO')
        self.assertRegex(self.check(1, 'v'), '(?s)0.8.13 is not.*6.1 is patc')
        self.assertEqual(
            [found['status'] for found in json.loads(
                self.check(1, '--json', 'v'))], [1, 0, 0])

    def test_versions(self):
        """Testing check with an egg-info of distutils, and with two infos"""
        place = self.make('site', '6.1')
        info = next(place.glob('*-info'))
        metadata = (info / 'METADATA').read_bytes()
        info.rename(place / 'old')
        self.write('site/Djblets-6.1-py3.egg-info', metadata)
        self.assertIn('Djblets 6.1 is not', self.check(1, 'site'))

        self.write('site/Djblets-6.1+forwarding.1.dist-info/METADATA',
                   b'Version: 6.1+forwarding.1\n')
        self.assertRegex(self.check(1, 'site'),
                         r'Djblets 6.1 and 6.1\+forwarding.1 is (?s:.*)d 6.1;')

    def test_broken_pipe(self):
        """Testing check with output that nobody reads"""
        place = self.make('site', '6.1')

        for python in [sys.executable, *PYTHONS[:1]]:
            read_end, write_end = os.pipe()
            os.close(read_end)
            process = subprocess.run(
                [python, 'check.py', place], cwd=self.directory,
                stdout=write_end, stderr=subprocess.PIPE)
            os.close(write_end)
            self.assertEqual(process.returncode, -signal.SIGPIPE)
            self.assertEqual(process.stderr, b'')

    def test_bad_input(self):
        """Testing check with bad input, and that each error is one line"""
        for argv, message in (
                (['nowhere'], 'nowhere is no directory'),
                ([''], "'' is no directory"),
                (['.'], '. has no Djblets'),
                (['--python', 'nowhere'], 'nowhere cannot be run'),
                (['--python', ''], "'' cannot be run"),
                (['--python', '/bin/cat'], '/bin/cat is no Python'),
                (['--python', sys.executable, '.'], 'not allowed')):
            self.assertRegex(self.check(2, *argv),
                             r'^check\.py: .*%s.*\n$' % re.escape(message))

        # On an old Python, it doesn't get far.
        self.write('old.py', b'import sys\nsys.version_info = (2, 6)\n'
                             b'exec(open("check.py").read())\n')
        self.assertRegex(self.check(2, script='old.py'),
                         '^check.py: this needs Python 2.7 .*\n$')

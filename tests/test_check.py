"""Unit tests for djblets_backport.check."""

import glob
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import unittest
from unittest import mock


CHECKOUT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))

sys.path.insert(0, os.path.join(CHECKOUT, 'contrib'))

from djblets_backport import archives, check, graft, releases  # noqa: E402


with open(os.path.join(CHECKOUT, check.MODULE_PATH)) as fp:
    OURS = fp.read()


MODULE = check.MODULE_PATH
SITECONFIG = check.SITECONFIG_PATH


def patch(module):
    """Return a release's module with the change."""
    return graft.graft_module(module.decode('utf-8'), OURS).encode('utf-8')


def get_patched():
    """Return the blob IDs of the modules of all contents with the change."""
    return [releases.get_blob_id(patch(archives.fetch(
        content.releases[0])[MODULE])) for content in releases.CONTENTS]


def write(path, data):
    """Write a file."""
    with open(path, 'wb') as fp:
        fp.write(data)


class CheckTests(unittest.TestCase):
    """Unit tests for djblets_backport.check."""

    def setUp(self):
        self.dir = os.path.join(os.path.realpath(tempfile.mkdtemp()), 'a \xe9')
        self.addCleanup(shutil.rmtree, os.path.dirname(self.dir))
        os.mkdir(self.dir)

    def make(self, place, version, *paths):
        """Put a release somewhere, with the changes to some of its files."""
        files = {name: data for name, data in archives.fetch(version).items()
                 if name in (MODULE, SITECONFIG) or '-info/' in name}

        if MODULE in paths:
            files[MODULE] = patch(files[MODULE])

        if SITECONFIG in paths:
            files[SITECONFIG] = graft.graft_siteconfig(
                files[SITECONFIG].decode('utf-8')).encode('utf-8')

        # Nothing of it is ever run.
        files['djblets/__init__.py'] = b'import sys; sys.exit("imported")\n'

        for name, data in files.items():
            path = os.path.join(self.dir, place, name)
            os.makedirs(os.path.dirname(path), exist_ok=True)
            write(path, data)

        return os.path.join(self.dir, place)

    def check(self, status, *argv, python=sys.executable, **kwargs):
        """Run the file alone, and return what it prints."""
        script = shutil.copy(check.__file__, self.dir)
        process = subprocess.run([python, script] + list(argv), cwd=self.dir,
                                 stdout=subprocess.PIPE,
                                 stderr=subprocess.PIPE, **kwargs)
        self.assertEqual(process.returncode, status, process)
        output = (process.stderr if status == 2 and process.stderr else
                  process.stdout).decode('utf-8')

        return json.loads(output) if '--json' in argv else output

    def test_contents(self):
        """Testing check.CONTENTS and PATCHED with what they are made of"""
        self.assertEqual([content.blob for content in check.CONTENTS],
                         [content.blob for content in releases.CONTENTS])
        self.assertEqual(list(check.PATCHED), get_patched(),
                         'Run "python3 %s", as the change has changed'
                         % __file__)
        self.assertEqual({name for row in check.CONTENTS
                          for name in row.defects.split()},
                         set(check.DEFECTS))

    def test_states(self):
        """Testing check with releases, patched, half and not"""
        for version, paths, status, revision, text in (
                ('0.8.13', (), 1, None, 'can fail on None'),
                ('0.8.13', (MODULE,), 0, 2, 'has revision 2'),
                ('4.0', (), 1, None, 'siteconfig never resets'),
                ('4.0', (MODULE,), 1, 2, 'half patched'),
                ('4.0', (SITECONFIG,), 1, None, 'reset does nothing'),
                ('4.0', (MODULE, SITECONFIG), 0, 2, 'has revision 2'),
                ('6.1', (), 1, None, 'a replaced backend is never closed'),
                ('6.1', (MODULE,), 0, 2, 'Next: nothing')):
            place = self.make('%s-%d' % (version, len(paths)), version, *paths)
            found = self.check(status, place, '--json')
            self.assertEqual(found['revision'], revision)
            output = self.check(status, place)
            self.assertIn('Djblets %s is ' % version, output)
            self.assertIn(text, output)
            self.assertEqual('backport build %s with' % version in output,
                             status == 1)

    def test_other_modules(self):
        """Testing check with a module that's superseded, changed or missing
        """
        place = self.make('site', '6.1')
        path = os.path.join(place, MODULE)
        write(path, b'changed')
        self.assertIn('is that of no release', self.check(2, place))

        with mock.patch.dict(check.SUPERSEDED, {
                releases.get_blob_id(b'changed'): 1}):
            self.assertIn('superseded by 2', check.check(place)['state'])

        os.rename(path, path + 'c')
        self.assertIn('bytecode', self.check(2, place))
        os.unlink(path + 'c')
        self.assertIn('nothing to mend', self.check(0, place))

    def test_pythons(self):
        """Testing check on each Python there is, of what it would import"""
        self.make('second', '6.1')
        self.make('first', '0.8.13', MODULE)
        env = dict(os.environ, PYTHONPATH='first:second', LC_ALL='C')

        for python in [sys.executable] + glob.glob(os.path.expanduser(
                '~/.pyenv/versions/*/bin/python')):
            found = self.check(0, '--json', python=python, env=env)
            self.assertEqual(found['version'], '0.8.13')
            self.assertTrue(found['path'].endswith('first/djblets'))
            self.check(1, 'second', python=python, env=env)

        os.makedirs(os.path.join(self.dir, 'v', 'bin'))
        os.symlink(sys.executable, os.path.join(self.dir, 'v/bin/python'))
        self.check(0, '--python', 'v/bin/python', env=env)

    def test_places(self):
        """Testing check with a checkout, an egg and an environment"""
        place = self.make('checkout', '6.1')
        os.rename(glob.glob(place + '/*-info')[0], place + '/old')
        write(os.path.join(place, 'setup.py'), b'#')
        self.assertIn('series --from checkout', self.check(1, 'checkout'))

        self.make('v/lib/python2.7/site-packages', '6.1', MODULE)
        self.check(0, 'v')
        egg = self.make('v/lib/python2.7/site-packages/Djblets-1.egg',
                        '0.8.13')
        os.rename(glob.glob(egg + '/*-info')[0], egg + '/EGG-INFO')
        self.check(0, 'v')
        write(os.path.join(egg, '..', 'easy-install.pth'),
              b'./Djblets-1.egg\n')
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
            self.assertIn(message, self.check(2, *argv).splitlines()[-1])


if __name__ == '__main__':
    with open(check.__file__) as fp:
        source = re.sub(r'(?s)(\nPATCHED = \(\n).*?\)', '\\1%s)' % ''.join(
            "    '%s',\n" % blob for blob in get_patched()), fp.read())

    write(check.__file__, source.encode('utf-8'))

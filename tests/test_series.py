"""Unit tests for djblets_backport.series."""

import email
import glob
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import unittest

CHECKOUT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))

sys.path.insert(0, os.path.join(CHECKOUT, 'contrib'))

from djblets_backport import (BadInput, archives, check,  # noqa: E402
                              releases, series)


#: Released files that the series changes, or that it's placed by.
PATHS = (check.MODULE_PATH, check.SITECONFIG_PATH,
         'djblets/cache/tests/__init__.py')


class SeriesTests(unittest.TestCase):
    """Unit tests for get_changes, make_series and applying that."""

    def setUp(self):
        super(SeriesTests, self).setUp()

        self.directory = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, self.directory)

    def make(self, version):
        """Write a release's files and its series, and return the changes."""
        self.files = {name: data
                      for name, data in archives.fetch(version).items()
                      if name in PATHS}
        changes = series.get_changes(self.files)
        self.tree = os.path.join(self.directory, version)
        self.patches = os.path.join(self.directory, version + '-patches')
        self.write(self.tree, self.files)
        self.write(self.patches, series.make_series(self.files, changes))

        self.names = sorted(glob.glob(self.patches + '/*.patch'))

        return changes

    def write(self, directory, files):
        """Write files to a directory."""
        for name, data in files.items():
            path = pathlib.Path(directory, name)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)

    def run_in_tree(self, *args, **env):
        """Run a program in the tree, and return its output."""
        if shutil.which(args[0]) is None:
            raise unittest.SkipTest('needs %s' % args[0])

        env = dict(os.environ, HOME=self.directory, LC_ALL='C', **env)
        process = subprocess.run(args, cwd=self.tree, env=env,
                                 stdin=subprocess.DEVNULL,
                                 stdout=subprocess.PIPE,
                                 stderr=subprocess.STDOUT, encoding='utf-8')
        self.assertEqual(process.returncode, 0, process.stdout)

        return process.stdout

    def commit(self):
        """Make a repository of the tree."""
        for args in (['init', '-q'], ['config', 'user.name', 'Test'],
                     ['config', 'user.email', 'test@localhost'],
                     ['add', '.'], ['commit', '-q', '-m', 'Release']):
            self.run_in_tree('git', *args)

    def check_applied(self, changes):
        """Check that the files of the tree are the changed ones."""
        for change in changes:
            self.files.update(change.files)

        for name, data in self.files.items():
            self.assertEqual(pathlib.Path(self.tree, name).read_bytes(), data)

    def test_git_am(self):
        """Testing series with git am and all contents"""
        for content in releases.CONTENTS:
            changes = self.make(content.releases[-1])
            self.commit()
            self.run_in_tree('git', 'am', *self.names)
            self.check_applied(changes)

            self.assertEqual(self.run_in_tree('git', 'status', '-s'), '')
            self.assertEqual(
                self.run_in_tree('git', 'log', '-1', '--format=%B').strip(),
                changes[-1].message.strip())

            numbers = self.run_in_tree(
                'git', 'show', '--format=', '--numstat',
                'HEAD~%d' % (len(changes) - 1)).split()
            self.assertLessEqual(
                int(numbers[0]) + int(numbers[1]),
                120 if content.django == '1.6' else 130)
            self.assertEqual(len(numbers), 3)

    def test_git_am_with_other_text(self):
        """Testing series with git am -3 where the text around differs"""
        self.make('1.0.18')
        self.commit()
        self.files[check.MODULE_PATH] = (
            b'# New.\n' * 9 + self.files[check.MODULE_PATH].replace(
                b'"""Closes the cache', b'"""Close the cache'))
        self.write(self.tree, self.files)
        self.run_in_tree('git', 'commit', '-q', '-a', '-m', 'Change')
        self.run_in_tree('git', 'am', '-3', *self.names)
        self.assertRegex(self.run_in_tree('cat', check.MODULE_PATH),
                         '(?s)^# New.*_generations_lock')

    def test_git_am_without_newline_at_end(self):
        """Testing series with git am and a file without a newline at its end
        """
        self.make('0.8.13')
        self.files[check.MODULE_PATH] = self.files[check.MODULE_PATH].rstrip()
        changes = series.get_changes(self.files)
        self.write(self.tree, self.files)
        self.write(self.patches, series.make_series(self.files, changes))
        self.commit()
        self.run_in_tree('git', 'am', *sorted(
            glob.glob(self.patches + '/0*')))
        self.check_applied(changes)

    def test_patch(self):
        """Testing series with patch -p1"""
        changes = self.make('0.8.13')

        for name in self.names:
            self.assertNotRegex(
                self.run_in_tree('patch', '-p1', '-i', name), 'fuzz|offset')

        self.check_applied(changes)

    def test_quilt(self):
        """Testing series with quilt"""
        changes = self.make('1.0.18')
        self.run_in_tree('quilt', 'push', '-a', '--fuzz=0',
                         QUILT_PATCHES=self.patches, QUILT_SERIES='series')
        self.check_applied(changes)

    def test_gbp_pq(self):
        """Testing series with gbp pq"""
        changes = self.make('1.0.18')
        self.write(os.path.join(self.tree, 'debian'), {
            'changelog': b'djblets (1.0.18-1) unstable; urgency=low\n\n'
                         b'  * Test.\n\n -- Test <test@localhost>  '
                         b'Tue, 24 Nov 2026 00:00:00 +0000\n',
            'control': b'Source: djblets\n\nPackage: python-djblets\n',
            'source/format': b'3.0 (quilt)\n',
        })
        shutil.copytree(self.patches,
                        os.path.join(self.tree, 'debian', 'patches'))
        self.commit()
        self.run_in_tree('gbp', 'pq', 'import')
        self.check_applied(changes)

        log = self.run_in_tree('git', 'log', '-3', '--format=%s')
        self.assertEqual(log.split('\n')[:-1],
                         [change.message.split('\n')[0]
                          for change in changes][::-1])

    def test_rpm(self):
        """Testing series with rpm"""
        changes = self.make('1.0.18')

        if shutil.which('rpmbuild') is None:
            raise unittest.SkipTest('needs rpm')

        spec = ['Name: test', 'Version: 1', 'Release: 1', 'Summary: Test',
                'License: MIT']
        spec += ['Patch%d: %s' % (i, os.path.basename(name))
                 for i, name in enumerate(self.names)]
        spec += ['%description', 'Test', '%prep',
                 'cp -r %s/. .' % self.tree]
        spec += ['%%patch%d -p1 -F0' % i for i in range(len(self.names))]
        spec += ['cp -r djblets %s' % self.tree]
        self.write(self.directory,
                   {'test.spec': '\n'.join(spec + ['']).encode('utf-8')})
        self.run_in_tree(
            'rpmbuild', '-bp', '--define', '_sourcedir %s' % self.patches,
            '--define', '_builddir %s/build' % self.directory,
            '--define', '_topdir %s' % self.directory,
            os.path.join(self.directory, 'test.spec'))
        self.check_applied(changes)

    def test_headers(self):
        """Testing make_series with headers for mail and DEP-3"""
        self.make('0.8.13')

        message = email.message_from_string(
            pathlib.Path(self.names[0]).read_text())
        fields = dict(re.findall(r'(?m)^([A-Z][\w-]+): (.+)$',
                                 message.get_payload().split('\n---\n')[0]))
        self.assertRegex(message['Subject'], r'^Fix .*\.$')
        self.assertIn('contributors', message['From'])
        self.assertTrue(email.utils.parsedate(message['Date']))
        self.assertEqual(fields, {
            'Bug': 'https://reviews.reviewboard.org/r/6644/',
            'Origin': 'other', 'Forwarded': 'no',
            'Last-Update': releases.REVISION_DATE})

    def test_defects(self):
        """Testing get_changes with what each content is told to lose"""
        for content in releases.CONTENTS:
            files = archives.fetch(content.releases[0])
            changes = series.get_changes(files)
            bullets = re.findall(r'(?m)^\* ', changes[0].message)
            has_siteconfig = 'siteconfig' in content.defects

            self.assertEqual(len(bullets),
                             len(content.defects) - has_siteconfig)
            self.assertEqual(len(changes), 3 if has_siteconfig else 2)
            self.assertEqual(
                {os.path.dirname(name) for change in changes
                 for name in change.files if 'test_' in name},
                {'djblets/cache/tests' if series.TESTS_PATH + '__init__.py' in
                 files else 'djblets/cache'})

    def test_with_unfit_modules(self):
        """Testing get_changes with what is patched, unfit or no Djblets"""
        files = archives.fetch('0.8.13')
        module = files[check.MODULE_PATH]
        patched = dict(files, **series.get_changes(files)[0].files)

        for files, message in (
                (patched, 'is patched already, by revision 2'),
                ({}, 'there is no djblets/cache/forwarding_backend.py'),
                ({check.MODULE_PATH: b'x = ('}, 'is not a Python module'),
                ({check.MODULE_PATH: b'\xff'}, 'utf-8'),
                ({check.MODULE_PATH: module + b'\n    def other(self): x\n'},
                 'other, which the change would lose')):
            with self.assertRaisesRegex(BadInput, message):
                series.get_changes(files)

    def test_with_linters_of_review_bot(self):
        """Testing get_changes with pyflakes and pycodestyle on each file"""
        for content in releases.CONTENTS:
            changes = series.get_changes(archives.fetch(content.releases[-1]))

            # As Review Bot does, and without what the releases have had.
            self.write(self.directory, {
                '%s-%s' % (content.releases[-1], os.path.basename(name)): data
                for change in changes for name, data in change.files.items()
                if name != check.SITECONFIG_PATH})

        self.tree = self.directory
        names = glob.glob(os.path.join(self.directory, '*.py'))
        self.assertGreater(len(names), 16)

        for tool in (['pyflakes'], ['pycodestyle', '--max-line-length=79']):
            self.run_in_tree(sys.executable, '-m', *tool, *names)

"""Unit tests for djblets_backport.series."""

import os
import re
import shutil
import subprocess
import sys

from scratch import ScratchTestCase

from djblets_backport import archives, releases, series
from djblets_backport.check import MODULE_PATH, SITECONFIG_PATH


#: Released files that the series changes, or that it's placed by.
PATHS = (MODULE_PATH, SITECONFIG_PATH, 'djblets/cache/tests/__init__.py')

#: The most lines that a file of tests has.
MAX_TEST_LINES = 625


class SeriesTests(ScratchTestCase):
    """Unit tests for get_changes, make_series and applying that."""

    def make(self, version, edit=lambda module: module):
        """Write a release's files and its series, and return the changes."""
        release = releases.find_release(version)
        files = archives.fetch(release).files
        self.files = {name: files[name] for name in PATHS if name in files}
        self.files[MODULE_PATH] = edit(self.files[MODULE_PATH])
        changes = series.get_changes(
            self.files, releases.find_module(self.files[MODULE_PATH]))
        self.tree = self.directory / version
        self.patches = self.directory / (version + '-patches')

        for directory, files in (
                (self.tree, self.files),
                (self.patches, series.make_series(self.files, changes))):
            for name, data in files.items():
                self.write(directory / name, data)

        self.names = sorted(map(str, self.patches.glob('*.patch')))

        return changes

    def run_in_tree(self, *args, **env):
        """Run a program in the tree, and return its output."""
        if shutil.which(args[0]) is None:
            self.skipTest('needs: ' + args[0].replace('build', ''))

        env = dict(os.environ, HOME=str(self.directory), LC_ALL='C', **env)
        process = subprocess.run(args, cwd=str(self.tree), env=env,
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
            self.assertEqual((self.tree / name).read_bytes(), data)

    def test_git_am(self):
        """Testing series with git am and all modules"""
        for module in releases.MODULES:
            changes = self.make(module.releases[-1])
            self.commit()
            self.run_in_tree('git', 'am', *self.names)
            self.check_applied(changes)
            self.assertEqual(self.run_in_tree('git', 'status', '-s'), '')
            self.assertEqual(
                self.run_in_tree('git', 'log', '-1', '--format=%B').strip(),
                changes[-1].message.strip())
            has_bug = module.releases[0] == '0.8.12'
            self.assertRegex(
                changes[0].message, r'^Fix .*\.\n\n(?s:.*)\n\n%s'
                r'Origin: other\nForwarded: no\nLast-Update: [\d-]{10}\n$'
                % ('Bug: .*/r/6644/\n' if has_bug else ''))
            self.assertEqual('Bug: ' in changes[0].message, has_bug)

    def test_git_am_with_other_text(self):
        """Testing series with git am -3 where the text around differs, and
        where there's no newline at the end
        """
        changes = self.make('1.0.18', edit=bytes.rstrip)
        self.commit()
        self.run_in_tree('git', 'am', *self.names)
        self.check_applied(changes)

        self.run_in_tree('git', 'reset', '-q', '--hard', 'HEAD~3')
        path = self.tree / MODULE_PATH
        path.write_bytes(b'# New.\n' * 9 + path.read_bytes().replace(
            b'"""Closes the cache', b'"""Close the cache'))
        self.run_in_tree('git', 'commit', '-q', '-a', '-m', 'Change')
        self.run_in_tree('git', 'am', '-3', *self.names)
        self.assertRegex(path.read_text(), '(?s)^# New.*_generations_lock')

    def test_patch_and_quilt(self):
        """Testing series with patch -p1, and with quilt"""
        changes = self.make('0.8.13')

        for name in self.names:
            self.assertNotRegex(
                self.run_in_tree('patch', '-p1', '-i', name), 'fuzz|offset')

        self.check_applied(changes)
        changes = self.make('1.0.18')
        self.run_in_tree('quilt', 'push', '-a', '--fuzz=0', QUILT_PATCHES=str(
            self.patches), QUILT_SERIES='series')
        self.check_applied(changes)

    def test_gbp_pq(self):
        """Testing series with gbp pq"""
        changes = self.make('1.0.18')

        for name, data in (
                ('changelog', b'djblets (1) unstable; urgency=low\n\n -- T <t@'
                              b'localhost>  Tue, 24 Nov 2026 00:00:00 +0000'),
                ('control', b'Source: djblets\n\nPackage: djblets\n'),
                ('source/format', b'3.0 (quilt)\n')):
            self.write(self.tree / 'debian' / name, data)

        shutil.copytree(str(self.patches), str(self.tree / 'debian/patches'))
        self.commit()
        self.run_in_tree('gbp', 'pq', 'import')
        self.check_applied(changes)
        self.assertEqual(
            self.run_in_tree('git', 'log', '-3', '--format=%s').splitlines(),
            [change.message.split('\n')[0] for change in reversed(changes)])

    def test_rpm(self):
        """Testing series with rpm"""
        changes = self.make('1.0.18')
        spec = self.write('test.spec', '\n'.join([
            'Name: test', 'Version: 1', 'Release: 1', 'Summary: Test',
            'License: MIT',
            *('Patch%d: %s' % (i, os.path.basename(name))
              for i, name in enumerate(self.names)),
            '%description', 'Test', '%prep', 'cp -r %s/. .' % self.tree,
            *('%%patch%d -p1 -F0' % i for i in range(len(self.names))),
            'cp -r djblets %s' % self.tree, '']).encode('utf-8'))
        self.run_in_tree(
            'rpmbuild', '-bp', str(spec),
            '--define', '_sourcedir %s' % self.patches,
            '--define', '_builddir %s/build' % self.directory,
            '--define', '_topdir %s' % self.directory)
        self.check_applied(changes)

    def test_modules(self):
        """Testing get_changes with all modules, and linters on each file"""
        for module in releases.MODULES:
            version = module.releases[0]
            files = archives.fetch(releases.RELEASES[version]).files
            changes = series.get_changes(files, module)
            count = len(module.defects) - ('siteconfig' in module.defects)
            self.assertEqual(
                len(re.findall(r'(?m)^\* ', changes[0].message)), count)
            self.assertEqual(len(changes), 2 + len(module.defects) - count)
            tests_path = ('djblets/cache/tests/' if PATHS[2] in files
                          else 'djblets/cache/')
            is_later = int(version.split('.')[0]) >= 3

            for change in changes:
                self.assertLessEqual(
                    max(map(len, change.message.splitlines())), 76)
                tests = [data.decode() for name, data in change.files.items()
                         if 'test_' in name]
                self.assertEqual(
                    re.findall('Django 1.*|.*__future__.*|super.[A-Z].*',
                               '\n'.join([change.message] + tests))
                    if is_later else [], [])

                # As Review Bot does, and without what the releases have had.
                for name in set(change.files) - {SITECONFIG_PATH}:
                    base_name = os.path.basename(name)
                    path = self.write('%s-%s' % (version, base_name),
                                      change.files[name])
                    self.assertIn(name, (MODULE_PATH, tests_path + base_name))
                    self.assertLessEqual(len(path.read_bytes().splitlines()),
                                         MAX_TEST_LINES)

        self.tree = self.directory
        names = self.get_names()
        self.assertGreater(len(names), 16)

        for tool in (['pyflakes'], ['pycodestyle', '--max-line-length=79']):
            self.run_in_tree(sys.executable, '-m', *tool, *names)

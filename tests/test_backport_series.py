"""Unit tests for djblets_backport.series."""

import email
import os
import re
import shutil
import subprocess

from djblets_backport import REVISION_DATE
from djblets_backport.archive import get_blob_id
from djblets_backport.catalogue import (DEFECTS, MODULE_PATH, find_release,
                                        get_defects)
from djblets_backport.errors import BackportError
from djblets_backport.series import make_series, read_payload

from backport_testcase import (RELEASES, ROOT_DIR, BackportTestCase,
                               get_files, need, write_tree)


_SPEC = '''\
Name: python-djblets
Version: %(version)s
Release: 1
Summary: Djblets
License: MIT
Source0: djblets.tar
Patch1: %(patch1)s
Patch2: %(patch2)s

%%description
Djblets.

%%prep
%%setup -q -n djblets
%%patch -P 1 -p1
%%patch -P 2 -p1
'''


class SeriesTests(BackportTestCase):
    """Unit tests for djblets_backport.series, with the real programs."""

    def setUp(self):
        super(SeriesTests, self).setUp()
        self.env = dict(
            os.environ, LC_ALL='C', HOME=self.dir, EMAIL='a@b.invalid',
            GIT_CONFIG_NOSYSTEM='1', GIT_AUTHOR_NAME='A',
            GIT_AUTHOR_EMAIL='a@b.invalid', GIT_COMMITTER_NAME='A',
            GIT_COMMITTER_EMAIL='a@b.invalid')

    def run_command(self, *args, **kwargs):
        """Run a command that has to succeed, and patch cleanly.

        Args:
            *args (tuple of str):
                The command.

            **kwargs (dict):
                Further arguments for :py:func:`subprocess.run`.

        Returns:
            str:
            What it printed.
        """
        output = super(SeriesTests, self).run_command(
            *args, **dict(dict(env=self.env, cwd=self.tree), **kwargs))
        self.assertNotRegex(output.replace('--fuzz=0', ''),
                            r'(?i)fuzz|offset|reject|whitespace error')

        return output

    def for_each_release(self, with_git=False):
        """Lay out a release of each content, along with its series.

        Args:
            with_git (bool, optional):
                Whether the tree is to be in git.

        Yields:
            djblets_backport.catalogue.Release:
            The release.
        """
        for version in RELEASES:
            release = find_release(version)
            files = get_files(version)
            self.patches = self.path(version, 'patches')
            self.tree = self.path(version, 'djblets')
            write_tree(self.tree, files)
            write_tree(self.patches,
                       make_series(files[MODULE_PATH], release.tests_path,
                                   'x'))
            self.names = sorted(os.listdir(self.patches))[:-1]

            if with_git:
                self.run_command('git', 'init', '-q')
                self.run_command('git', 'add', '-f', '.')
                self.run_command('git', 'commit', '-q', '-m', 'Release')
                self.run_command('git', 'branch', 'release')

            yield release

            shutil.rmtree(self.path(version))

    def assert_patched(self, release, tree=None):
        """Assert that the series is applied, and nothing else is changed.

        Args:
            release (djblets_backport.catalogue.Release):
                The release.

            tree (str, optional):
                The tree, if it's not the usual one.
        """
        self.assert_tree(dict(
            get_files(release.version),
            **{
                MODULE_PATH: read_payload('forwarding_backend.py'),
                release.tests_path:
                    read_payload('test_forwarding_backend.py'),
            }), tree or self.tree)

    def assert_released(self, release):
        """Assert that the series is not, or no longer, applied.

        Args:
            release (djblets_backport.catalogue.Release):
                The release.
        """
        self.assert_tree(get_files(release.version), self.tree)

    def assert_tree(self, files, tree):
        """Assert that a tree has just some files.

        Args:
            files (dict):
                The contents of the files.

            tree (str):
                The tree.
        """
        found = {}

        for base, dirnames, filenames in os.walk(tree):
            for name in set(dirnames) & {'.git', '.pc', 'debian', 'patches'}:
                dirnames.remove(name)

            for name in filenames:
                path = os.path.join(base, name)

                with open(path, 'rb') as fp:
                    found[os.path.relpath(path, tree)] = fp.read()

        self.assertEqual(sorted(found), sorted(files))

        for name, data in files.items():
            self.assertTrue(found[name] == data, name)

    def get_patch_paths(self):
        """Return the paths of the patches.

        Returns:
            list of str:
            The paths.
        """
        return [os.path.join(self.patches, name) for name in self.names]

    def test_git_am(self):
        """Testing the series with git am, with and without -3"""
        need('git')

        for release in self.for_each_release(with_git=True):
            for args in ((), ('-3',)):
                self.run_command('git', 'am', '-q', *args,
                                 *self.get_patch_paths())
                self.assert_patched(release)
                log = self.run_command('git', 'log', '-2', '--format=%an|%ad|'
                                       '%s', '--date=short')
                self.assertEqual(
                    log.splitlines(),
                    ["The project's contributors|%s|Add tests for the "
                     "forwarding cache backend." % REVISION_DATE,
                     "The project's contributors|%s|Fix resets of the "
                     "forwarding cache backend." % REVISION_DATE])

                self.run_command('git', 'revert', '--no-edit', 'HEAD', 'HEAD^')
                self.assert_released(release)
                self.run_command('git', 'reset', '-q', '--hard', 'release')

    def test_patch(self):
        """Testing the series with patch -p1, and with -R"""
        need('patch')

        for release in self.for_each_release():
            for path in self.get_patch_paths():
                self.run_command('patch', '-p1', '--fuzz=0', '-i', path)

            self.assert_patched(release)

            for path in reversed(self.get_patch_paths()):
                self.run_command('patch', '-p1', '--fuzz=0', '-R', '-i', path)

            self.assert_released(release)

    def test_quilt(self):
        """Testing the series with quilt push -a and pop -a"""
        need('quilt')

        for release in self.for_each_release():
            # quilt doesn't take a path with a space from the environment.
            shutil.copytree(self.patches, os.path.join(self.tree, 'patches'))
            self.run_command('quilt', '--quiltrc', '-', 'push', '-a',
                             '--fuzz=0')
            self.assert_patched(release)
            self.run_command('quilt', '--quiltrc', '-', 'pop', '-a')
            self.assert_released(release)

    def test_gbp_pq(self):
        """Testing the series with gbp pq import, export and drop"""
        need('gbp')

        for release in self.for_each_release(with_git=True):
            # git-buildpackage wants a Debian package.
            write_tree(self.tree, {
                'debian/changelog':
                    b'djblets (%s-1) unstable; urgency=low\n\n  * New.\n\n'
                    b' -- A <a@b.invalid>  Mon, 23 Nov 2026 00:00:00 +0000\n'
                    % release.version.encode('ascii'),
                'debian/control':
                    b'Source: djblets\nMaintainer: A <a@b.invalid>\n\n'
                    b'Package: python-djblets\nArchitecture: all\n',
                'debian/source/format': b'3.0 (quilt)\n',
            })
            shutil.copytree(self.patches,
                            os.path.join(self.tree, 'debian', 'patches'))
            self.run_command('git', 'add', '-f', 'debian')
            self.run_command('git', 'commit', '-q', '-m', 'Package')
            branch = self.run_command('git', 'rev-parse', '--abbrev-ref',
                                      'HEAD').strip()
            self.run_command('gbp', 'pq', 'import')
            self.assert_patched(release)
            self.assertEqual(
                self.run_command('git', 'rev-list', '--count',
                                 '%s..' % branch).strip(), '2')

            # The messages are kept when they're exported again.
            self.run_command('gbp', 'pq', 'export')
            exported = os.path.join(self.tree, 'debian', 'patches')

            with open(os.path.join(exported, 'series')) as fp:
                first = fp.readline().strip()

            with open(os.path.join(exported, first)) as fp:
                contents = fp.read()

            self.assertIn('\nForwarded: no\n', contents)
            self.assertIn('\nTesting Done:\n', contents)
            self.run_command('git', 'reset', '-q', '--hard')
            self.assert_released(release)

    def test_rpm(self):
        """Testing the series with RPM's %patch -p1"""
        need('rpmbuild')

        for release in self.for_each_release():
            # RPM's macros don't take a path with a space or non-ASCII.
            top = os.path.join('/tmp', 'djblets-backport-rpm-%d' % os.getpid())
            self.addCleanup(shutil.rmtree, top, True)
            write_tree(top, {
                'SPECS/djblets.spec': (_SPEC % {
                    'version': release.version,
                    'patch1': self.names[0],
                    'patch2': self.names[1],
                }).encode('ascii'),
                'BUILD/none': b'',
            })
            shutil.copytree(self.patches, os.path.join(top, 'SOURCES'))
            self.run_command('tar', '-cf',
                             os.path.join(top, 'SOURCES', 'djblets.tar'),
                             'djblets', cwd=os.path.dirname(self.tree))
            output = self.run_command(
                'rpmbuild', '-bp', '--nodeps', '--define',
                '_topdir %s' % top, os.path.join(top, 'SPECS',
                                                 'djblets.spec'))
            self.assertIn('--fuzz=0', output)
            trees = [
                base
                for base, dirnames, filenames in os.walk(
                    os.path.join(top, 'BUILD'))
                if os.path.basename(base) == 'djblets' and
                'djblets' in dirnames
            ]
            self.assertEqual(len(trees), 1)
            self.assert_patched(release, trees[0])
            shutil.rmtree(top)

    def test_headers(self):
        """Testing the patches' headers, for git, DEP-3 and Review Board"""
        for release in self.for_each_release():
            for i, path in enumerate(self.get_patch_paths()):
                with open(path, encoding='ascii') as fp:
                    header, _ = fp.read().split('\n---\n', 1)

                message = email.message_from_string(header.split('\n', 1)[1])
                body = message.get_payload()
                fields = dict(
                    line.split(': ', 1)
                    for line in body.split('\n\n')[-1].splitlines())

                self.assertRegex(message['Subject'],
                                 r'^\[PATCH %d/2\] [A-Z].*\.$' % (i + 1))
                self.assertRegex(message['From'], '^.+ <.+@.+>$')
                self.assertEqual(fields, {
                    'Forwarded': 'no',
                    'Last-Update': REVISION_DATE,
                    'Origin': 'other',
                })
                self.assertIn('\nTesting Done:\n', body)
                self.assertNotIn('$', body)

                if i == 0:
                    text = ' '.join(body.split())

                    for name, defect in DEFECTS.items():
                        self.assertEqual(
                            '* %s' % defect in text,
                            name in get_defects(release.blob), name)

    def test_same_everywhere(self):
        """Testing the series is the same however git is set up"""
        files = get_files('0.8.13')
        args = (files[MODULE_PATH], find_release('0.8.13').tests_path, 'x')
        expected = make_series(*args)
        self.write('.gitconfig', b'''
[core]
    abbrev = 5
    autocrlf = true
    quotepath = false
    hooksPath = /nowhere
[commit]
    gpgsign = true
[diff]
    algorithm = patience
    context = 1
    mnemonicPrefix = true
    noprefix = true
    renames = copies
    statGraphWidth = 5
[format]
    attach = x
    cc = a@b.invalid
    coverLetter = true
    filenameMaxLength = 20
    from = true
    numbered = false
    pretty = oneline
    signature = x
    signOff = true
    subjectPrefix = x
    suffix = .txt
    thread = deep
    useAutoBase = true
[i18n]
    commitEncoding = latin-1
    logOutputEncoding = latin-1
[user]
    name = Somebody
    email = a@b.invalid
''')
        umask = os.umask(0o077)

        try:
            with self.use_environ({
                    'COLUMNS': '30', 'GIT_AUTHOR_NAME': 'Somebody',
                    'GIT_DIFF_OPTS': '-u9', 'GIT_DIR': self.path('nowhere'),
                    'GIT_EXTERNAL_DIFF': 'false', 'HOME': self.dir,
                    'LANG': 'de_DE.UTF-8', 'LC_ALL': 'C', 'TMPDIR': self.dir,
                    'TZ': 'Asia/Tokyo', 'XDG_CONFIG_HOME': self.dir}):
                self.assertEqual(make_series(*args), expected)
        finally:
            os.umask(umask)

        self.assertEqual(os.listdir(self.dir), ['.gitconfig'])

    def test_with_modified(self):
        """Testing make_series with a module that somebody modified"""
        module = get_files('0.8.13')[MODULE_PATH] + b'\n'

        with self.assertRaisesRegex(
                BackportError,
                '^here was modified: .* %s' % get_blob_id(module)):
            make_series(module, 'x', 'here')

    def test_with_patched(self):
        """Testing make_series with a module that's patched already"""
        with self.assertRaisesRegex(BackportError, '^here is patched already'):
            make_series(read_payload('forwarding_backend.py'), 'x', 'here')

    def test_with_no_git(self):
        """Testing make_series with no git"""
        with self.use_environ({'PATH': self.dir}):
            with self.assertRaisesRegex(BackportError, 'git was not found'):
                make_series(get_files('0.8.13')[MODULE_PATH], 'x', 'here')

    def test_not_committed(self):
        """Testing no patch was committed to the repository"""
        if not os.path.exists(os.path.join(ROOT_DIR, '.git')):
            self.skipTest('This is not a git checkout')

        names = subprocess.run(
            ['git', 'ls-files'], cwd=ROOT_DIR, stdout=subprocess.PIPE,
            encoding='utf-8', check=True).stdout.splitlines()
        self.assertEqual(
            [name for name in names
             if re.search(r'\.(patch|diff|whl)$', name)], [])

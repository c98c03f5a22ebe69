"""Unit tests for djblets_backport.patched_wheel."""

import email
import os
import shutil
import subprocess
import zipfile

from djblets_backport import REVISION
from djblets_backport.archive import get_blob_id, get_sha256, read_files
from djblets_backport.bootstrap import ensure_made
from djblets_backport.catalogue import MODULE_PATH, find_release
from djblets_backport.errors import BackportError, NotVerified
from djblets_backport.patched_wheel import (get_local_version, get_wheel_name,
                                            make_wheel)
from djblets_backport.progress import Progress
from djblets_backport.series import read_payload
from djblets_backport.verify import (find_python, make_fresh_environment,
                                     make_temp_dir)

from packaging.requirements import Requirement
from wheel.wheelfile import WheelFile

from backport_testcase import (RELEASES, ROOT_DIR, BackportTestCase,
                               get_archive, get_files)


_MAKE_WHEEL = '''
import sys

sys.path.insert(0, sys.argv[1])

from djblets_backport.archive import read_files
from djblets_backport.catalogue import find_release
from djblets_backport.patched_wheel import make_wheel

make_wheel(find_release(sys.argv[2]), read_files(sys.argv[3]), 'x',
           sys.argv[4])
'''


class PatchedWheelTests(BackportTestCase):
    """Unit tests for djblets_backport.patched_wheel."""

    def make_wheel(self, version):
        """Make the patched wheel of a release.

        Args:
            version (str):
                The release.

        Returns:
            str:
            The path of the wheel.
        """
        release = find_release(version)
        files = get_files(version, 'wheel' if release.wheel else 'sdist')

        return self.path(make_wheel(release, files, 'x', self.dir))

    def test_contents(self):
        """Testing make_wheel changes the modules and the version alone"""
        for version in RELEASES:
            if find_release(version).wheel is None:
                continue

            with self.subTest(version):
                release = find_release(version)
                path = self.make_wheel(version)
                expected = {
                    name.replace('-%s.dist-info/' % version,
                                 '-%s.dist-info/'
                                 % get_local_version(version)): data
                    for name, data in get_files(version, 'wheel').items()
                    if not name.endswith(('.dist-info/RECORD',
                                          '.dist-info/metadata.json'))
                }
                name = next(name for name in expected
                            if name.endswith('/METADATA'))
                expected[name] = expected[name].replace(
                    b'\nVersion: %s' % version.encode('ascii'),
                    b'\nVersion: %s' % get_local_version(
                        version).encode('ascii'), 1)
                expected[MODULE_PATH] = read_payload('forwarding_backend.py')
                expected[release.tests_path] = read_payload(
                    'test_forwarding_backend.py')
                files = read_files(path)
                files.pop(name.replace('METADATA', 'RECORD'))

                self.assertEqual(sorted(files), sorted(expected))

                for name, data in expected.items():
                    self.assertTrue(files[name] == data, name)

    def test_contents_with_sdist(self):
        """Testing make_wheel with an sdist gives what its wheel would be"""
        # 0.8.19 has both.
        release = find_release('0.8.19')
        expected = read_files(self.make_wheel('0.8.19'))
        make_wheel(release._replace(wheel=None), get_files('0.8.19', 'sdist'),
                   'x', self.dir)
        files = read_files(self.path(get_wheel_name(release)))
        info = 'Djblets-%s.dist-info' % get_local_version('0.8.19')
        fields = []

        for some in (files, expected):
            message = email.message_from_bytes(
                some.pop('%s/METADATA' % info))
            requires = [
                Requirement(value.replace('(', '').replace(')', ''))
                for value in message.get_all('Requires-Dist')
            ]
            fields.append((message['Name'], message['Version'],
                           sorted(str(value) for value in requires)))

            for name in ('DESCRIPTION.rst', 'RECORD', 'WHEEL',
                         'dependency_links.txt'):
                some.pop('%s/%s' % (info, name), None)

        self.assertEqual(fields[0], fields[1])
        self.assertEqual(sorted(files), sorted(expected))
        self.assertTrue(files == expected)

    def test_record(self):
        """Testing make_wheel writes a RECORD with each file's hash"""
        for version in RELEASES:
            with self.subTest(version):
                path = self.make_wheel(version)

                # This checks the hashes of all files that it reads.
                with WheelFile(path) as wheel:
                    names = wheel.namelist()
                    record = wheel.read(wheel.record_path).decode('ascii')

                    for name in names:
                        wheel.read(name)

                self.assertEqual(
                    [line.rsplit(',', 2)[0].strip('"')
                     for line in record.splitlines()], names)
                self.assertEqual(len(set(names)), len(names))

    def test_name(self):
        """Testing make_wheel names wheels as pip wants them"""
        self.assertEqual(
            os.path.basename(self.make_wheel('0.8.13')),
            'Djblets-0.8.13+forwarding.%d-py2-none-any.whl' % REVISION)
        self.assertEqual(
            os.path.basename(self.make_wheel('2.3.4')),
            'Djblets-2.3.4+forwarding.%d-py2.py3-none-any.whl' % REVISION)
        self.assertEqual(
            os.path.basename(self.make_wheel('6.1')),
            'djblets-6.1+forwarding.%d-py3-none-any.whl' % REVISION)

    def test_same_everywhere(self):
        """Testing make_wheel gives the same on every Python, for anyone"""
        missing = []

        for python in ('3.8', '3.13'):
            try:
                executable = find_python(python)
            except NotVerified as e:
                missing.append(str(e))
                continue

            def _make(path):
                self.run_command(executable, '-m', 'venv', path)
                self.run_command(os.path.join(path, 'bin', 'python'), '-m',
                                 'pip', 'install', 'packaging',
                                 'wheel==0.45.1')

            environment = ensure_made('environments', 'wheels-%s' % python,
                                      [executable], _make)
            other = self.path(python)
            os.mkdir(other)

            for version in ('0.8.13', '0.8.19', '6.1'):
                release = find_release(version)
                kind = 'wheel' if release.wheel else 'sdist'
                subprocess.run(
                    [os.path.join(environment, 'bin', 'python'), '-c',
                     _MAKE_WHEEL, os.path.join(ROOT_DIR, 'contrib'), version,
                     get_archive(version, kind), other],
                    check=True,
                    env=dict(os.environ, SOURCE_DATE_EPOCH='1',
                             PYTHONDONTWRITEBYTECODE='1', TZ='Asia/Tokyo'))
                self.assertEqual(
                    get_sha256(os.path.join(other, get_wheel_name(release))),
                    get_sha256(self.make_wheel(version)))

        if missing:
            self.skipTest(', '.join(missing))

    def test_with_modified(self):
        """Testing make_wheel with a module that somebody modified"""
        files = dict(get_files('0.8.19', 'wheel'))
        files[MODULE_PATH] += b'\n'

        with self.assertRaisesRegex(BackportError,
                                    get_blob_id(files[MODULE_PATH])):
            make_wheel(find_release('0.8.19'), files, 'x', self.dir)

        self.assertEqual(os.listdir(self.dir), [])

    def test_with_requirements(self):
        """Testing the version is one that Review Board's requirements take"""
        for requirement, version in (('Djblets>=0.8.12,<0.9', '0.8.13'),
                                     ('Djblets>=0.8.20,<=0.8.999', '0.8.29'),
                                     ('Djblets==0.8.13', '0.8.13'),
                                     ('Djblets>=1.0.18,<1.999', '1.0.18'),
                                     ('Djblets~=4.0', '4.0'),
                                     ('djblets~=6.1', '6.1')):
            specifier = Requirement(requirement).specifier
            self.assertTrue(specifier.contains(get_local_version(version)))

    def test_with_pip(self):
        """Testing pip installs, upgrades to, goes back from and uninstalls it
        """
        temp_dir = make_temp_dir()
        self.addCleanup(shutil.rmtree, temp_dir)
        environment = os.path.join(temp_dir, 'env')
        python = make_fresh_environment('py27-django16', environment,
                                        Progress(quiet=True))
        site = os.path.join(environment, 'lib', 'python2.7', 'site-packages')
        path = self.make_wheel('0.8.19')
        wheels = os.path.join(self.dir, 'wheels')
        os.mkdir(wheels)
        official = shutil.copy(get_archive('0.8.19', 'wheel'), wheels)
        before = self.list_files(site)

        # The dependencies that the environment has not are of no interest.
        def _pip(*args):
            return self.run_command(python, '-W', 'ignore', '-m', 'pip',
                                    *args)

        def _get_version():
            return [
                line
                for line in _pip('list', '--format=freeze').splitlines()
                if line.startswith('Djblets')
            ]

        def _get_module():
            with open(os.path.join(site, MODULE_PATH), 'rb') as fp:
                return fp.read()

        _pip('install', '--no-index', '--no-deps', official)
        installed = self.list_files(site)
        official_module = _get_module()

        # An upgrade.
        _pip('install', '--no-index', '--no-deps', path)
        self.assertEqual(len(_get_version()), 1)
        self.assertIn('0.8.19+forwarding.%d' % REVISION, _get_version()[0])
        self.assertEqual(_get_module(), read_payload('forwarding_backend.py'))
        self.assertEqual(
            [name for name in self.list_files(site)
             if name.startswith('Djblets')],
            ['Djblets-0.8.19+forwarding.%d.dist-info' % REVISION])

        # Back again. pip has to be told, as it takes any local version for the
        # release.
        _pip('install', '--no-index', '--no-deps', '--force-reinstall',
             official)
        self.assertEqual(self.list_files(site), installed)
        self.assertEqual(_get_module(), official_module)

        # A pin prefers it to the release.
        shutil.copy(path, wheels)
        _pip('install', '--no-index', '--no-deps', '--upgrade',
             '--find-links', wheels, 'Djblets==0.8.19')
        self.assertIn('0.8.19+forwarding.%d' % REVISION, _get_version()[0])
        _pip('install', '--no-index', '--no-deps', '--find-links', wheels,
             'Djblets>=0.8.12,<0.9')
        self.assertIn('0.8.19+forwarding.%d' % REVISION, _get_version()[0])

        _pip('uninstall', '-y', 'Djblets')
        self.assertEqual(self.list_files(site), before)

    def list_files(self, site):
        """Return what's in a site-packages directory.

        Args:
            site (str):
                The directory.

        Returns:
            list of str:
            The names of all but bytecode: of what's at the top, and in
            ``djblets``.
        """
        names = os.listdir(site)

        for base, _, filenames in os.walk(os.path.join(site, 'djblets')):
            names += [
                os.path.relpath(os.path.join(base, name), site)
                for name in filenames
                if not name.endswith('.pyc')
            ]

        return sorted(names)

    def test_modes_and_dates(self):
        """Testing make_wheel gives all files one mode and date"""
        with zipfile.ZipFile(self.make_wheel('0.8.13')) as archive:
            infos = archive.infolist()

        self.assertEqual(
            len(set((info.date_time, info.external_attr, info.compress_type,
                     info.create_system, info.flag_bits)
                    for info in infos)), 1)
        self.assertEqual(infos[0].external_attr >> 16, 0o100644)

"""Unit tests for djblets_backport.check."""

import base64
import hashlib
import json
import os
import sys
import zipfile

from djblets_backport import REVISION
from djblets_backport.archive import get_blob_id
from djblets_backport.catalogue import MODULE_PATH, find_release, get_defects
from djblets_backport.check import check, get_search_path, get_site_path
from djblets_backport.errors import BackportError
from djblets_backport.patched_wheel import make_wheel
from djblets_backport.series import read_payload

from backport_testcase import (RELEASES, BackportTestCase, get_files,
                               write_tree)


class CheckTests(BackportTestCase):
    """Unit tests for djblets_backport.check."""

    def install(self, version='0.8.19', module=None):
        """Lay out a release as pip installs it.

        Args:
            version (str, optional):
                The release.

            module (bytes, optional):
                The contents of the module, in place of its own.

        Returns:
            str:
            The site-packages directory.
        """
        kind = 'wheel' if find_release(version).wheel else 'sdist'
        files = dict(get_files(version, kind))

        if module is not None:
            files[MODULE_PATH] = module

        return write_tree(self.path('site-packages'), files)

    def check(self):
        """Check the site-packages directory.

        Returns:
            dict:
            What's found.
        """
        return check(get_site_path(self.path('site-packages')))

    def test_with_affected(self):
        """Testing check with each content of the module"""
        for version in RELEASES:
            with self.subTest(version):
                path = write_tree(self.path(version), get_files(version))
                result = check(get_site_path(path))

                self.assertEqual(result['state'], 'affected')
                self.assertEqual(result['version'], version)
                self.assertIn(version, result['releases'])
                self.assertEqual(result['blob'], find_release(version).blob)
                self.assertEqual(result['defects'],
                                 list(get_defects(result['blob'])))
                self.assertIsNone(result['revision'])

    def test_with_patched_wheel(self):
        """Testing check with a patched wheel"""
        name = make_wheel(find_release('0.8.19'), get_files('0.8.19', 'wheel'),
                          'x', self.dir)

        with zipfile.ZipFile(self.path(name)) as archive:
            archive.extractall(self.path('site-packages'))

        result = self.check()
        self.assertEqual(result['state'], 'sound')
        self.assertEqual(result['version'],
                         '0.8.19+forwarding.%d' % REVISION)
        self.assertEqual(result['revision'], REVISION)
        self.assertEqual(result['defects'], [])

    def test_with_series_applied(self):
        """Testing check with the series applied"""
        self.install(module=read_payload('forwarding_backend.py'))
        result = self.check()

        self.assertEqual(result['state'], 'sound')
        self.assertEqual(result['version'], '0.8.19')
        self.assertEqual(result['revision'], REVISION)

    def test_with_other_revision(self):
        """Testing check with a patched wheel of another revision"""
        module = b'"""Another revision."""\n'
        path = self.install(module=module)
        os.rename(os.path.join(path, 'Djblets-0.8.19.dist-info'),
                  os.path.join(path,
                               'Djblets-0.8.19+forwarding.7.dist-info'))
        digest = base64.urlsafe_b64encode(hashlib.sha256(module).digest())
        write_tree(path, {
            'Djblets-0.8.19+forwarding.7.dist-info/METADATA':
                b'Version: 0.8.19+forwarding.7\n',
            'Djblets-0.8.19+forwarding.7.dist-info/RECORD':
                b'%s,sha256=%s,%d\n' % (MODULE_PATH.encode('ascii'),
                                        digest.rstrip(b'='), len(module)),
        })
        result = self.check()
        self.assertEqual(result['state'], 'sound')
        self.assertEqual(result['revision'], 7)

        # Now somebody has modified it.
        write_tree(path, {MODULE_PATH: module + b'\n'})
        result = self.check()
        self.assertEqual(result['state'], 'unknown')
        self.assertIsNone(result['revision'])

    def test_with_modified(self):
        """Testing check with a module that somebody modified"""
        module = get_files('0.8.19')[MODULE_PATH] + b'\n'
        self.install(module=module)
        result = self.check()

        self.assertEqual(result['state'], 'unknown')
        self.assertEqual(result['blob'], get_blob_id(module))
        self.assertIn(get_blob_id(module), result['summary'])

    def test_with_no_module(self):
        """Testing check with a release that's older than the module"""
        path = self.install()
        os.unlink(os.path.join(path, *MODULE_PATH.split('/')))
        result = self.check()
        self.assertEqual(result['state'], 'sound')
        self.assertIn('nothing to fix', result['summary'])

        write_tree(path, {MODULE_PATH + 'c': b''})
        self.assertEqual(self.check()['state'], 'unknown')

    def test_with_no_djblets(self):
        """Testing check with no Djblets"""
        os.mkdir(self.path('site-packages'))
        result = self.check()

        self.assertEqual(result['state'], 'unknown')
        self.assertIn(self.path('site-packages'), result['summary'])

    def test_with_egg(self):
        """Testing check with eggs, both zipped and not"""
        files = {
            name: data
            for name, data in get_files('0.8.13').items()
            if name.startswith('djblets/')
        }
        files['EGG-INFO/PKG-INFO'] = b'Name: Djblets\nVersion: 0.8.13\n'
        write_tree(self.path('site-packages', 'Djblets-0.8.13-py2.7.egg'),
                   files)
        os.mkdir(self.path('zipped'))

        with zipfile.ZipFile(self.path('zipped', 'Djblets-0.8.13-py2.7.egg'),
                             'w') as archive:
            for name, data in files.items():
                archive.writestr(name, data)

        for name in ('site-packages', 'zipped'):
            result = check(get_site_path(self.path(name)))
            self.assertEqual(result['state'], 'affected')
            self.assertEqual(result['version'], '0.8.13')

    def test_get_search_path(self):
        """Testing get_search_path and which Djblets comes first"""
        self.install()
        write_tree(self.path('first'), get_files('0.8.29'))

        with self.use_environ({
                'PYTHONPATH': os.pathsep.join([self.path('first'),
                                               self.path('site-packages')])}):
            result = check(get_search_path(sys.executable))

        self.assertEqual(result['version'], '0.8.29')

    def test_get_search_path_with_no_python(self):
        """Testing get_search_path with what's no Python"""
        for python in (self.path('missing'), 'false'):
            with self.assertRaisesRegex(BackportError, 'cannot be run'):
                get_search_path(python)

    def test_command(self):
        """Testing the exit statuses and the output of "check" """
        path = self.install()
        status, output, errors = self.run_backport('check', path)
        self.assertEqual((status, errors), (1, ''))
        self.assertIn('Djblets 0.8.19 is affected:\n', output)

        status, output, errors = self.run_backport('check', '--json', path)
        self.assertEqual((status, errors), (1, ''))
        self.assertEqual(json.loads(output), self.check())

        self.assertEqual(self.run_backport('check', '-q', path), (1, '', ''))

        self.install(module=read_payload('forwarding_backend.py'))
        status, output, errors = self.run_backport('check', path)
        self.assertEqual((status, errors), (0, ''))
        self.assertIn('revision %d' % REVISION, output)

        self.install(module=b'# modified\n')
        status, output, errors = self.run_backport('check', path)
        self.assertEqual((status, errors), (2, ''))
        self.assertIn(get_blob_id(b'# modified\n'), output)

        for args in ((self.path('missing'),),
                     ('--python', self.path('missing'))):
            self.assertOneLineError(self.run_backport('check', *args),
                                    self.path('missing'), status=2)

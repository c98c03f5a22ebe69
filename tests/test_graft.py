"""Unit tests for djblets_backport.graft."""

import difflib
import unittest

from scratch import CHECKOUT

from djblets_backport import archives, check, releases
from djblets_backport.graft import GraftError, graft_module, graft_siteconfig


OURS = (CHECKOUT / check.MODULE_PATH).read_text()


def read(version, name=check.MODULE_PATH):
    """Return a file of a release."""
    archive = archives.fetch(releases.find_release(version))

    return archive.files[name].decode('utf-8')


class GraftTests(unittest.TestCase):
    """Unit tests for graft_module and graft_siteconfig."""

    def test_module(self):
        """Testing graft_module with modules for Python 2 and for Python 3"""
        future = 'from __future__ import annotations\n\n'
        released = read('6.1').replace('DEFAULT', future + 'DEFAULT', 1)
        patched = graft_module(released, OURS)
        old = graft_module(read('0.8.13'), OURS)

        for text in (future, *released.split('"""')[1::2]):
            self.assertEqual(patched.count(text), 1, text)

        self.assertNotIn('__getattribute__', patched)

        # This is for Python 2 and old Djangos.
        for text in ('unicode_literals', 'elif django.VERSION',
                     '\nimport django\n', 'import request_finished'):
            self.assertNotIn(text, patched)
            self.assertEqual(old.count(text), 1)

    def test_module_with_unfit(self):
        """Testing graft_module with modules that the change does not fit"""
        source = read('6.1')

        for source, message in (
                (graft_module(source, OURS), 'patched already, by revision 2'),
                (source + '\n\nclass _Owner(object):\n    pass\n',
                 'is patched already, by revision 1'),
                (source.replace('class F', 'class f'),
                 'has no class ForwardingCacheBackend'),
                (source.replace('(object)', '(dict)'), 'does not fit'),
                (source.replace('def __contains__', 'def other'),
                 'has other, which the change would lose'),
                (source + '\n\nother = 1\n',
                 'has other, which the change would lose'),
                (source.replace('def ', 'def', 1), 'is not a Python module')):
            with self.assertRaisesRegex(GraftError, message):
                graft_module(source, OURS)

    def test_siteconfig(self):
        """Testing graft_siteconfig with isinstance, and without it"""
        for version in ('0.9', '1.0.18', '2.3.4', '4.0'):
            released = read(version, check.SITECONFIG_PATH)
            diff = difflib.ndiff(released.split(),
                                 graft_siteconfig(released).split())
            self.assertEqual(
                [line for line in diff if line[0] != ' '],
                ['- isinstance(cache,', '- ForwardingCacheBackend):',
                 '+ hasattr(cache,', "+ 'reset_backend'):"])

        self.assertIsNone(graft_siteconfig(read('6.1', check.SITECONFIG_PATH)))

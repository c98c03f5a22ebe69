"""Unit tests for djblets_backport.graft."""

import difflib
import unittest

from scratch import CHECKOUT

from djblets_backport import archives, check, releases
from djblets_backport.graft import (GraftError, graft_module, graft_siteconfig,
                                    replace_parts)


OURS = (CHECKOUT / check.MODULE_PATH).read_text()
LATER = (CHECKOUT / 'contrib' / 'djblets_backport' / 'later' /
         'forwarding_backend.py').read_text()


def read(version, name=check.MODULE_PATH):
    """Return a file of a release."""
    archive = archives.fetch(releases.find_release(version))

    return archive.files[name].decode('utf-8')


class GraftTests(unittest.TestCase):
    """Unit tests for graft_module, graft_siteconfig and replace_parts."""

    def test_module(self):
        """Testing graft_module with the release's docstrings and imports"""
        future = 'from __future__ import annotations\n\n'
        released = read('6.1').replace('DEFAULT', future + 'DEFAULT', 1)
        patched = graft_module(released, LATER)

        for text in (future, 'backend to be picked up.\n\n        Other thr'):
            self.assertEqual(patched.count(text), 1, text)

        self.assertNotIn('__getattribute__', patched)

    def test_module_with_docstrings(self):
        """Testing graft_module with docstrings of the old protocol"""
        for version, verb in (('0.8.29', 'Loads'), ('1.0.18', 'Load')):
            patched = graft_module(read(version), OURS)

            for text in ('"""%s the caching backend.\n' % verb,
                         'based on the stored cache name.\n\n        One thr',
                         '"""%s a new' % verb.replace('Load', 'Return')):
                self.assertEqual(patched.count(text), 1, text)

            self.assertNotIn('only one will succeed', patched)

    def test_module_with_unfit(self):
        """Testing graft_module with modules that the change does not fit"""
        source = read('6.1')

        for source, message in (
                (graft_module(source, LATER), 'patched already, by rev.* 3'),
                (source + '\n\n_generations = {}\n',
                 'is patched already, by revision 2'),
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
                graft_module(source, LATER)

    def test_replace_parts(self):
        """Testing replace_parts with functions and methods, old and new"""
        self.assertEqual(
            replace_parts(
                'import a\n\n\nclass A:\n    def b(self):\n        """B."""\n'
                '\n    def c(self):\n        pass\n\n\ndef d():\n    pass\n',
                'import e\n\n\nclass A:\n    def b(self):\n        """F."""\n'
                '\n    def g(self):\n        pass\n\n\ndef d():\n    h()\n'),
            'import a\n\n\nclass A:\n    def b(self):\n        """F."""\n'
            '\n    def c(self):\n        pass\n\n    def g(self):\n'
            '        pass\n\n\ndef d():\n    h()\n')

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

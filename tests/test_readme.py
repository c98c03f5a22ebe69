"""Tests of what README and its neighbours say, and of how they say it."""

import difflib
import re
import unittest

import docutils.core
from scratch import CHECKOUT

from djblets_backport import archives, releases, series
from djblets_backport.check import MODULE_PATH


#: The most lines that the change adds and removes, by the first release that
#: has a module, which goes for those after it, too.
SIZES = {'0.8.12': 120, '2.0': 130, '3.0': 125, '5.0': 105}


class ReadmeTests(unittest.TestCase):
    """Tests of README, HACKING and NEWS."""

    def test_markup(self):
        """Testing README, HACKING and NEWS as reStructuredText"""
        for name in ('README', 'HACKING', 'NEWS'):
            docutils.core.publish_string(
                (CHECKOUT / name).read_text(), writer_name='null',
                settings_overrides={'halt_level': 1, 'report_level': 5})

    def test_releases(self):
        """Testing README's table of what can be patched"""
        text = re.sub(' +', ' ', (CHECKOUT / 'README').read_text())
        *ranges, (last, release) = releases.get_ranges()

        for words, item in [*ranges, (last.split()[0] + ' and newer',
                                      release)]:
            self.assertIn('\n%s %s %s %s\n' % (
                words, item.module.blob_id[:8], item.python, item.django),
                text)

    def test_sizes(self):
        """Testing README's sizes of the change with all modules"""
        rows = re.findall(r'(?m)^[\d.]+\S.* (\+\d+, -\d+)(?:  .*)?$',
                          (CHECKOUT / 'README').read_text())
        sizes, most = [], None

        for module in releases.MODULES:
            files = archives.fetch(
                releases.RELEASES[module.releases[-1]]).files
            change = series.get_changes(files, module)[0]
            diff = [line[:1] for line in list(difflib.unified_diff(
                files[MODULE_PATH].decode().splitlines(),
                change.files[MODULE_PATH].decode().splitlines()))[2:]]
            sizes.append('+%d, -%d' % (diff.count('+'), diff.count('-')))
            most = SIZES.get(module.releases[0], most)
            self.assertLessEqual(diff.count('+') + diff.count('-'), most)

        self.assertEqual(rows, sizes)

"""Makes the changes to a release, and a series of patches out of them.

The patches are made without git, and the same everywhere. Their ``index``
lines are true, so that git finds what they were made for.
"""

import collections
import difflib
import os
import re
import string

from . import BadInput, HERE, PAYLOAD
from .check import (DEFECTS, MODULE_PATH, SITECONFIG_PATH, TESTS_PATH,
                    get_blob_id)
from .graft import (GraftError, graft_module, graft_siteconfig,
                    replace_parts)
from .releases import REVISION_DATE


#: The mail of a commit. The address is one that can't exist.
_PATCH = '''\
From 0000000000000000000000000000000000000000 Mon Sep 17 00:00:00 2001
From: The project's contributors <contributors@djblets-backport.invalid>
Date: %s 00:00:00 +0000
Subject: %s---
%s'''


#: A commit: its message, and the new contents of its files (bytes) by path.
Change = collections.namedtuple('Change', 'message files')


def get_changes(files, module):
    """Return the changes of the series to a release or tree.

    Args:
        files (dict):
            The contents of the files (bytes), by their names.

        module (djblets_backport.releases.ForwardingModule):
            The forwarding module that's among them, or ``None`` if it's that
            of no release.

    Returns:
        list of Change:
        The changes, in their order.

    Raises:
        djblets_backport.BadInput:
            The changes don't fit the files.
    """
    if MODULE_PATH not in files:
        raise BadInput('there is no %s: give a checkout, unpacked tree or '
                       'archive of Djblets, 0.8.12 or newer' % MODULE_PATH)

    tests_path = (TESTS_PATH if TESTS_PATH + '__init__.py' in files
                  else 'djblets/cache/')

    try:
        source = files[MODULE_PATH].decode('utf-8')
        is_later = 'unicode_literals' not in source
        ours, tests, siteconfig_tests = _read_ours(
            is_later, 'import caches' in source)
        grafted = graft_module(source, ours)
        siteconfig = graft_siteconfig(
            files.get(SITECONFIG_PATH, b'').decode('utf-8'))
    except (GraftError, UnicodeDecodeError) as e:
        raise BadInput('its forwarding module %s' % e)

    changes = [
        {MODULE_PATH: grafted},
        {tests_path + 'test_forwarding_backend.py': tests},
    ]

    # On Django 1.6, which 0.8 needs, what siteconfig asks for is right.
    if siteconfig and not (module and module.django == '1.6'):
        changes.append({
            SITECONFIG_PATH: siteconfig,
            tests_path + 'test_forwarding_siteconfig.py': siteconfig_tests,
        })

    return [
        Change(_get_message(number, module, is_later),
               {path: text.encode('utf-8') for path, text in change.items()})
        for number, change in enumerate(changes, 1)
    ]


def make_series(files, changes):
    """Return the patches for changes to files, and the list of them."""
    result = {}

    for number, change in enumerate(changes, 1):
        summary = re.sub(r'[^\w.]+', '-', change.message.split('\n')[0])
        diffs = [_diff(path, files.get(path), data)
                 for path, data in sorted(change.files.items())]
        result['%04d-%s.patch' % (number, summary[:52].strip('.-'))] = (
            _PATCH % (REVISION_DATE.strftime('%a, %d %b %Y'), change.message,
                      ''.join(diffs))).encode('utf-8')

    result['series'] = ''.join('%s\n' % name for name in result).encode()

    return result


def _read_ours(is_later, has_caches):
    """Return our module, its tests and siteconfig's for a line of Djblets."""
    def read(*path):
        with open(os.path.join(*path), encoding='utf-8') as fp:
            return fp.read()

    name = 'forwarding_backend.py'
    siteconfig_tests = read(PAYLOAD, 'test_forwarding_siteconfig.py')

    # Djblets 3.0 and newer is for Python 3 and Django 3.2 and newer.
    if is_later:
        later = os.path.join(HERE, 'later')

        return (read(later, name), read(later, 'test_' + name),
                re.sub(r'from __future__ .*\n\n|import django\n|'
                       r' +@unittest.skipIf.*\n', '', siteconfig_tests))

    ours = [read(PAYLOAD, name), read(PAYLOAD, 'test_' + name)]

    # Djblets 2.x is also for Django 1.7 to 1.11.
    if has_caches:
        ours = [
            replace_parts(text, read(HERE, 'later', other))
            for text, other in zip(ours, ('build_backend.py',
                                          'test_build_backend.py'))
        ]

    return (*ours, siteconfig_tests)


def _get_message(number, module, is_later):
    """Return the commit message of a change, with DEP-3's fields."""
    name = '%04d.txt' % number

    if is_later and number == 1:
        name = '0001-later.txt'

    defects = [
        DEFECTS[name] for name in module.defects if name != 'siteconfig'
    ] if module else ['a reset can be lost, or reach some of the threads only']

    # Those of Django 3.2 and newer have no other Django to speak of.
    defects = [re.sub(r' \(on Django.*', '', defect) if is_later else defect
               for defect in defects]
    has_reported_bug = module and 'none-access' in module.defects

    with open(os.path.join(HERE, 'messages', name), encoding='ascii') as fp:
        text = string.Template(fp.read()).substitute(
            where='' if is_later else ', on Django 1.7 and newer',
            defects='\n'.join('* %s%s.' % (defect[0].upper(), defect[1:])
                              for defect in defects))

    return '%s\n%sOrigin: other\nForwarded: no\nLast-Update: %s\n' % (
        text, 'Bug: https://reviews.reviewboard.org/r/6644/\n'
        if has_reported_bug else '', REVISION_DATE)


def _diff(path, old, new):
    """Return what git says that changes in a file."""
    old_path, head = 'a/' + path, 'index %s..%s 100644'
    old_id, new_id = get_blob_id(old or b''), get_blob_id(new)

    if old is None:
        old_path, head = '/dev/null', 'new file mode 100644\nindex %s..%s'
        old, old_id = b'', '0' * 40

    lines = difflib.unified_diff(
        old.decode('utf-8').splitlines(True),
        new.decode('utf-8').splitlines(True), old_path, 'b/' + path)

    return 'diff --git a/%s b/%s\n%s\n%s' % (
        path, path, head % (old_id, new_id), ''.join(
            line if line.endswith('\n')
            else line + '\n\\ No newline at end of file\n' for line in lines))

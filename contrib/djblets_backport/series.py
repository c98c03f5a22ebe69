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
from .graft import GraftError, graft_module, graft_siteconfig
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
    """
    if MODULE_PATH not in files:
        raise BadInput('there is no %s: give a checkout, unpacked tree or '
                       'archive of Djblets, 0.8.12 or newer' % MODULE_PATH)

    tests_path = (TESTS_PATH if TESTS_PATH + '__init__.py' in files
                  else 'djblets/cache/')

    try:
        grafted = graft_module(
            files[MODULE_PATH].decode('utf-8'),
            _read(PAYLOAD, 'forwarding_backend.py').decode())
        siteconfig = graft_siteconfig(
            files.get(SITECONFIG_PATH, b'').decode('utf-8'))
    except (GraftError, UnicodeDecodeError) as e:
        raise BadInput('its forwarding module %s' % e)

    name = 'test_forwarding_backend.py'
    changes = [{MODULE_PATH: grafted.encode('utf-8')},
               {tests_path + name: _read(PAYLOAD, name)}]

    # On Django 1.6, which 0.8 needs, what siteconfig asks for is right.
    if siteconfig and not (module and module.django == '1.6'):
        name = 'test_forwarding_siteconfig.py'
        changes.append({SITECONFIG_PATH: siteconfig.encode('utf-8'),
                        tests_path + name: _read(PAYLOAD, name)})

    return [Change(_get_message(number, module), change)
            for number, change in enumerate(changes, 1)]


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


def _read(*path):
    """Return the contents of one of our files."""
    with open(os.path.join(*path), 'rb') as fp:
        return fp.read()


def _get_message(number, module):
    """Return the commit message of a change."""
    defects = [DEFECTS[name] for name in module.defects
               if name != 'siteconfig'] if module else [
        'a reset can be lost, or reach some of the threads only']
    text = _read(HERE, 'messages', '%04d.txt' % number).decode('ascii')

    return string.Template(text).substitute(
        date=REVISION_DATE, defects='\n'.join(
            '* %s%s.' % (defect[0].upper(), defect[1:]) for defect in defects))


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

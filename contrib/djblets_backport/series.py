"""Makes the changes to a release, and a series of patches out of them.

The patches are made without git, and the same everywhere. Their ``index``
lines are true, so that git finds what they were made for.
"""

import collections
import datetime
import difflib
import os
import re
import string
import textwrap

from . import BadInput
from .archives import TESTS_PATH
from .check import DEFECTS, MODULE_PATH, SITECONFIG_PATH
from .graft import GraftError, graft_module, graft_siteconfig
from .releases import HERE, REVISION_DATE, find_content, get_blob_id


#: The mail of a commit. The address is one that can't exist.
_PATCH = '''\
From 0000000000000000000000000000000000000000 Mon Sep 17 00:00:00 2001
From: The project's contributors <contributors@djblets-backport.invalid>
Date: %s 00:00:00 +0000
Subject: %s---
%s'''


#: A commit: its message, and the new contents of its files (bytes) by path.
Change = collections.namedtuple('Change', 'message files')


def get_changes(files):
    """Return the changes of the series to a release or tree.

    Args:
        files (dict):
            The contents of the files (bytes), by their names.

    Returns:
        list of Change:
        The changes, in their order.
    """
    if MODULE_PATH not in files:
        raise BadInput('there is no %s: this is no Djblets, or one before '
                       '0.8.12, which has nothing to fix' % MODULE_PATH)

    content = find_content(files[MODULE_PATH])
    tests_path = (TESTS_PATH if TESTS_PATH + '__init__.py' in files
                  else 'djblets/cache/')

    try:
        module = graft_module(files[MODULE_PATH].decode('utf-8'),
                              _read_ours('forwarding_backend.py').decode())
        siteconfig = graft_siteconfig(
            files.get(SITECONFIG_PATH, b'').decode('utf-8'))
    except (GraftError, UnicodeDecodeError) as e:
        raise BadInput('its forwarding module %s' % e)

    name = 'test_forwarding_backend.py'
    changes = [{MODULE_PATH: module.encode('utf-8')},
               {tests_path + name: _read_ours(name)}]

    # On Django 1.6, which 0.8 needs, what siteconfig asks for is right.
    if siteconfig and not (content and content.django == '1.6'):
        name = 'test_forwarding_siteconfig.py'
        changes.append({SITECONFIG_PATH: siteconfig.encode('utf-8'),
                        tests_path + name: _read_ours(name)})

    return [Change(_get_message(number, content), change)
            for number, change in enumerate(changes, 1)]


def make_series(files, changes):
    """Return the patches for changes to files, and the list of them."""
    date = datetime.date.fromisoformat(REVISION_DATE)
    result = {}

    for number, change in enumerate(changes, 1):
        summary = re.sub(r'[^\w.]+', '-', change.message.split('\n')[0])
        diffs = [_diff(path, files.get(path), data)
                 for path, data in sorted(change.files.items())]
        result['%04d-%s.patch' % (number, summary[:52].strip('.-'))] = (
            _PATCH % (date.strftime('%a, %d %b %Y'), change.message,
                      ''.join(diffs))).encode('utf-8')

    result['series'] = ''.join('%s\n' % name for name in result).encode()

    return result


def _read_ours(name):
    """Return one of our modules for Djblets."""
    directory = os.path.join(HERE, 'payload')

    if not os.path.exists(directory):
        # This is a checkout. Otherwise, setup.py has put them there.
        directory = os.path.join(HERE, '..', '..', 'djblets', 'cache')

    with open(os.path.join(directory, name), 'rb') as fp:
        return fp.read()


def _get_message(number, content):
    """Return the commit message of a change."""
    defects = [DEFECTS[name] for name in content.defects
               if name != 'siteconfig'] if content else []
    path = os.path.join(HERE, 'messages', '%04d.txt' % number)

    with open(path, encoding='ascii') as fp:
        return string.Template(fp.read()).substitute(
            date=REVISION_DATE,
            defects='\n'.join(
                textwrap.fill('%s%s.' % (text[0].upper(), text[1:]), 72,
                              initial_indent='* ', subsequent_indent='  ')
                for text in defects or ['A reset can be lost, or reach some '
                                        'of the threads only.']))


def _diff(path, old, new):
    """Return what git says that changes in a file."""
    lines = [
        line if line.endswith('\n')
        else line + '\n\\ No newline at end of file\n'
        for line in difflib.unified_diff(
            (old or b'').decode('utf-8').splitlines(True),
            new.decode('utf-8').splitlines(True),
            'a/' + path if old is not None else '/dev/null', 'b/' + path)
    ]
    mode, ids, mode_after = (
        ('', get_blob_id(old), ' 100644') if old is not None
        else ('new file mode 100644\n', '0' * 40, ''))

    return 'diff --git a/%s b/%s\n%sindex %s..%s%s\n%s' % (
        path, path, mode, ids, get_blob_id(new), mode_after, ''.join(lines))

"""Tells what a server has: which Djblets, what is wrong, whether patched.

This is one file that needs nothing else. It runs on Python 2.7 and on 3, and
may be copied to a server and run there by itself. Djblets is only read.
"""

from __future__ import print_function

import argparse
import collections
import glob
import hashlib
import json
import os
import re
import subprocess
import sys


#: What is wrong with the releases, and mended by the series.
DEFECTS = collections.OrderedDict([
    ('none-access', 'an access during a reset can fail on None (HTTP 500)'),
    ('lost-reset', 'a reset during a load can be lost, with its settings'),
    ('early-close', 'a reset closes the old backend before it has a new one'),
    ('close-error', 'an error from closing the old backend loses the reset'),
    ('handles', 'on Django 1.6, a reset reaches one handle on the cache only'),
    ('no-op-reset', 'on Django 1.7 and newer, a reset does nothing at all'),
    ('one-thread', 'a reset reaches the thread that asks for it only'),
    ('never-closed', 'a replaced backend is never closed'),
    ('deadlock', 'a backend that uses the cache in its constructor hangs'),
    ('truth-test', 'a backend with a length of 0 is loaded at each access'),
    ('recursion', 'an AttributeError in a constructor recurses to the limit'),
    ('settings', 'settings that can\'t be loaded take down what works'),
    ('siteconfig', 'on Django 1.7 and newer, siteconfig never resets'),
])

_COMMON = ' recursion settings'
_OLD = _COMMON + ' early-close truth-test'
_LOCKED = _OLD + ' lost-reset deadlock'

#: What the module has been in the releases, oldest first: its git blob ID,
#: the releases, and the names of their defects.
Content = collections.namedtuple('Content', 'blob releases defects')
CONTENTS = (
    Content('1a0d5a558fc0e4c75094e0cd71ee4f77f9009572', '0.8.12, 0.8.13',
            _OLD + ' none-access close-error handles'),
    Content('22884f0d692e9be7b217344553fabed58cf545fa', '0.8.14 - 0.8.27',
            _LOCKED + ' close-error handles'),
    Content('f95a744944dd25806dc8090c3074ead39b531438', '0.8.28, 0.8.29',
            _LOCKED + ' handles'),
    Content('1a0115f27ea90fa65d6677b0e5cc05c9f616f787', '0.9 - 0.9.4',
            _LOCKED + ' close-error handles siteconfig'),
    Content('c8f90996bdca0ceb413d68c7cc73bfcdd75f4200',
            '0.9.5 - 0.9.9, 1.0 - 1.0.18', _LOCKED + ' handles siteconfig'),
    Content('0940ae0fad4e5122c55257cbf7c460d64f4771a9', '2.0 - 2.3.4',
            _LOCKED + ' handles no-op-reset siteconfig'),
    Content('942e793575be74c0f9f5da6eb709c9e37aaed74f', '3.0 - 4.0',
            _LOCKED + ' no-op-reset siteconfig'),
    Content('3bea8f23f79c7a6daa9ec80cd8f948243fa21b17', '5.0 - 6.1',
            _COMMON + ' one-thread never-closed'),
)

#: What each of these is with the series. "python3 tests/test_check.py" brings
#: them up to date after a change of the module.
PATCHED = (
    '69c759f73d332357307ce45156480bd2b5587b35',
    'de0baf17f68a788b7b9b26748957c5f46992a4a7',
    'de0baf17f68a788b7b9b26748957c5f46992a4a7',
    '38fb23906910423350a06e6fa9320579a3aa1e32',
    '38fb23906910423350a06e6fa9320579a3aa1e32',
    '38fb23906910423350a06e6fa9320579a3aa1e32',
    '5820388e005df46eb9b3a641a7299e8b2c474f40',
    '90a3819a022305811899958e815f8e811a7712b7',
)

#: The revision of the series in PATCHED, and the modules of older ones.
REVISION = 2
SUPERSEDED = {'91ef276430fa40dc8ae085e327d7f92f59b636b3': 1}

MODULE_PATH = 'djblets/cache/forwarding_backend.py'
SITECONFIG_PATH = 'djblets/siteconfig/django_settings.py'

# Prints which file a Python would import, without importing it.
_FIND = '''
import os, sys
sys.path[:] = [path for path in sys.path if path]
try:
    from importlib.util import find_spec
except ImportError:
    import pkgutil
    found = pkgutil.find_loader('djblets')
    print(found and found.get_filename('djblets') or '')
else:
    found = getattr(find_spec('djblets'), 'origin', None) or ''
    sys.stdout.buffer.write(os.fsencode(found) + b'\\n')
'''


class CheckError(Exception):
    """What was to be looked at can't be, and the message says why."""


def check(place):
    """Return what's found.

    Args:
        place (str):
            The directory that has the package ``djblets``.

    Returns:
        dict:
        What's found, as ``--json`` prints it.
    """
    source = _read(place, MODULE_PATH)
    blob = hashlib.sha1(b'blob %d\0' % len(source) + source).hexdigest()
    is_patched = blob in PATCHED
    version = _find_version(place)
    release = re.match(r'[\d.]+(?=$|\+forwarding)', version or '')
    content = next((row for row, patched in zip(CONTENTS, PATCHED)
                    if blob in (row.blob, patched)), None)
    names = content.defects.split() if content else []

    if b"(cache, 'reset_backend')" in _read(place, SITECONFIG_PATH):
        names = [name for name in names if name != 'siteconfig']

    if is_patched:
        names = [name for name in names if name == 'siteconfig']

    if os.path.exists(os.path.join(place, MODULE_PATH + 'c')) and not source:
        status, state = 2, 'there as bytecode alone, which tells nothing'
    elif not source:
        status, state = 0, 'without the module: there is nothing to mend'
    elif is_patched and names:
        status, state = 1, ('half patched: revision %d changes %s, too'
                            % (REVISION, SITECONFIG_PATH))
    elif is_patched:
        status, state = 0, 'patched: it has revision %d' % REVISION
    elif content:
        status, state = 1, ('not patched: its module is that of %s'
                            % content.releases)
    elif blob in SUPERSEDED:
        status, state = 1, ('patched, but revision %d is superseded by %d'
                            % (SUPERSEDED[blob], REVISION))
    else:
        status, state = 2, ('changed: its module, %s, is that of no release '
                            'and of no revision' % blob)

    if not status:
        steps = 'nothing'
    elif release and not _read(place, 'setup.py'):
        steps = ('./contrib/backport build %s with Python 3.8 or newer, on '
                 'any machine; then here pip install --no-deps with the wheel '
                 'that this makes' % release.group())
    else:
        steps = './contrib/backport series --from %s' % _to_text(place)

    return {
        'path': _to_text(os.path.join(place, 'djblets')), 'version': version,
        'blob': blob if source else None, 'status': status, 'state': state,
        'releases': content.releases if content and not is_patched else None,
        'revision': REVISION if is_patched else SUPERSEDED.get(blob),
        'defects': [DEFECTS[name] for name in DEFECTS if name in names],
        'next': steps,
    }


def main(argv=None):
    """Look, and print what's found.

    Args:
        argv (list of str, optional):
            The arguments from the command line.

    Returns:
        int:
        The exit status: 0 if there's nothing to do, 1 if the series is
        needed, and 2 if it can't be told.
    """
    parser = argparse.ArgumentParser(prog='check', description=__doc__[:69])
    group = parser.add_mutually_exclusive_group()
    group.add_argument('path', metavar='PATH', nargs='?',
                       help='a source tree, environment or site-packages')
    group.add_argument('--python', default=sys.executable,
                       help='what this Python would import (default: its own)')
    parser.add_argument('--json', action='store_true', help='print JSON')
    options = parser.parse_args(argv)

    try:
        found = check(_find_path(options.path) if options.path is not None
                      else _find_python(options.python))
    except (CheckError, EnvironmentError) as e:
        print('check: %s' % _to_text('%s' % e), file=sys.stderr)

        return 2

    text = json.dumps(found, indent=2, sort_keys=True)

    if not options.json:
        text = '\n'.join(
            [found['path'], 'Djblets %s is %s.' % (
                found['version'] or 'of an unknown version', found['state'])] +
            ['  * %s' % defect for defect in found['defects']] +
            ['Next: %s.' % found['next']])

        if found['releases'] == CONTENTS[0].releases:
            text += '\n(Upgrading to 0.8.29 would mend the first of these.)'

    encoding = getattr(sys.stdout, 'encoding', None) or 'ascii'
    print(text.encode(encoding, 'backslashreplace').decode(encoding))

    return found['status']


def _to_text(value):
    """Return a path that can be printed, whatever it's made of."""
    if not isinstance(value, bytes):
        value = value.encode('utf-8', 'surrogateescape')

    return value.decode('utf-8', 'replace')


def _find_python(python):
    """Return the directory that a Python would import Djblets from."""
    try:
        process = subprocess.Popen([python, '-c', _FIND],
                                   stdout=subprocess.PIPE,
                                   stderr=subprocess.PIPE)
    except OSError as e:
        raise CheckError('%s cannot be run: %s' % (python, e.strerror))

    output, errors = process.communicate()

    if process.returncode or not output:
        raise CheckError('%s is no Python that works: %s' % (
            python, ' '.join(_to_text(errors).split())))

    path = output.splitlines()[-1]

    if str is not bytes:
        path = os.fsdecode(path)

    if not os.path.isfile(path):
        raise CheckError('%s has no Djblets%s' % (
            python, ' but what is in the archive ' + path if path else ''))

    return os.path.dirname(os.path.dirname(path))


def _find_path(path):
    """Return the directory that Djblets would be imported from in a path."""
    if not os.path.isdir(path):
        raise CheckError('%s is no directory' % path)

    places = []

    for site in glob.glob(os.path.join(path, 'lib*', 'python*',
                                       '*-packages')) + [path]:
        # What easy_install has made comes before what is beside it.
        eggs = _read(site, 'easy-install.pth').decode('utf-8', 'replace')
        places += [egg for egg in glob.glob(os.path.join(site, '*.egg'))
                   if _to_text(os.path.basename(egg)) in eggs] + [site]

    for place in places:
        if os.path.exists(os.path.join(place, 'djblets', '__init__.py')):
            return place

    raise CheckError('%s has no Djblets' % path)


def _read(place, name):
    """Return the contents of a file, empty if there's none."""
    path = os.path.join(place, name)

    if not os.path.isfile(path):
        return b''

    with open(path, 'rb') as fp:
        return fp.read()


def _find_version(place):
    """Return the version of what's in a directory, or None if not told."""
    names = [name for name in sorted(os.listdir(place)) if re.match(
        r'(djblets([-.].*)?\.(dist|egg)|egg)-info$', name, re.I)]

    for name in names + ['']:
        text = b''.join(_read(place, os.path.join(name, file_name))
                        for file_name in ('METADATA', 'PKG-INFO', ''))
        match = re.search(br'^Version: *(\S+)', text, re.M)

        if match:
            return _to_text(match.group(1))

    return None


if __name__ == '__main__':
    sys.exit(main())

"""Tells what a server has: which Djblets, what is wrong, whether patched.

The exit status is 0 if there's nothing to do, 1 if the series is needed, and 2
if it can't be told. This is one file that needs nothing else: it may be copied
to a server, and runs there on Python 2.7 or 3. Djblets is only read.
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
    ('lost-reset', 'a reset while a backend is loading can be lost for good'),
    ('early-close', 'a reset closes the old backend before it has a new one'),
    ('close-error', 'if closing the old backend fails, it is not replaced'),
    ('handles', 'a reset leaves other get_cache() objects on the old backend'),
    ('no-op-reset', 'from Django 1.7 on, a reset keeps the old backend'),
    ('one-thread', 'a reset reaches only the thread that asks for it'),
    ('never-closed', 'a replaced backend is never closed'),
    ('deadlock', 'a backend that uses the cache in its constructor hangs'),
    ('truth-test', 'a backend with a length of 0 is loaded at every access'),
    ('recursion', 'an AttributeError in a constructor recurses to the limit'),
    ('settings', 'a backend that can\'t be built takes down what works'),
    ('siteconfig', 'from Django 1.7 on, siteconfig never asks for a reset'),
])

_OLD = ' recursion early-close truth-test'
_LOCKED = _OLD + ' lost-reset deadlock'

#: What the module has been in the releases, oldest first: its git blob ID,
#: the releases, and the names of their defects.
Content = collections.namedtuple('Content', 'blob releases defects')
CONTENTS = (
    Content('1a0d5a558fc0e4c75094e0cd71ee4f77f9009572', '0.8.12, 0.8.13',
            _OLD + ' none-access close-error handles settings'),
    Content('22884f0d692e9be7b217344553fabed58cf545fa', '0.8.14 - 0.8.27',
            _LOCKED + ' close-error handles settings'),
    Content('f95a744944dd25806dc8090c3074ead39b531438', '0.8.28, 0.8.29',
            _LOCKED + ' handles settings'),
    Content('1a0115f27ea90fa65d6677b0e5cc05c9f616f787', '0.9 - 0.9.4',
            _LOCKED + ' close-error handles settings siteconfig'),
    Content('c8f90996bdca0ceb413d68c7cc73bfcdd75f4200', '0.9.5 - 1.0.18',
            _LOCKED + ' handles settings siteconfig'),
    Content('0940ae0fad4e5122c55257cbf7c460d64f4771a9', '2.0 - 2.3.4',
            _LOCKED + ' handles settings no-op-reset siteconfig'),
    Content('942e793575be74c0f9f5da6eb709c9e37aaed74f', '3.0 - 4.0',
            _LOCKED + ' no-op-reset siteconfig'),
    Content('3bea8f23f79c7a6daa9ec80cd8f948243fa21b17', '5.0 - 6.1',
            'recursion settings one-thread never-closed'),
)

#: These with the series, and what's left without its change of siteconfig.
#: "python3 tests/test_check.py" brings this up to date with the module.
PATCHED = {
    '591a7e6b4525e0b2c9d8bf7f15ce6712ac26d286': '',
    'e44e8caa9d1608bf0ea51034e0a39b4d01f85ede': '',
    'b50371e6d0914bffcc48dbbcd3adc97a69cb05a4': 'siteconfig',
    '9a5db71ed0f65bab3f74a6cfe5566297f9a40501': 'siteconfig',
    '66c38528afc7a0af745b8288457044f235e317c2': '',
}

#: The revision of the series in PATCHED, and the modules of older ones.
REVISION = 2
SUPERSEDED = {'91ef276430fa40dc8ae085e327d7f92f59b636b3': 1}

MODULE_PATH = 'djblets/cache/forwarding_backend.py'
SITECONFIG_PATH = 'djblets/siteconfig/django_settings.py'

# Prints which file a Python would import, without importing it.
_FIND = '''
import os, pkgutil, sys
sys.path[:] = [path for path in sys.path if path]
try:
    from importlib.util import find_spec
    found = getattr(find_spec('djblets'), 'origin', None) or ''
    sys.stdout.buffer.write(os.fsencode(found) + b'\\n')
except ImportError:
    found = pkgutil.find_loader('djblets')
    print(found and found.get_filename('djblets') or '')
'''


def check(place):
    """Return what's found in a directory, as ``--json`` prints it."""
    source = _read(place, MODULE_PATH)
    version = _find_version(place)
    release = re.match(r'[\d.]+(?=$|\+forwarding)', version or '')

    blob, known = get_blob_id(source), get_known_blob_id(source)
    row = next((row for row in CONTENTS if row.blob == known), None)
    revision = REVISION if known in PATCHED else SUPERSEDED.get(blob)
    names = (row.defects if row else PATCHED.get(known, '')).split()

    if b"(cache, 'reset_backend')" in _read(place, SITECONFIG_PATH):
        names = [name for name in names if name != 'siteconfig']

    if not source and os.path.exists(os.path.join(place, MODULE_PATH + 'c')):
        status, state = 2, 'there as bytecode alone, which tells nothing'
    elif not source:
        status, state = 0, 'without the module: there is nothing to mend'
    elif row:
        status, state = 1, 'not patched: its module is that of ' + row.releases
    elif revision == REVISION and names:
        status, state = 1, 'half patched: %s is not' % SITECONFIG_PATH
    elif revision == REVISION:
        status, state = 0, 'patched: it has revision %d' % revision
    elif revision:
        status, state = 1, 'patched, but revision %d is superseded' % revision
    else:
        status, state = 2, ('changed: its module, %s, is of no release and no '
                            'revision, and a wheel would replace it' % blob)

    steps = 'nothing'

    if status and release and not _read(place, 'setup.py'):
        steps = ('with Python 3.8 or newer, ./contrib/backport build %s; then '
                 'here pip install --no-deps with its wheel' % release.group())
    elif status:
        steps = './contrib/backport series --from %s' % _to_text(place)

    return {
        'path': _to_text(os.path.join(place, 'djblets')), 'version': version,
        'blob': blob if source else None, 'status': status, 'state': state,
        'releases': row.releases if row else None, 'revision': revision,
        'defects': [DEFECTS[name] for name in DEFECTS if name in names],
        'next': steps,
    }


def get_blob_id(data):
    """Return the ID that git gives to the contents of a file."""
    return hashlib.sha1(b'blob %d\0' % len(data) + data).hexdigest()


def get_known_blob_id(source):
    """Return the blob ID of a module as a release has it.

    The branches after 6.1 have its module with one more import.
    """
    return get_blob_id(
        re.sub(b'from __future__ import annotations\n+', b'', source))


def main(argv=None):
    """Look, print what's found, and return the exit status."""
    parser = argparse.ArgumentParser(prog='check', description=__doc__)
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
    except EnvironmentError as e:
        print('check: %s' % _to_text('%s' % e), file=sys.stderr)

        return 2

    lines = [found['path'], 'Djblets %s is %s.' % (
        found['version'] or 'of an unknown version', found['state'])]
    lines += ['  * %s' % defect for defect in found['defects']]
    lines += ['Next: %s.' % found['next']]

    if found['releases'] == CONTENTS[0].releases:
        lines += ['(Djblets 0.8.29 ends the HTTP 500s, but can lose resets.)']

    text = (json.dumps(found, indent=2, sort_keys=True) if options.json
            else '\n'.join(lines))
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
        output, errors = process.communicate()
    except OSError as e:
        raise IOError('%s cannot be run: %s' % (python, e.strerror))

    if process.returncode or not output:
        raise IOError('%s is no Python that works: %s' % (
            python, ' '.join(_to_text(errors).split())[-99:]))

    path = getattr(os, 'fsdecode', str)(output.splitlines()[-1])

    if not os.path.isfile(path):
        raise IOError('%s has no Djblets%s' % (
            python, ' but what is in the archive ' + path if path else ''))

    return os.path.dirname(os.path.dirname(path))


def _find_path(path):
    """Return the directory that Djblets would be imported from in a path."""
    if not os.path.isdir(path):
        raise IOError('%s is no directory' % path)

    for site in glob.glob(path + '/lib*/python*/*-packages') + [path]:
        # What easy_install has made comes before what is beside it.
        eggs = _read(site, 'easy-install.pth').decode('utf-8', 'replace')

        for place in glob.glob(os.path.join(site, '*.egg')) + [site]:
            if (_to_text(os.path.basename(place)) in eggs or place == site) \
               and os.path.exists(os.path.join(place, 'djblets/__init__.py')):
                return place

    raise IOError('%s has no Djblets' % path)


def _read(place, name):
    """Return the contents of a file, empty if there's none."""
    path = os.path.join(place, name)

    with open(path if os.path.isfile(path) else os.devnull, 'rb') as fp:
        return fp.read()


def _find_version(place):
    """Return the version of what's in a directory, or None if not told."""
    text = b'\n'.join(
        _read(place, os.path.join(name, file_name))
        for name in sorted(os.listdir(place)) + ['']
        if re.match(r'((djblets([-.].*)?\.(dist|egg)|egg)-info)?$', name, re.I)
        for file_name in ('METADATA', 'PKG-INFO', ''))
    match = re.search(br'^Version: *(\S+)', text, re.M)

    return _to_text(match.group(1)) if match else None


if __name__ == '__main__':
    sys.exit(main())

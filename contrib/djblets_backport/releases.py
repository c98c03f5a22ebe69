"""The releases that have the module, and the contents that it has in them.

``archives.sha256`` lists the official archives: of each release the sdist and
then the wheel, oldest first. ``releases.tsv`` has a row for each content, with
the first release that has it. Its defects are in ``check.py``.
"""

import collections
import csv
import datetime
import os
import re

from . import BadInput
from .check import CONTENTS as KNOWN, DEFECTS, REVISION, get_known_blob_id


#: What the patched wheels have in their version after the release's.
LOCAL = '+forwarding.%d' % REVISION

#: The date of the revision, which all that has to have a date has.
REVISION_DATE = datetime.date(2026, 11, 24)

HERE = os.path.dirname(os.path.abspath(__file__))
ARCHIVES_PATH = os.path.join(HERE, 'archives.sha256')

#: The checkout that this is in, if any. Where it's installed, setup.py has put
#: our modules for Djblets beside it.
CHECKOUT, PAYLOAD = None, os.path.join(HERE, 'payload')

if not os.path.exists(PAYLOAD):
    CHECKOUT = os.path.dirname(os.path.dirname(HERE))
    PAYLOAD = os.path.join(CHECKOUT, 'djblets', 'cache')


#: A content of the module: the git blob ID, the releases, the names of their
#: defects, the Pythons and Djangos that they run on, and the environments in
#: ``tests/tox.ini`` to run them in, the oldest and the newest one first.
Content = collections.namedtuple(
    'Content', 'blob releases defects python django environments')


def get_version(filename):
    """Return the release that an archive is of, given its name."""
    return re.match(r'(?i)djblets-([\d.]*\d)', filename).group(1)


with open(ARCHIVES_PATH, encoding='ascii') as _fp:
    #: The SHA-256s of all official archives, by their names.
    ARCHIVES = {_name: _sum for _sum, _name in map(str.split, _fp)}

#: The archive that each release is built from, its wheel if it has one.
FILENAMES = {get_version(_name): _name for _name in ARCHIVES}

with open(os.path.join(HERE, 'releases.tsv'), encoding='ascii') as _fp:
    _rows = list(csv.DictReader(_fp, delimiter='\t'))

_versions = list(FILENAMES)
_starts = [_versions.index(_row['first']) for _row in _rows] + [None]

#: The contents of the module, oldest first. The newest one goes on.
CONTENTS = [
    Content(_known.blob, _versions[_start:_end],
            [_name for _name in DEFECTS if _name in _known.defects.split()],
            _row['python'], _row['django'], _row['environments'].split())
    for _known, _row, _start, _end in zip(KNOWN, _rows, _starts, _starts[1:])
]

#: The content of each release, oldest first.
RELEASES = {version: content
            for content in CONTENTS for version in content.releases}


def find_release(version):
    """Return the content that the module has in a release."""
    if version in RELEASES:
        return RELEASES[version]

    match = re.match(r'([\d.]*\d)[-_.]?(a|b|c|rc|dev|pre)', version)
    near = re.sub(r'(\.0)+$', '', match.group(1) if match else version)
    near = [name for name in (near, near + '.0') if name in RELEASES]

    raise BadInput('%s is %s; what can be patched is %s' % (
        version, 'a pre-release' if match else 'no known release',
        near[0] if near else 'the final releases from %s to %s ("backport '
        'releases --update" adds newer ones)' % (_versions[0], _versions[-1])))


def find_content(module):
    """Return the content that a module is, or None if it's no release's."""
    blob = get_known_blob_id(module)

    return next((content for content in CONTENTS if content.blob == blob),
                None)

"""The releases that have the module, and the contents that it has in them.

``archives.sha256`` lists the official archives, by release and oldest first.
``releases.tsv`` has a row for each content, which starts with the first
release that has it. Its defects are in ``check.py``.
"""

import collections
import csv
import hashlib
import os
import re

from . import BadInput
from .check import CONTENTS as KNOWN, DEFECTS, REVISION


#: What the patched wheels have in their version after the release's.
LOCAL = '+forwarding.%d' % REVISION

#: The date of the revision, which all that has to have a date has.
REVISION_DATE = '2026-11-24'

HERE = os.path.dirname(os.path.abspath(__file__))

ARCHIVES_PATH = os.path.join(HERE, 'archives.sha256')


#: An official archive.
Archive = collections.namedtuple('Archive', 'version filename sha256')

#: A content of the module: the git blob ID, the releases, the names of their
#: defects, the Pythons and Djangos that they run on, and the environments in
#: ``tests/tox.ini`` to run them in, the oldest and the newest one first.
Content = collections.namedtuple(
    'Content', 'blob releases defects python django environments')


#: All official archives, an sdist for each release and then its wheel.
ARCHIVES = []

#: The contents of the module, oldest first.
CONTENTS = []

with open(os.path.join(HERE, 'releases.tsv'), encoding='ascii') as _fp:
    for _known, _row in zip(KNOWN, csv.DictReader(_fp, delimiter='\t')):
        CONTENTS.append(Content(
            _known.blob, [_row['first']],
            [_name for _name in DEFECTS if _name in _known.defects.split()],
            _row['python'], _row['django'], _row['environments'].split()))

with open(ARCHIVES_PATH, encoding='ascii') as _fp:
    _left = list(CONTENTS)

    for _line in _fp:
        _sha256, _filename = _line.split()
        _version = re.search(r'-([\d.]*\d)', _filename).group(1)
        ARCHIVES.append(Archive(_version, _filename, _sha256))

        if len(_left) > 1 and _version == _left[1].releases[0]:
            del _left[0]
        elif _version not in _left[0].releases:
            _left[0].releases.append(_version)

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

    raise BadInput('%s is %s; what can be patched is %s'
                   % (version, 'a pre-release' if match else 'no release',
                      near[0] if near else 'the final releases from %s to %s'
                      % (ARCHIVES[0].version, ARCHIVES[-1].version)))


def get_blob_id(data):
    """Return the ID that git gives to the contents of a file."""
    return hashlib.sha1(b'blob %d\0' % len(data) + data).hexdigest()


def find_content(module):
    """Return the content that a module is, or None if it's no release's."""
    return next((content for content in CONTENTS
                 if content.blob == get_blob_id(module)), None)

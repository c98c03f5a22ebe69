"""The releases that have the forwarding module, and what it is in them.

``archives.sha256`` lists the official archives that are built from, oldest
first: wheels, and sdists up to 0.8.18. ``releases.tsv`` has a row for each
range of releases that have the same module and run on the same Pythons and
Djangos. Where a row doesn't name the module, it's that of the row above.
"""

import collections
import csv
import datetime
import itertools
import os
import re
from shlex import quote

from . import BadInput, HERE
from .check import REVISION, get_blob_id, normalize


#: What the patched wheels have in their version after the release's.
LOCAL = '+forwarding.%d' % REVISION

#: The date of the revision, which all that has to have a date has.
REVISION_DATE = datetime.date(2026, 11, 27)

ARCHIVES_PATH = os.path.join(HERE, 'archives.sha256')


#: A module: its git blob ID, the versions that have it, the names of their
#: defects, and the Pythons and Djangos that the first of them runs on.
ForwardingModule = collections.namedtuple(
    'ForwardingModule', 'blob_id releases defects python django')

#: A release: its version, its module, the archive that it's built from with
#: the SHA-256 of that, the Pythons and Djangos that it runs on, and the
#: environments in ``tox.ini`` for it, the oldest and the newest one first.
Release = collections.namedtuple(
    'Release', 'version module filename sha256 python django environments')


def get_version(filename):
    """Return the version of the release that an archive is of."""
    return re.match(r'(?i)djblets-([\d.]*\d)', filename).group(1)


def parse_version(version):
    """Return the numbers in the version of a release."""
    return [int(number) for number in version.split('.')]


def make_tables(archives):
    """Return the modules, and the releases by version, both oldest first."""
    filenames = {get_version(name): name for name in archives}
    versions = list(filenames)

    with open(os.path.join(HERE, 'releases.tsv'), encoding='ascii') as fp:
        rows = list(csv.DictReader(fp, delimiter='\t'))

    starts = [versions.index(row['first']) for row in rows]
    modules, releases = [], {}

    # The newest row goes on.
    for row, start, end in zip(rows, starts, starts[1:] + [None]):
        if row['blob']:
            modules.append(ForwardingModule(
                row['blob'], [], row['defects'].split(), row['python'],
                row['django']))

        modules[-1].releases.extend(versions[start:end])

        for version in versions[start:end]:
            name = filenames[version]
            releases[version] = Release(
                version, modules[-1], name, archives[name], row['python'],
                row['django'], row['environments'].split())

    return modules, releases


with open(ARCHIVES_PATH, encoding='ascii') as _fp:
    #: The SHA-256s of the official archives, by their names.
    ARCHIVES = {_name: _sha256 for _sha256, _name in map(str.split, _fp)}

MODULES, RELEASES = make_tables(ARCHIVES)


def get_ranges():
    """Return ranges of releases that are alike: in words, and the first."""
    groups = [list(group) for _, group in itertools.groupby(
        RELEASES.values(), lambda release: (
            release.module.blob_id, release.python, release.django))]

    return [(get_words([release.version for release in group]), group[0])
            for group in groups]


def get_words(versions):
    """Return the first and the last one of versions, in words."""
    return (', '.join(versions) if len(versions) < 3
            else '%s - %s' % (versions[0], versions[-1]))


def find_release(version):
    """Return a release, given its version."""
    if version in RELEASES:
        return RELEASES[version]

    first, *_, last = RELEASES
    numbers = re.match(r'(\d+(\.\d+)*)?', version).group()
    near = re.sub(r'(\.0)+$', '', numbers)
    near = [name for name in (near, near + '.0') if name in RELEASES]
    hint = ''

    if near:
        hint = '; %s is one' % near[0]
    elif numbers and parse_version(numbers) > parse_version(last):
        hint = ' ("releases --update" adds newer ones)'

    raise BadInput('%s is none of the final releases from %s to %s%s'
                   % (quote(version), first, last, hint))


def find_module(source):
    """Return the module of releases that a source (bytes) is, if any.

    It's also found if it's that of a branch that has a release's module with
    one more import.
    """
    blob_id = get_blob_id(normalize(source))

    return next((module for module in MODULES if module.blob_id == blob_id),
                None)

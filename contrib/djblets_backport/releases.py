"""The releases that have the forwarding module, and what it is in them.

``archives.sha256`` lists the official archives: of each release the sdist and
then the wheel, oldest first. ``releases.tsv`` has a row for each range of
releases that have the same module and run on the same Pythons and Djangos.
Where a row doesn't name the module, it's that of the row above.
"""

import collections
import csv
import datetime
import os
import re

from . import BadInput, HERE
from .check import REVISION, get_blob_id, normalize


#: What the patched wheels have in their version after the release's.
LOCAL = '+forwarding.%d' % REVISION

#: The date of the revision, which all that has to have a date has.
REVISION_DATE = datetime.date(2026, 11, 27)

ARCHIVES_PATH = os.path.join(HERE, 'archives.sha256')
RELEASES_PATH = os.path.join(HERE, 'releases.tsv')


#: A module: its git blob ID, the versions that have it, the names of their
#: defects, and the Pythons and Djangos that they run on, in words.
ForwardingModule = collections.namedtuple(
    'ForwardingModule', 'blob_id releases defects python django')

#: A release: its version, its module, the archive that it's built from with
#: the SHA-256 of that, and the environments in ``tox.ini`` that it runs in,
#: the oldest and the newest one first.
Release = collections.namedtuple(
    'Release', 'version module filename sha256 environments')


def get_version(filename):
    """Return the version of the release that an archive is of.

    Args:
        filename (str):
            The name of an official archive.

    Returns:
        str:
        The version.
    """
    return re.match(r'(?i)djblets-([\d.]*\d)', filename).group(1)


def read_archives(path=ARCHIVES_PATH):
    """Return the SHA-256s of all official archives.

    Args:
        path (str, optional):
            The list of them.

    Returns:
        dict:
        The SHA-256s, by the names of the archives.
    """
    with open(path, encoding='ascii') as fp:
        return {name: sha256 for sha256, name in map(str.split, fp)}


def make_tables(archives):
    """Return the modules and the releases.

    Args:
        archives (dict):
            The SHA-256s of all official archives, by their names.

    Returns:
        tuple:
        The list of :py:class:`ForwardingModule`, and the dictionary of
        :py:class:`Release` by version, both oldest first.
    """
    # A wheel comes after its sdist, and is what is built from.
    filenames = {get_version(name): name for name in archives}
    versions = list(filenames)

    with open(RELEASES_PATH, encoding='ascii') as fp:
        rows = list(csv.DictReader(fp, delimiter='\t'))

    starts = [versions.index(row['first']) for row in rows]
    modules, releases = [], {}

    # The newest one goes on.
    for row, start, end in zip(rows, starts, starts[1:] + [None]):
        if row['blob']:
            modules.append(ForwardingModule(
                row['blob'], [], row['defects'].split(), row['python'],
                row['django']))

        for version in versions[start:end]:
            name = filenames[version]
            modules[-1].releases.append(version)
            releases[version] = Release(
                version, modules[-1], name, archives[name],
                row['environments'].split())

    return modules, releases


#: The SHA-256s of all official archives, by their names.
ARCHIVES = read_archives()

MODULES, RELEASES = make_tables(ARCHIVES)


def find_release(version):
    """Return a release.

    Args:
        version (str):
            Its version.

    Returns:
        Release:
        The release.

    Raises:
        BadInput:
            It's none that can be patched.
    """
    if version in RELEASES:
        return RELEASES[version]

    match = re.match(r'([\d.]*\d)[-_.]?(a|b|c|rc|dev|pre)', version)
    near = re.sub(r'(\.0)+$', '', match.group(1) if match else version)
    near = [name for name in (near, near + '.0') if name in RELEASES]
    first, *_, last = RELEASES

    raise BadInput('%s is %s; what can be patched is %s' % (
        version, 'a pre-release' if match else 'no known release',
        near[0] if near else 'the final releases from %s to %s ("backport '
        'releases --update" adds newer ones)' % (first, last)))


def find_module(source):
    """Return the module of releases that a source is.

    Args:
        source (bytes):
            The source of a forwarding module.

    Returns:
        ForwardingModule:
        The module, or ``None`` if the source is that of no release, nor that
        of a branch that has a release's module with one more import.
    """
    blob_id = get_blob_id(normalize(source))

    return next((module for module in MODULES if module.blob_id == blob_id),
                None)

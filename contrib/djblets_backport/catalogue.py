"""The catalogue of all releases that have the module.

What's told by the releases themselves is in ``catalogue.json``, which
:py:func:`update` writes. What had to be found out is in the tables here.
"""

import collections
import json
import os

from packaging.version import InvalidVersion, Version

from .archive import get_blob_id, get_sha256, read_files
from .errors import BackportError


#: The path of the module in all releases.
MODULE_PATH = 'djblets/cache/forwarding_backend.py'

#: The first release that has the module.
FIRST_RELEASE = '0.8.12'

_CATALOGUE_PATH = os.path.join(os.path.dirname(os.path.abspath(__file__)),
                               'catalogue.json')


#: An official archive, and the SHA-256 that it must have.
Archive = collections.namedtuple('Archive', ('filename', 'sha256'))


#: A release: its version, the git blob ID of its module, the path that the
#: tests go to, its sdist, and its wheel or None.
Release = collections.namedtuple(
    'Release', ('version', 'blob', 'tests_path', 'sdist', 'wheel'))


#: What's wrong with the releases, by a short name for each.
DEFECTS = collections.OrderedDict([
    ('none-access',
     'An access during a reset fails on None.'),
    ('lost-reset',
     'A reset that arrives during a load is lost, and so are its settings.'),
    ('early-close',
     'The old backend is closed before the new one is in place.'),
    ('no-op-reset',
     'A reset does nothing from Django 1.7 on.'),
    ('one-thread-reset',
     'A reset reaches the calling thread alone, and closes nothing.'),
    ('stale-handles',
     'On Django 1.6, a reset on one handle leaves the others stale.'),
    ('truth-test',
     'A backend with a length of 0 is loaded again at each access.'),
    ('attribute-error',
     'An AttributeError in a backend\'s constructor recurses without end.'),
    ('deadlock',
     'A backend whose constructor uses the cache hangs for good, as does a '
     'process that is forked during a load.'),
    ('self-forward',
     'An alias that forwards to itself ends in a recursion error.'),
    ('unnoticed-change',
     'A configuration that is changed without a reset is not noticed.'),
    ('broken-configuration',
     'A configuration that cannot be loaded takes down what works.'),
    ('lost-options',
     'Options and attributes set on the forwarding cache do not reach the '
     'backend.'),
])

#: The defects that every content of the module has.
_COMMON_DEFECTS = ('attribute-error', 'self-forward', 'unnoticed-change',
                   'broken-configuration', 'lost-options')

#: The defects of each content of the module, by its git blob ID.
CONTENTS = {}


def _add_content(blob, *defects):
    """Add to the contents of the module.

    Args:
        blob (str):
            The first digits of the git blob ID.

        *defects (tuple):
            The names of the defects, besides those that all have.
    """
    CONTENTS[blob] = tuple(name for name in DEFECTS
                           if name in defects + _COMMON_DEFECTS)


_add_content('1a0d5a55',
             'none-access', 'early-close', 'stale-handles', 'truth-test')

for _blob in ('22884f0d', 'f95a7449', '1a0115f2', 'c8f90996'):
    _add_content(_blob,
                 'lost-reset', 'early-close', 'stale-handles', 'truth-test',
                 'deadlock')

for _blob in ('0940ae0f', '942e7935'):
    _add_content(_blob,
                 'lost-reset', 'no-op-reset', 'deadlock')

_add_content('3bea8f23', 'one-thread-reset')


#: The environments that the releases are run in: the first release of a line,
#: and the names of files in ``environments``. The first of these are for what
#: the releases ask for, from the oldest Python and Django to the newest. The
#: others are for more than that.
LINES = (
    ('0.8.12', ('py27-django16',), ()),
    ('0.9', ('py27-django16', 'py27-django18'), ()),
    ('2.0', ('py27-django111', 'py39-django111'), ('py36-django111',)),
    ('3.0', ('py37-django32', 'py313-django32'), ()),
    ('4.0', ('py38-django32', 'py313-django32'), ()),
    ('5.0', ('py38-django42', 'py311-django42'), ('py313-django52',)),
)


def get_tests_path(names):
    """Return the path that the tests go to.

    Args:
        names (collection of str):
            The names of the files of the release.

    Returns:
        str:
        The path. Where ``djblets.cache.tests`` is a module, a package beside
        it would hide it.
    """
    if 'djblets/cache/tests/__init__.py' in names:
        return 'djblets/cache/tests/test_forwarding_backend.py'

    return 'djblets/cache/test_forwarding_backend.py'


def get_defects(blob):
    """Return the defects of a content of the module.

    Args:
        blob (str):
            The git blob ID of the module.

    Returns:
        tuple of str:
        The names of the defects, or ``None`` if the content isn't known.
    """
    return CONTENTS.get(blob[:8])


def get_environments(version, more=False):
    """Return the names of the environments that a release is run in.

    Args:
        version (str):
            The release.

        more (bool, optional):
            Whether to include those with more than the release asks for, where
            its wheel can't be installed as pip would have it.

    Returns:
        tuple of str:
        The names.
    """
    return [
        environments + (others if more else ())
        for first, environments, others in LINES
        if Version(first) <= Version(version)
    ][-1]


def load():
    """Return the catalogue.

    Returns:
        collections.OrderedDict:
        The releases by version, oldest first.
    """
    try:
        with open(_CATALOGUE_PATH, encoding='utf-8') as fp:
            entries = json.load(fp)
    except FileNotFoundError:
        entries = []

    return collections.OrderedDict(
        (entry['version'],
         Release(version=entry['version'],
                 blob=entry['blob'],
                 tests_path=entry['tests_path'],
                 sdist=Archive(**entry['sdist']),
                 wheel=Archive(**entry['wheel']) if entry['wheel'] else None))
        for entry in entries)


def find_release(version):
    """Return a release.

    Args:
        version (str):
            The version.

    Returns:
        Release:
        The release.

    Raises:
        djblets_backport.errors.BackportError:
            There's no such release, or it's not one that can be mended.
    """
    releases = load()
    release = releases.get(version)

    if release is not None:
        return release

    try:
        wanted = Version(version)
    except InvalidVersion:
        raise BackportError(
            '"%s" is not a release; "releases" lists them' % version)

    newest = list(releases)[-1]

    if wanted < Version(FIRST_RELEASE):
        raise BackportError(
            'Djblets %s has nothing to fix: the forwarding cache backend came '
            'with %s' % (version, FIRST_RELEASE))

    if wanted > Version(newest):
        raise BackportError(
            'Djblets %s is newer than the catalogue, which ends with %s; '
            '"catalogue --update" brings it up to date' % (version, newest))

    raise BackportError('There is no Djblets %s; "releases" lists them all'
                        % version)


def find_content_versions(blob):
    """Return the releases that have a content of the module.

    Args:
        blob (str):
            The git blob ID of the module.

    Returns:
        list of str:
        The versions, oldest first.
    """
    return [
        release.version
        for release in load().values()
        if release.blob == blob
    ]


def _get_archives(links):
    """Return the archives of each final release that may have the module.

    Args:
        links (dict):
            The links to all archives in the registry, by name.

    Returns:
        list of tuple:
        A list of 3-tuples of the version, the name of the sdist and the name
        of the wheel, or ``None``; oldest first.
    """
    archives = {}

    for filename in links:
        if filename.endswith('.whl'):
            version = filename.split('-')[1]
        elif filename.endswith('.tar.gz'):
            version = filename[:-len('.tar.gz')].split('-', 1)[1]
        else:
            continue

        try:
            parsed = Version(version)
        except InvalidVersion:
            continue

        if not parsed.is_prerelease and parsed >= Version(FIRST_RELEASE):
            kind = 'wheel' if filename.endswith('.whl') else 'sdist'
            archives.setdefault(parsed, {'version': version})[kind] = filename

    return [
        (found['version'], found.get('sdist'), found.get('wheel'))
        for _, found in sorted(archives.items())
    ]


def update(registry, progress):
    """Write the catalogue anew, from what's in the registry.

    Args:
        registry (djblets_backport.archive.Registry):
            The package registry.

        progress (djblets_backport.progress.Progress):
            What shows the progress.

    Returns:
        list of str:
        What changed, a line for each release.

    Raises:
        djblets_backport.errors.BackportError:
            A release could not be fetched or has no module.
    """
    old = load()
    links = registry.get_links()
    entries = []
    changes = []

    for version, sdist_name, wheel_name in _get_archives(links):
        if not sdist_name:
            changes.append('%s: left out, since it has no sdist' % version)
            continue

        archives = {}
        contents = {}

        for kind, filename in (('sdist', sdist_name), ('wheel', wheel_name)):
            if filename is None:
                archives[kind] = None
                continue

            path = registry.fetch(filename, None, progress)
            files = read_files(path)
            archives[kind] = {
                'filename': filename,
                'sha256': get_sha256(path),
            }

            if MODULE_PATH not in files:
                raise BackportError('%s has no %s' % (filename, MODULE_PATH))

            contents[kind] = (get_blob_id(files[MODULE_PATH]),
                              get_tests_path(files))

        if len(set(contents.values())) != 1:
            raise BackportError('%s and %s are not alike'
                                % (sdist_name, wheel_name))

        blob, tests_path = contents['sdist']
        entry = {
            'version': version,
            'blob': blob,
            'tests_path': tests_path,
            'sdist': archives['sdist'],
            'wheel': archives['wheel'],
        }
        entries.append(entry)
        before = old.pop(version, None)

        if get_defects(blob) is None:
            changes.append(
                '%s: its module has a new content, %s, whose defects have to '
                'be found out' % (version, blob))
        elif before is None:
            changes.append('%s: added' % version)

        if before is not None:
            was = json.loads(json.dumps({
                'version': before.version,
                'blob': before.blob,
                'tests_path': before.tests_path,
                'sdist': before.sdist._asdict(),
                'wheel': before.wheel and before.wheel._asdict(),
            }))

            changes.extend(
                '%s: %s was %s, is %s' % (version, key, was[key], entry[key])
                for key in entry
                if was[key] != entry[key])

    changes.extend('%s: no longer in the registry' % version
                   for version in old)
    temp_path = '%s.%d.tmp' % (_CATALOGUE_PATH, os.getpid())

    try:
        with open(temp_path, 'w', encoding='utf-8') as fp:
            json.dump(entries, fp, indent=1)
            fp.write('\n')

        os.rename(temp_path, _CATALOGUE_PATH)
    except OSError as e:
        raise BackportError('The catalogue cannot be written: %s' % e)
    finally:
        if os.path.exists(temp_path):
            os.unlink(temp_path)

    return changes

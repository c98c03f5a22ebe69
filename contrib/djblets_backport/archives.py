"""Gets the official archives with pip, checks them and reads what's in them.

Nothing in an archive is unpacked or run by us: it's read into memory.
"""

import hashlib
import itertools
import logging
import os
import re
import subprocess
import sys
import tarfile
import tempfile
import zipfile

from . import BackportError, BadInput
from .check import MODULE_PATH, SITECONFIG_PATH
from .releases import (ARCHIVES, ARCHIVES_PATH, CHECKOUT, CONTENTS, FILENAMES,
                       RELEASES, find_content, find_release, get_version)


logger = logging.getLogger(__name__)


#: Where the tests go, from Djblets 1.0 on.
TESTS_PATH = 'djblets/cache/tests/'


def fetch(version, progress=logger.info):
    """Return the files of the official archive of a release.

    Args:
        version (str):
            The release.

        progress (callable, optional):
            What is called with a line of text before a step that takes long.

    Returns:
        dict:
        The contents of the files (bytes), by their names. They are as in a
        wheel, also where there's only an sdist.
    """
    find_release(version)
    filename = FILENAMES[version]
    cache = os.environ.get('XDG_CACHE_HOME') or os.path.expanduser('~/.cache')
    directory = (os.path.join(CHECKOUT, 'build', 'archives') if CHECKOUT
                 else os.path.join(cache, 'djblets-backport'))
    path = os.path.join(directory, filename)

    if not os.path.exists(path) or _get_sha256(path) != ARCHIVES[filename]:
        progress('Downloading %s' % filename)
        _download(filename, directory, ' --hash=sha256:' + ARCHIVES[filename])

    return read(path)


def find_version(path):
    """Return the release that an archive is the official one of."""
    sha256 = _get_sha256(path)
    expected = ARCHIVES.get(os.path.basename(path), sha256)

    if sha256 != expected:
        raise BadInput('%s is truncated or altered: its SHA-256 is %s, and '
                       'should be %s' % (path, sha256, expected))

    for version, filename in FILENAMES.items():
        if ARCHIVES[filename] == sha256:
            return version

    raise BadInput('%s is no official archive that can be patched: give the '
                   'wheel of a release, or up to 0.8.18 its sdist' % path)


def read(path):
    """Return the files of an sdist, wheel, unpacked tree or checkout.

    Their names are as in a wheel. Of a tree, only some are read.
    """
    if os.path.isdir(path):
        return _read_tree(path)

    try:
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                files = {name: archive.read(name)
                         for name in archive.namelist()}
        else:
            with tarfile.open(path) as archive:
                files = {member.name: archive.extractfile(member).read()
                         for member in archive if member.isreg()}
                # The checksum is in what comes after the last file.
                archive.fileobj.read()
    except Exception as e:
        # There's no end to what these may raise for a file that's damaged.
        raise BadInput('%s is missing, damaged, or neither an sdist nor a '
                       'wheel: %s' % (path, str(e).split(':\n')[0]))

    # Most have a directory of their own in them, whatever its name.
    root = min((name[:-len(MODULE_PATH)] for name in files
                if name.endswith(MODULE_PATH)), key=len, default='')
    files = {name[len(root):]: data for name, data in files.items()
             if name.startswith(root)}

    return _convert_sdist(files) if 'PKG-INFO' in files else files


def update():
    """Add new releases to our list, and generate lines on what was done."""
    output = _run_pip('index', 'versions', 'djblets')
    versions = re.search('versions: (.*)', output).group(1).split(', ')

    # The newest one comes first. The oldest ones don't have the module.
    new = itertools.takewhile(lambda name: name not in RELEASES, versions)

    for version in reversed(list(new)):
        logger.info('Downloading %s' % version)

        with tempfile.TemporaryDirectory() as temp_dir:
            paths = [_download('djblets-' + version + end, temp_dir)
                     for end in ('.tar.gz', '-py3-none-any.whl')]

            if find_content(read(paths[1])[MODULE_PATH]) is not CONTENTS[-1]:
                raise BackportError('%s has a new content, which needs rows '
                                    'in releases.tsv and check.py' % version)

            with open(ARCHIVES_PATH, 'a', encoding='ascii') as fp:
                for path in paths:
                    print(_get_sha256(path), os.path.basename(path),
                          sep='  ', file=fp)

        yield '%s was added. check.py has to tell it, too.' % version


def _read_tree(path):
    """Return the files of a tree that the series is about."""
    files = {}

    for name in (MODULE_PATH, SITECONFIG_PATH, TESTS_PATH + '__init__.py'):
        if os.path.exists(os.path.join(path, name)):
            with open(os.path.join(path, name), 'rb') as fp:
                # As git has it, whatever a checkout made of the line ends.
                files[name] = fp.read().replace(b'\r\n', b'\n')

    return files


def _get_sha256(path):
    """Return the SHA-256 of a file."""
    try:
        with open(path, 'rb') as fp:
            return hashlib.sha256(fp.read()).hexdigest()
    except OSError as e:
        raise BadInput('%s cannot be read: %s' % (path, e.strerror))


def _download(filename, directory, hashes=''):
    """Download an official archive, and return its path."""
    options = ['--no-binary', 'djblets']

    if filename.endswith('.whl'):
        options = ['--only-binary', ':all:', '--implementation', 'py',
                   '--abi', 'none', '--platform', 'any', '--python-version',
                   '2.7' if '-py2' in filename else '3.13']

    os.makedirs(directory, exist_ok=True)

    with tempfile.TemporaryDirectory(prefix='.', dir=directory) as temp_dir:
        requirement = os.path.join(temp_dir, 'requirement.txt')
        archives = os.path.join(temp_dir, 'archives')

        with open(requirement, 'w', encoding='ascii') as fp:
            fp.write('Djblets==%s%s\n' % (get_version(filename), hashes))

        _run_pip('download', '--no-deps', *options, '-r', requirement,
                 '-d', archives)
        name, = os.listdir(archives)
        os.replace(os.path.join(archives, name), os.path.join(directory, name))

    return os.path.join(directory, name)


def _run_pip(*args):
    """Run the user's own pip, and return what it prints."""
    process = subprocess.run(
        [sys.executable, '-m', 'pip', '--disable-pip-version-check', *args],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, encoding='utf-8', errors='backslashreplace')

    if process.returncode:
        reasons = (re.findall(r'(?mi)^ *ERROR: *(.*)$', process.stdout) or
                   process.stdout.split('\n'))
        raise BackportError(
            'pip cannot get Djblets: %s Set pip up for your registry, proxy '
            'or mirror, or give the official archive with --from.'
            % reasons[0])

    return process.stdout


def _convert_sdist(files):
    """Return the files of an sdist as its wheel would have them.

    That's for 0.8.12 to 0.8.18, which have none. Their setup.py isn't run,
    which needs the Python and packages of its time.
    """
    pkg_info = files['PKG-INFO'].decode('utf-8')
    name, version = (re.search(r'(?m)^%s: (\S+)' % field, pkg_info).group(1)
                     for field in ('Name', 'Version'))
    requires = files.get('%s.egg-info/requires.txt' % name, b'').decode()
    metadata = re.sub(
        '^Metadata-Version: 1.*', 'Metadata-Version: 2.1', pkg_info.replace(
            '\nVersion: ' + version, '\nVersion: ' + version + ''.join(
                '\nRequires-Dist: ' + line for line in requires.split()), 1))
    info = '%s-%s.dist-info/' % (name, version)

    return {
        **{path: data for path, data in files.items()
           if path.startswith('djblets/')},
        info + 'METADATA': metadata.encode('utf-8'),
        info + 'WHEEL': b'Wheel-Version: 1.0\nRoot-Is-Purelib: true\n'
                        b'Tag: py2-none-any\n',
        info + 'top_level.txt': b'djblets\n',
    }

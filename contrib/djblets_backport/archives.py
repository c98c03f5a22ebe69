"""Gets the official archives with pip, checks them and reads what's in them.

Nothing in an archive is unpacked or run by us: it's read into memory.
"""

import hashlib
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
from .releases import (ARCHIVES, ARCHIVES_PATH, CONTENTS, HERE, find_content,
                       find_release)


logger = logging.getLogger(__name__)


#: Where the tests go, from Djblets 1.0 on.
TESTS_PATH = 'djblets/cache/tests/'


#: What pip has to be told to bring an archive, by the Python in its name.
_PIP_OPTIONS = {
    None: ['--no-binary', 'djblets'],
    'py2': ['--only-binary', ':all:', '--python-version', '2.7',
            '--implementation', 'py', '--abi', 'none', '--platform', 'any'],
    'py3': ['--only-binary', ':all:', '--python-version', '3.13'],
}


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
    archive = [item for item in ARCHIVES if item.version == version][-1]
    directory = os.path.join(HERE, '..', '..', 'build', 'archives')

    if os.path.exists(os.path.join(HERE, 'payload')):
        # This is no checkout.
        directory = os.path.join(os.path.expanduser(os.environ.get(
            'XDG_CACHE_HOME') or '~/.cache'), 'djblets-backport')

    path = os.path.join(os.path.normpath(directory), archive.filename)

    if not os.path.exists(path) or _get_sha256(path) != archive.sha256:
        progress('Downloading %s' % archive.filename)
        _download(archive.filename, os.path.dirname(path),
                  ' --hash=sha256:' + archive.sha256)

    return read(path)


def find_version(path):
    """Return the release that an archive is the official one of."""
    sha256 = _get_sha256(path)

    for archive in ARCHIVES:
        if archive.sha256 == sha256:
            return archive.version

    for archive in ARCHIVES:
        if archive.filename == os.path.basename(path):
            raise BadInput('%s is truncated or altered: its SHA-256 is %s, '
                           'and should be %s' % (path, sha256, archive.sha256))

    raise BadInput('%s is no official archive of a release that can be '
                   'patched; "backport series" takes others' % path)


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

    # An sdist has a directory of its own in it.
    if not any(name.startswith('djblets/') for name in files):
        files = {name.partition('/')[2]: data for name, data in files.items()}

    return _convert_sdist(files) if 'PKG-INFO' in files else files


def update():
    """Add new releases to our list, and return lines on what was done."""
    output = _run_pip('index', 'versions', 'djblets')
    versions = re.search('versions: (.*)', output).group(1).split(', ')
    lines = []

    # The newest one comes first.
    for version in versions[:versions.index(ARCHIVES[-1].version)][::-1]:
        logger.info('Downloading %s' % version)

        with tempfile.TemporaryDirectory() as temp_dir:
            paths = [_download('djblets-' + version + end, temp_dir)
                     for end in ('.tar.gz', '-py3-none-any.whl')]

            if find_content(read(paths[1])[MODULE_PATH]) is not CONTENTS[-1]:
                return lines + ['%s has a new content, which needs rows in '
                                'releases.tsv and check.py.' % version]

            with open(ARCHIVES_PATH, 'a', encoding='ascii') as fp:
                fp.writelines('%s  %s\n' % (_get_sha256(path),
                                            os.path.basename(path))
                              for path in paths)

        lines.append('%s was added. check.py has to tell it, too.' % version)

    return lines or ['Nothing is new.']


def _read_tree(path):
    """Return the files of a tree that the series is about."""
    if os.path.isdir(os.path.join(path, 'objects')):
        raise BadInput('%s is a git directory without files: give a checkout, '
                       'as "git clone -b BRANCH %s DIR" makes one'
                       % (path, path))

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
    version, python = re.match(r'djblets-([\d.]*\d)(?:-(py\d))?', filename,
                               re.IGNORECASE).groups()
    os.makedirs(directory, exist_ok=True)

    with tempfile.TemporaryDirectory(prefix='.', dir=directory) as temp_dir:
        requirement = os.path.join(temp_dir, 'requirement.txt')
        archives = os.path.join(temp_dir, 'archives')

        with open(requirement, 'w', encoding='ascii') as fp:
            fp.write('Djblets==%s%s\n' % (version, hashes))

        _run_pip('download', '--no-deps', '-r', requirement, '-d', archives,
                 *_PIP_OPTIONS[python])
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
    """Return the files of an sdist as its wheel has them.

    Its setup.py isn't run, which needs the Python and packages of its time.
    """
    pkg_info = files['PKG-INFO'].decode('utf-8')
    name, version = (re.search(r'(?m)^%s: (\S+)' % field, pkg_info).group(1)
                     for field in ('Name', 'Version'))
    fields = '\nVersion: ' + version
    condition = ''

    for line in b''.join(
            data for path, data in files.items()
            if path.endswith('.egg-info/requires.txt')).decode().split('\n'):
        if line.startswith('['):
            extra, _, marker = line[1:-1].partition(':')
            condition = '; ' + (marker or 'extra == "%s"' % extra)
        elif line:
            fields += '\nRequires-Dist: %s%s' % (line, condition)

    pkg_info = re.sub('^Metadata-Version: 1.*', 'Metadata-Version: 2.1',
                      pkg_info.replace('\nVersion: ' + version, fields, 1))
    wheel = 'Wheel-Version: 1.0\nRoot-Is-Purelib: true\n' + ''.join(
        'Tag: py%s-none-any\n' % python
        for python in {'0': '2', '1': '2', '2': '23'}.get(version[0], '3'))
    info = '%s-%s.dist-info/' % (name, version)
    result = {path: data for path, data in files.items()
              if path.startswith('djblets/')}
    result[info + 'METADATA'] = pkg_info.encode('utf-8')
    result[info + 'WHEEL'] = wheel.encode('ascii')
    result[info + 'top_level.txt'] = b'djblets\n'

    return result

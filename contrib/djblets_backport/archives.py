"""Gets the official archives with pip, checks them and reads what's in them.

Nothing in an archive is unpacked or run by us: it's read into memory.
"""

import collections
import hashlib
import logging
import os
import re
import shutil
import stat
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from shlex import quote

from . import BackportError, BadInput, CHECKOUT, HERE
from .check import MODULE_PATH, SITECONFIG_PATH, TESTS_PATH
from .environments import get_reason
from .releases import ARCHIVES, RELEASES, get_version


logger = logging.getLogger(__name__)


#: What's in an archive: its path, the contents of the files (bytes), and their
#: modes as a zip file has them. Both are by name, and as in a wheel.
Archive = collections.namedtuple('Archive', 'path files modes')


def fetch(release, progress=logger.info):
    """Return what's in the official archive of a release, its wheel if any.

    Before a download, progress is called with a line of text.
    """
    cache = os.environ.get('XDG_CACHE_HOME') or os.path.expanduser('~/.cache')
    directory = (os.path.join(CHECKOUT, 'build', 'archives') if CHECKOUT
                 else os.path.join(cache, 'djblets-backport'))
    path = os.path.join(directory, release.filename)

    if not os.path.exists(path) or get_sha256(path) != release.sha256:
        progress('Downloading %s' % release.filename)
        download(release.filename, directory, release.sha256)

    return read(path)


def identify(path):
    """Return the release that an archive is the official one of."""
    sha256 = get_sha256(path)
    expected = ARCHIVES.get(os.path.basename(path), sha256)

    if sha256 != expected:
        raise BadInput('%s is truncated or altered: its SHA-256 is %s, and '
                       'should be %s' % (quote(path), sha256, expected))

    for release in RELEASES.values():
        if release.sha256 == sha256:
            return release

    raise BadInput('%s is no official archive that a wheel is made of: give '
                   'the wheel of a release, or up to 0.8.18 its sdist. Of any '
                   'other, "series --from" makes the series alone'
                   % quote(path))


def read(path):
    """Return what's in an sdist, wheel, unpacked tree or checkout.

    Of a tree, that's only what the series is about.
    """
    if os.path.isdir(path):
        return _read_tree(path)

    try:
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                members = {
                    member.filename: (archive.read(member),
                                      member.external_attr >> 16)
                    for member in archive.infolist()
                }
        else:
            with tarfile.open(path) as archive:
                members = {
                    member.name: (archive.extractfile(member).read(),
                                  stat.S_IFREG | member.mode)
                    for member in archive if member.isreg()
                }
                # The checksum is in what comes after the last file.
                archive.fileobj.read()
    except Exception as e:
        # There's no end to what these may raise for a file that's damaged.
        raise BadInput('%s is missing, damaged, or neither an sdist nor a '
                       'wheel: %s' % (quote(path), str(e).split(':\n')[0]))

    # Most have a directory of their own in them, whatever its name.
    root = min((name[:-len(MODULE_PATH)] for name in members
                if name.endswith(MODULE_PATH)), key=len, default='')
    members = {name[len(root):]: member for name, member in members.items()
               if name.startswith(root)}
    files = {name: data for name, (data, _) in members.items()}
    modes = {name: mode for name, (_, mode) in members.items()}

    return Archive(path, _convert_sdist(files) if 'PKG-INFO' in files
                   else files, modes)


def _read_tree(path):
    """Return what's in a tree that the series is about."""
    files = {}

    for name in (MODULE_PATH, SITECONFIG_PATH, TESTS_PATH + '__init__.py'):
        if os.path.exists(os.path.join(path, name)):
            with open(os.path.join(path, name), 'rb') as fp:
                # As git has it, whatever a checkout made of the line ends.
                files[name] = fp.read().replace(b'\r\n', b'\n')

    return Archive(path, files, {})


def get_sha256(path):
    """Return the SHA-256 of a file."""
    try:
        with open(path, 'rb') as fp:
            return hashlib.sha256(fp.read()).hexdigest()
    except OSError as e:
        raise BadInput('%s cannot be read: %s' % (quote(path), e.strerror))


def download(filename, directory, sha256=None):
    """Download an official archive to a directory, and return its path."""
    try:
        os.makedirs(directory, exist_ok=True)

        with tempfile.TemporaryDirectory(prefix='.', dir=directory) as path:
            requirement = os.path.join(path, 'requirement.txt')

            with open(requirement, 'w', encoding='ascii') as fp:
                fp.write('Djblets==%s%s' % (
                    get_version(filename),
                    ' --hash=sha256:' + sha256 if sha256 else ''))

            archives = os.path.join(path, 'archives')
            _run_pip_download(filename, path, '-r', requirement,
                              '-d', archives)
            name, = os.listdir(archives)
            result = os.path.join(directory, name)
            os.replace(os.path.join(archives, name), result)
    except OSError as e:
        raise BackportError('archives are kept in %s, which cannot be written '
                            'to: %s' % (quote(directory), e.strerror))

    return result


def run_pip(*args, **env):
    """Run the user's own pip, and return what it prints."""
    # Nothing is installed, so what's about that doesn't apply.
    env = {**os.environ, 'PIP_CONSTRAINT': os.devnull,
           'PIP_REQUIRE_VIRTUALENV': '0',
           'PIP_IGNORE_REQUIRES_PYTHON': '1', **env}
    process = subprocess.run(
        [sys.executable, '-m', 'pip', '--disable-pip-version-check', *args],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, env=env,
        stderr=subprocess.STDOUT, encoding='utf-8', errors='backslashreplace')

    if process.returncode == 0:
        return process.stdout

    reason = get_reason(process.stdout)

    if 'No module named pip' in reason:
        todo = '"python3 -m ensurepip" or your system\'s python3-pip brings it'
    elif 'No space left' in reason:
        todo = 'Make room'
    else:
        todo = 'Set pip up for your registry, proxy or mirror'

    raise BackportError('pip cannot get Djblets: %s. %s, or do without pip: '
                        'give the official archive with --from'
                        % (reason, todo))


def _run_pip_download(filename, directory, *args):
    """Have pip download an official archive, and nothing of it run."""
    if filename.endswith('.whl'):
        return run_pip(
            'download', '--no-deps', '--only-binary', ':all:',
            '--implementation', 'py', '--abi', 'none', '--platform', 'any',
            '--python-version', '2.7' if '-py2' in filename else '3.13', *args)

    # It would take setuptools to have the metadata. It shall take ours.
    package = os.path.join(directory, 'setuptools')
    os.mkdir(package)
    open(os.path.join(package, '__init__.py'), 'w').close()
    shutil.copy(os.path.join(HERE, 'no_build.py'),
                os.path.join(package, 'build_meta.py'))
    paths = [directory, *os.environ.get('PYTHONPATH', '').split(os.pathsep)]

    return run_pip('download', '--no-deps', '--no-binary', 'djblets',
                   '--no-build-isolation', *args, PIP_USE_PEP517='1',
                   PYTHONPATH=os.pathsep.join(filter(None, paths)))


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

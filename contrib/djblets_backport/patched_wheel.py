"""Makes a patched wheel out of an official wheel or sdist.

The wheel is the official one but for our two modules, and a local version
that tells them apart. Since it has to be the same on every machine, all dates
and modes are fixed. It isn't compressed, as zlib's output is not the same
everywhere.
"""

import os
import re
import zipfile

from wheel.metadata import generate_requirements, split_sections
from wheel.wheelfile import WheelFile

from . import REVISION, REVISION_DATE
from .catalogue import MODULE_PATH
from .errors import BackportError
from .series import check_module, read_payload


#: Drafts of the metadata that nothing reads. They have the version in them.
_UNUSED_METADATA = ('metadata.json', 'pydist.json')

_WHEEL_METADATA = '''\
Wheel-Version: 1.0
Generator: djblets-backport
Root-Is-Purelib: true
Tag: py2-none-any
'''


def get_local_version(version):
    """Return the version of a release with the series applied.

    Args:
        version (str):
            The release.

    Returns:
        str:
        The version, with PEP 440's local part.
    """
    return '%s+forwarding.%d' % (version, REVISION)


def get_wheel_name(release):
    """Return the name of the patched wheel of a release.

    Args:
        release (djblets_backport.catalogue.Release):
            The release.

    Returns:
        str:
        The name of the file.
    """
    if release.wheel is None:
        name, tags = release.sdist.filename.split('-')[0], 'py2-none-any.whl'
    else:
        name, _, tags = release.wheel.filename.split('-', 2)

    return '%s-%s-%s' % (name, get_local_version(release.version), tags)


def _convert_sdist(files):
    """Return the files of the wheel that an sdist would give.

    Args:
        files (dict):
            The contents of the sdist's files, by name.

    Returns:
        tuple:
        A 2-tuple of the contents of the wheel's files other than its metadata
        (dict), and of its metadata (dict).
    """
    info = next(name.partition('/')[0] for name in files
                if name.endswith('.egg-info/PKG-INFO'))
    requires = files.get('%s/requires.txt' % info, b'').decode('utf-8')
    fields = []

    for extra, requirements in split_sections(requires):
        fields += generate_requirements({extra: requirements})

    # The description that it ends with can take several, indented lines.
    pkg_info = files['%s/PKG-INFO' % info].decode('utf-8').rstrip('\n')
    pkg_info = re.sub('^Metadata-Version: .*', 'Metadata-Version: 2.1',
                      pkg_info)
    pkg_info += ''.join('\n%s: %s' % field for field in fields) + '\n'

    return (
        {
            name: data
            for name, data in files.items()
            if name.startswith('djblets/')
        },
        {
            'METADATA': pkg_info.encode('utf-8'),
            'WHEEL': _WHEEL_METADATA.encode('utf-8'),
            'top_level.txt': files['%s/top_level.txt' % info],
        })


def _split_wheel(files):
    """Return the files of a wheel.

    Args:
        files (dict):
            The contents of all files, by name.

    Returns:
        tuple:
        A 2-tuple of the contents of its files other than the metadata (dict),
        and of its metadata (dict).
    """
    info = next(name.partition('/')[0] for name in files
                if name.endswith('.dist-info/WHEEL'))

    return (
        {
            name: data
            for name, data in files.items()
            if not name.startswith('%s/' % info)
        },
        {
            name.partition('/')[2]: data
            for name, data in files.items()
            if (name.startswith('%s/' % info) and
                name != '%s/RECORD' % info and
                name.partition('/')[2] not in _UNUSED_METADATA)
        })


def make_wheel(release, files, where, directory):
    """Write the patched wheel of a release.

    Args:
        release (djblets_backport.catalogue.Release):
            The release.

        files (dict):
            The contents of the files of the official wheel, or of the sdist
            where there's no wheel.

        where (str):
            Where the files are from.

        directory (str):
            The directory to write it to.

    Returns:
        str:
        The name of the wheel.

    Raises:
        djblets_backport.errors.BackportError:
            The module was modified.
    """
    check_module(files[MODULE_PATH], where)

    if release.wheel is None:
        contents, metadata = _convert_sdist(files)
    else:
        contents, metadata = _split_wheel(files)

    contents[MODULE_PATH] = read_payload('forwarding_backend.py')
    contents[release.tests_path] = read_payload('test_forwarding_backend.py')

    local_version = get_local_version(release.version).encode('ascii')
    metadata['METADATA'], count = re.subn(
        br'\A(.*?^Version: )%s(\r?)$' % re.escape(
            release.version.encode('ascii')),
        br'\g<1>%s\2' % local_version,
        metadata['METADATA'], count=1, flags=re.DOTALL | re.MULTILINE)

    if not count:
        raise BackportError('%s is not version %s'
                            % (where, release.version))

    filename = get_wheel_name(release)
    info = '%s.dist-info' % '-'.join(filename.split('-')[:2])
    entries = sorted(contents.items()) + [
        ('%s/%s' % (info, name), data)
        for name, data in sorted(metadata.items())
    ]
    _write(os.path.join(directory, filename), entries)

    return filename


def _write(path, entries):
    """Write a wheel.

    Args:
        path (str):
            The path of the wheel.

        entries (list of tuple):
            The names and contents of the files.
    """
    date = tuple(int(part) for part in REVISION_DATE.split('-')) + (0, 0, 0)

    def _get_info(name):
        info = zipfile.ZipInfo(name, date)
        info.compress_type = zipfile.ZIP_STORED
        info.create_system = 3
        info.external_attr = 0o100644 << 16

        return info

    class FixedWheelFile(WheelFile):
        """A wheel whose RECORD has the same date and mode as the rest."""

        def writestr(self, name, data, compress_type=None):
            """Write a file.

            Args:
                name (str):
                    The name of the file.

                data (bytes):
                    Its contents.

                compress_type (int, optional):
                    How it's compressed, if not as others are.
            """
            if not isinstance(name, zipfile.ZipInfo):
                name = _get_info(name)

            super(FixedWheelFile, self).writestr(name, data, compress_type)

    with FixedWheelFile(path, 'w', zipfile.ZIP_STORED) as wheel:
        for name, data in entries:
            wheel.writestr(name, data)

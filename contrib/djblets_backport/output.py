"""Writes what's made, so that a final name never holds anything partial.

Each release has a directory of its own in the output directory. It's written
under another name beside it, and takes the final name when it's complete.
"""

import contextlib
import fcntl
import fnmatch
import os
import shutil
import tempfile

from .archive import get_sha256
from .bootstrap import hold_lock
from .errors import BackportError


CHECKSUMS = 'SHA256SUMS'

SERIES_PATTERNS = ('*.patch', 'series')
WHEEL_PATTERNS = ('*.whl',)

_TEMP_PREFIX = '.djblets-backport-'


def read_checksums(directory):
    """Return the checksums of a build.

    Args:
        directory (str):
            The directory of the build.

    Returns:
        dict:
        The SHA-256 of each file by name, or ``None`` if it's no build.
    """
    try:
        with open(os.path.join(directory, CHECKSUMS), encoding='ascii') as fp:
            return {
                name: sha256
                for sha256, name in (line.rstrip('\n').split('  ', 1)
                                     for line in fp)
            }
    except (FileNotFoundError, NotADirectoryError):
        return None
    except ValueError:
        raise BackportError('%s is not a list of checksums'
                            % os.path.join(directory, CHECKSUMS))


def check_build(directory):
    """Check that a build is as it was written.

    Args:
        directory (str):
            The directory of the build.

    Returns:
        dict:
        The SHA-256 of each file by name.

    Raises:
        djblets_backport.errors.BackportError:
            Something was added, removed or changed.
    """
    checksums = read_checksums(directory)

    if checksums is None:
        raise BackportError('%s is not a build: it has no %s'
                            % (directory, CHECKSUMS))

    present = set(os.listdir(directory)) - {CHECKSUMS}

    for name in sorted(present | set(checksums)):
        path = os.path.join(directory, name)

        if name not in checksums:
            raise BackportError('%s is not of this build' % path)

        if name not in present or get_sha256(path) != checksums[name]:
            raise BackportError('%s was %s since it was built'
                                % (path, 'changed' if name in present
                                   else 'removed'))

    return checksums


def _remove_left_behind(directory):
    """Remove what runs that were killed have left behind.

    Args:
        directory (str):
            The output directory, which is locked.
    """
    for name in os.listdir(directory):
        if name.startswith(_TEMP_PREFIX):
            path = os.path.join(directory, name)

            try:
                fd = os.open(path, os.O_RDONLY)
            except FileNotFoundError:
                continue

            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(path, ignore_errors=True)
            except BlockingIOError:
                # Another run is writing it.
                pass
            finally:
                os.close(fd)


def _recover(final, previous):
    """Put an earlier build back that a run was killed while replacing.

    Args:
        final (str):
            The directory of the build.

        previous (str):
            The directory that it's moved to while it's replaced.
    """
    if os.path.exists(previous):
        if os.path.exists(final):
            shutil.rmtree(previous)
        else:
            os.rename(previous, final)


@contextlib.contextmanager
def write_build(directory, version, patterns):
    """Write a build, or a part of one.

    Args:
        directory (str):
            The output directory.

        version (str):
            The release.

        patterns (tuple of str):
            The patterns of all names that the build can have. Other files of
            an earlier build are kept.

    Context:
        The path of a directory that the files are written to. It takes its
        final name at the end, unless there's an error.

    Raises:
        djblets_backport.errors.BackportError:
            The directory can't be written to, or the earlier build in it was
            changed by somebody.
    """
    final = os.path.join(directory, version)
    previous = os.path.join(directory, '.%s.previous' % version)
    temp_dir = None
    fd = None

    try:
        os.makedirs(directory, exist_ok=True)

        with hold_lock(directory):
            _remove_left_behind(directory)
            _recover(final, previous)

            if os.path.lexists(final):
                check_build(final)

            temp_dir = tempfile.mkdtemp(prefix=_TEMP_PREFIX, dir=directory)
            fd = os.open(temp_dir, os.O_RDONLY)
            fcntl.flock(fd, fcntl.LOCK_EX)

        yield temp_dir

        with hold_lock(directory):
            if os.path.lexists(final):
                # Another run may have written this meanwhile.
                for name in check_build(final):
                    if not any(fnmatch.fnmatchcase(name, pattern)
                               for pattern in patterns):
                        shutil.copyfile(os.path.join(final, name),
                                        os.path.join(temp_dir, name))

            _write_checksums(temp_dir)
            os.chmod(temp_dir, 0o777 & ~_get_umask())

            if os.path.lexists(final):
                os.rename(final, previous)

            os.rename(temp_dir, final)
            temp_dir = None

            if os.path.exists(previous):
                shutil.rmtree(previous)
    except OSError as e:
        raise BackportError('%s cannot be written: %s'
                            % (final, e.strerror or e))
    finally:
        if temp_dir is not None:
            shutil.rmtree(temp_dir, ignore_errors=True)

        if fd is not None:
            os.close(fd)


def _get_umask():
    """Return the umask, which can only be asked for by setting it.

    Returns:
        int:
        The umask.
    """
    umask = os.umask(0o022)
    os.umask(umask)

    return umask


def _write_checksums(directory):
    """Write the checksums of a build, and make sure that it's all on disk.

    Args:
        directory (str):
            The directory of the build.
    """
    lines = [
        '%s  %s\n' % (get_sha256(os.path.join(directory, name)), name)
        for name in sorted(os.listdir(directory))
    ]

    with open(os.path.join(directory, CHECKSUMS), 'w',
              encoding='ascii') as fp:
        fp.writelines(lines)

    # After a power failure, a name must not be there without its contents.
    for name in os.listdir(directory):
        fd = os.open(os.path.join(directory, name), os.O_RDONLY)

        try:
            os.fsync(fd)
        finally:
            os.close(fd)

"""Fetches the official releases, checks them and reads what's in them.

Nothing is ever unpacked or run. The files of an archive are read into memory,
and only written to where we say.
"""

import ast
import hashlib
import logging
import os
import ssl
import subprocess
import sys
import tarfile
import tempfile
import zipfile
import zlib

from .bootstrap import get_cache_dir
from .errors import BackportError


#: The most that the files of an archive may take. Releases take about 20 MB.
MAX_SIZE = 512 * 1024 * 1024

_READ_ERRORS = (tarfile.TarError, zipfile.BadZipFile, zlib.error, EOFError,
                OSError, NotImplementedError, RuntimeError, ValueError)


def get_sha256(path):
    """Return the SHA-256 of a file.

    Args:
        path (str):
            The path of the file.

    Returns:
        str:
        The hexadecimal digest.
    """
    digest = hashlib.sha256()

    with open(path, 'rb') as fp:
        for chunk in iter(lambda: fp.read(1024 * 1024), b''):
            digest.update(chunk)

    return digest.hexdigest()


def get_blob_id(data):
    """Return the ID that git gives to the contents of a file.

    Args:
        data (bytes):
            The contents.

    Returns:
        str:
        The ID, in full.
    """
    return hashlib.sha1(b'blob %d\0' % len(data) + data).hexdigest()


def _get_pip_settings():
    """Return how pip is set up for installing, by files and the environment.

    Returns:
        dict:
        The settings.
    """
    output = subprocess.run(
        [sys.executable, '-m', 'pip', '--disable-pip-version-check', 'config',
         'list'],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL, encoding='utf-8').stdout
    found = {}

    for line in output.splitlines():
        key, separator, value = line.partition('=')
        section, name = key.rpartition('.')[::2]

        if separator and section in ('global', 'install', ':env:'):
            found[section, name] = ast.literal_eval(value)

    settings = {}

    for section in ('global', 'install', ':env:'):
        settings.update((name, value)
                        for (where, name), value in found.items()
                        if where == section)

    return settings


class Registry(object):
    """The package registry that pip is set up with."""

    def __init__(self):
        """Initialize the registry, without connecting to it."""
        self._finder = None
        self._links = None

    def get_links(self):
        """Return all official archives.

        Returns:
            dict:
            unearth's links, by the names of the archives.

        Raises:
            djblets_backport.errors.BackportError:
                The registry could not be reached.
        """
        if self._links is None:
            import httpx
            from unearth import PackageFinder, TargetPython
            from unearth.fetchers import PyPIClient

            settings = _get_pip_settings()
            hosts = settings.get('trusted-host', '').split()
            verify = True

            # unearth logs why an index could not be read.
            logging.getLogger('unearth').addHandler(logging.NullHandler())

            try:
                if settings.get('cert'):
                    verify = ssl.create_default_context(
                        cafile=settings['cert'])

                self._finder = PackageFinder(
                    session=PyPIClient(trusted_hosts=hosts, verify=verify,
                                       follow_redirects=True, timeout=60),
                    index_urls=settings.get('index-url', '').split(),
                    trusted_hosts=hosts,
                    target_python=TargetPython(),
                    ignore_compatibility=True)

                for url in settings.get('extra-index-url', '').split():
                    self._finder.add_index_url(url)

                self._links = {
                    package.link.filename: package.link
                    for package in self._finder.find_all_packages(
                        'djblets', allow_yanked=True)
                }
            except (httpx.HTTPError, OSError, ValueError) as e:
                raise BackportError(
                    'The package registry cannot be reached: %s. Give the '
                    'official archive with --from, or set up pip.'
                    % (str(e) or type(e).__name__))

            if not self._links:
                raise BackportError(
                    'The package registry has no Djblets, or cannot be '
                    'reached. Give the official archive with --from, or set '
                    'up pip.')

        return self._links

    def fetch(self, filename, sha256, progress):
        """Return an official archive, from the cache or the registry.

        Args:
            filename (str):
                The name of the archive.

            sha256 (str):
                The SHA-256 that it must have, or ``None`` if that's not known
                yet.

            progress (djblets_backport.progress.Progress):
                What shows the progress.

        Returns:
            str:
            The path of the archive.

        Raises:
            djblets_backport.errors.BackportError:
                The archive could not be had, or isn't the one it should be.
        """
        path = os.path.join(get_cache_dir(), 'archives', filename)

        if not (sha256 and os.path.exists(path) and
                get_sha256(path) == sha256):
            links = self.get_links()

            if filename not in links:
                raise BackportError(
                    'The package registry has no %s. Give it with --from.'
                    % filename)

            if sha256 is None:
                sha256 = (links[filename].hashes or {}).get('sha256')

            if not (sha256 and os.path.exists(path) and
                    get_sha256(path) == sha256):
                self._download(links[filename], path, sha256, progress)

        return path

    def _download(self, link, path, sha256, progress):
        """Download an archive.

        Args:
            link (unearth.Link):
                Where it is.

            path (str):
                The path to write it to, once it's complete and checked.

            sha256 (str):
                The SHA-256 that it must have, or ``None`` for any.

            progress (djblets_backport.progress.Progress):
                What shows the progress.
        """
        import httpx

        filename = os.path.basename(path)
        progress.step('Downloading %s' % filename)
        temp_path = None

        try:
            os.makedirs(os.path.dirname(path), exist_ok=True)
            fd, temp_path = tempfile.mkstemp(dir=os.path.dirname(path))

            with os.fdopen(fd, 'wb') as fp, \
                 self._finder.session.get_stream(
                     link.normalized,
                     headers={'Accept-Encoding': 'identity'}) as response:
                response.raise_for_status()

                for chunk in response.iter_bytes(64 * 1024):
                    fp.write(chunk)
                    progress.update('%d kB' % (fp.tell() // 1024))

            check_sha256(temp_path, filename, sha256)
            os.rename(temp_path, path)
            temp_path = None
        except httpx.HTTPError as e:
            raise BackportError(
                '%s cannot be downloaded: %s. Give it with --from.'
                % (filename, str(e) or type(e).__name__))
        except OSError as e:
            raise BackportError('%s cannot be downloaded: %s' % (filename, e))
        finally:
            if temp_path:
                os.unlink(temp_path)

            progress.end()


def check_sha256(path, filename, expected):
    """Check that an archive is the official one.

    Args:
        path (str):
            The path of the archive.

        filename (str):
            Its name.

        expected (str):
            The SHA-256 that it must have, or ``None`` for any.

    Raises:
        djblets_backport.errors.BackportError:
            It has another one.
    """
    actual = get_sha256(path)

    if expected and actual != expected:
        raise BackportError(
            '%s is not the official archive: its SHA-256 is %s, and should be '
            '%s' % (filename, actual, expected))


def _check_name(name, path):
    """Return a member's name, if it's one that could be unpacked safely.

    Args:
        name (str):
            The name.

        path (str):
            The path of the archive.

    Returns:
        str:
        The name.

    Raises:
        djblets_backport.errors.BackportError:
            The name leads out of the archive.
    """
    parts = name.split('/')

    if not parts[0] or ':' in parts[0] or '..' in parts or '\\' in name:
        raise BackportError(
            '%s is not safe: its member %r leads out of it' % (path, name))

    return name


def _check_size(size, path):
    """Check that what's in an archive isn't far more than in any release.

    Args:
        size (int):
            The size of the files so far.

        path (str):
            The path of the archive.

    Raises:
        djblets_backport.errors.BackportError:
            The size is too much.
    """
    if size > MAX_SIZE:
        raise BackportError('%s is not safe: it unpacks to more than %d MB'
                            % (path, MAX_SIZE // (1024 * 1024)))


def _read_tar(path):
    """Return the files in a tar archive.

    Args:
        path (str):
            The path of the archive.

    Returns:
        dict:
        The contents of the files, by name.
    """
    files = {}
    size = 0

    with tarfile.open(path) as archive:
        for member in archive:
            name = _check_name(member.name, path)

            if member.isdir():
                continue

            if not member.isreg():
                raise BackportError(
                    '%s is not safe: its member %r is a link or a device'
                    % (path, name))

            size += member.size
            _check_size(size, path)
            files[name] = archive.extractfile(member).read()

    return files


def _read_zip(path):
    """Return the files in a zip archive, such as a wheel.

    Args:
        path (str):
            The path of the archive.

    Returns:
        dict:
        The contents of the files, by name.
    """
    files = {}
    size = 0

    with zipfile.ZipFile(path) as archive:
        for info in archive.infolist():
            name = _check_name(info.filename, path)

            if info.is_dir():
                continue

            # The file type is 0 in archives made by some tools.
            if (info.external_attr >> 28) not in (0, 0o10):
                raise BackportError(
                    '%s is not safe: its member %r is a link or a device'
                    % (path, name))

            size += info.file_size
            _check_size(size, path)
            files[name] = archive.read(info)

    return files


def read_files(path):
    """Return the files in an archive, without its top directory.

    Args:
        path (str):
            The path of an sdist (tar or zip), or of a wheel.

    Returns:
        dict:
        The contents of the files (bytes), by their names from the directory
        that the ``djblets`` package is in.

    Raises:
        djblets_backport.errors.BackportError:
            The archive can't be read, or isn't safe to.
    """
    try:
        with open(path, 'rb') as fp:
            is_zip = fp.read(2) == b'PK'

        files = _read_zip(path) if is_zip else _read_tar(path)
    except tarfile.ReadError:
        raise BackportError(
            '%s is truncated, or not a tar archive or wheel' % path)
    except _READ_ERRORS as e:
        raise BackportError('%s cannot be read, or is truncated or corrupt: %s'
                            % (path, e or type(e).__name__))

    tops = set(name.partition('/')[0] for name in files)

    if len(tops) == 1 and 'djblets' not in tops:
        start = len(tops.pop()) + 1
        files = {name[start:]: data for name, data in files.items()}

    return files

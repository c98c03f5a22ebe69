"""Makes what's kept between runs, such as the environment of the tool itself.

Only the standard library is used here, since this is what gets the rest.
"""

import contextlib
import fcntl
import hashlib
import os
import shutil
import sys

from .errors import BackportError
from .progress import Progress, run_command


def get_cache_dir():
    """Return the directory for what's kept between runs.

    Returns:
        str:
        The path. It need not exist.
    """
    base = os.environ.get('XDG_CACHE_HOME')

    if not base or not os.path.isabs(base):
        base = os.path.expanduser('~/Library/Caches'
                                  if sys.platform == 'darwin'
                                  else '~/.cache')

    return os.path.join(base, 'djblets-backport')


@contextlib.contextmanager
def hold_lock(path):
    """Hold a lock that's released when the process ends, however it ends.

    Args:
        path (str):
            The file or directory to lock. A missing file is made.

    Context:
        The lock is held.
    """
    flags = os.O_RDONLY if os.path.isdir(path) else os.O_RDWR | os.O_CREAT
    fd = os.open(path, flags, 0o644)

    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        yield
    finally:
        os.close(fd)


def ensure_made(kind, name, ingredients, make):
    """Make a directory in the cache, unless it's there already.

    A directory counts as made when it's complete. One that was left behind by
    a run that didn't get that far is made anew.

    Args:
        kind (str):
            The directory of the cache for things of this kind.

        name (str):
            The name of the directory.

        ingredients (list of str):
            All that the contents depend on. When that changes, another
            directory is made.

        make (callable):
            What makes the contents, given the path.

    Returns:
        str:
        The path of the directory.
    """
    digest = hashlib.sha256('\0'.join(ingredients).encode('utf-8'))
    path = os.path.join(get_cache_dir(), kind,
                        '%s-%s' % (name, digest.hexdigest()[:12]))
    marker = os.path.join(path, '.complete')

    if not os.path.exists(marker):
        try:
            os.makedirs(os.path.dirname(path), exist_ok=True)

            with hold_lock(path + '.lock'):
                if not os.path.exists(marker):
                    shutil.rmtree(path, ignore_errors=True)
                    make(path)

                    with open(marker, 'w'):
                        pass
        except OSError as e:
            raise BackportError('The cache cannot be written to: %s' % e)

    return path


def _read_requirements(path):
    """Return what's in a file with pip requirements, and in those it includes.

    Args:
        path (str):
            The path of the file.

    Returns:
        list of str:
        The contents of the files.
    """
    with open(path, encoding='utf-8') as fp:
        contents = fp.read()

    result = [contents]

    for line in contents.splitlines():
        if line.startswith('-r '):
            result += _read_requirements(
                os.path.join(os.path.dirname(path), line[3:].strip()))

    return result


def ensure_environment(name, requirements, progress=None):
    """Return a Python with the packages that this Python is to run with.

    Args:
        name (str):
            A name for the environment.

        requirements (str):
            The path of a file with pip requirements.

        progress (djblets_backport.progress.Progress, optional):
            What shows the progress.

    Returns:
        str:
        The path of the environment's Python.

    Raises:
        djblets_backport.errors.BackportError:
            The environment could not be made.
    """
    progress = progress or Progress()

    def _make(path):
        progress.step('Making an environment for %s (once)' % name)

        for args in ([sys.executable, '-m', 'venv', path],
                     [os.path.join(path, 'bin', 'python'), '-m', 'pip',
                      '--disable-pip-version-check', 'install', '-r',
                      requirements]):
            status, output = run_command(args, progress)

            if status:
                progress.end()
                sys.stderr.write(output)
                raise BackportError(
                    'An environment for %s could not be made: "%s" failed. '
                    'It needs Python\'s venv module with ensurepip (Debian: '
                    'python3-venv) and the package registry.'
                    % (name, ' '.join(args)))

        progress.end()

    path = ensure_made(
        'environments', name,
        _read_requirements(requirements) + [sys.version, sys.base_prefix],
        _make)

    return os.path.join(path, 'bin', 'python')

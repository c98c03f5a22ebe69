"""What users install: what is built here, and Review Boards with that."""

import collections
import functools
import re
import shutil
import sys
import zipfile
from pathlib import Path

from djblets_backport.environments import describe_missing, get_pythons
from evidence.program import CONTRIB, DIRECTORY, Failure, announce, call


MODULE = 'djblets/cache/forwarding_backend.py'

#: The Review Boards, and the environments that have them.
REVIEW_BOARDS = {
    '2.0.16': 'py27-reviewboard20',
    '4.0': 'py27-reviewboard40',
    '6.0': 'py311-reviewboard60',
    '8.1': 'py311-reviewboard81',
}

#: The official wheel of a release, the patched one, and the series.
Build = collections.namedtuple('Build', 'official patched patches')


class Installation:
    """A Review Board with a Djblets, in an environment of its own."""

    def __init__(self, release, wheel, replacement=None):
        """Copy the Review Board's environment, and install a wheel there.

        The module can be replaced by that of a release that the Review Board
        itself doesn't accept.
        """
        self.release = release
        self.djblets = wheel.name.split('-')[1]

        if replacement:
            self.djblets += " with %s's file" % replacement

        self.name = 'Review Board %s, Djblets %s' % (release, self.djblets)
        announce('Installing %s' % self.name)
        self.directory = DIRECTORY / 'installed' / re.sub(
            r'[^\w.+]+', '-', '%s %s' % (release, self.djblets))
        shutil.rmtree(self.directory, ignore_errors=True)
        shutil.copytree(_get_environment(release), self.directory,
                        symlinks=True)
        self.python = self.directory / 'bin' / 'python'
        call(self.python, '-m', 'pip', 'install', '--no-deps',
             '--force-reinstall', wheel)
        self.module = next(self.directory.glob('lib/python*/site-packages/' +
                                               MODULE))

        if replacement:
            with zipfile.ZipFile(build(replacement).official) as archive:
                self.module.write_bytes(archive.read(MODULE))

            # Python 2.7 takes a compiled file of the same second for current.
            call(self.python, '-m', 'py_compile', self.module)


def install_pair(release, version):
    """Return a Review Board with a Djblets, and one with its series."""
    return [Installation(release, wheel) for wheel in build(version)[:2]]


@functools.lru_cache(None)
def build(version):
    """Return the paths of what is built for a release.

    A build is kept until something in the checkout is newer.
    """
    directory = DIRECTORY / 'dist' / version
    sources = [path for name in ('contrib/djblets_backport', 'djblets')
               for path in CONTRIB.parent.joinpath(name).rglob('*.*')]

    if not directory.exists() or directory.stat().st_mtime < max(
            path.stat().st_mtime for path in sources):
        announce('./contrib/backport build %s' % version)
        call(sys.executable, CONTRIB / 'backport', 'build', version, '-o',
             directory.parent)

    patched, = directory.glob('*+*.whl')
    official, = directory.glob('unpatched/*.whl')

    return Build(official, patched, sorted(directory.glob('*.patch')))


def _get_environment(release):
    """Return the path of the environment of a Review Board."""
    name = REVIEW_BOARDS[release]
    python = get_pythons([name], progress=announce)[name]

    if not python:
        raise Failure(describe_missing(name))

    return Path(python).parent.parent

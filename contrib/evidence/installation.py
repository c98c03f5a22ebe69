"""Review Board in environments, with Djblets as its users install it.

There is an environment for each pair of a Review Board and a Djblets: the
official wheel of a release, or the patched one that ``backport build`` makes.
"""

import hashlib
import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

from evidence.progress import CONTRIB, DIRECTORY, Failure, call, say


MODULE = 'djblets/cache/forwarding_backend.py'

_PYTHON2_MEMCACHED = 'django.core.cache.backends.memcached.MemcachedCache'
_PYMEMCACHE = 'django.core.cache.backends.memcached.PyMemcacheCache'

#: The Review Boards: their Pythons, the cache backend that their installer
#: and settings form choose, and what they're installed with. Where they only
#: set lower bounds, it's the newest that works with them.
RELEASES = {
    '2.0.16': (
        ['2.7'], _PYTHON2_MEMCACHED,
        'Django==1.6.11 Markdown==2.4.1 Pillow==6.2.2 Pygments==2.5.2 '
        'django-evolution==0.7.8 django-haystack==2.4.1 '
        'django-pipeline==1.3.27 feedparser==5.2.1 futures==3.4.0 '
        'gunicorn==19.10.0 paramiko==1.18.5 python-memcached==1.59 '
        'setuptools<45'),
    '4.0': (
        ['2.7'], _PYTHON2_MEMCACHED,
        'Django==1.11.29 django-multiselectfield==0.1.12 gunicorn==19.10.0 '
        'python-memcached==1.59'),
    '6.0': (
        ['3.11', '3.10', '3.9'], _PYMEMCACHE,
        'Django==3.2.25 gunicorn==23.0.0 paramiko==3.5.1 pymemcache==4.0.0 '
        'setuptools==80.9.0'),
    '8.1': (
        ['3.11', '3.12', '3.10'], _PYMEMCACHE,
        'Django==4.2.30 gunicorn==23.0.0 pymemcache==4.0.0 '
        'setuptools==80.9.0'),
}


class Installation:
    """A Review Board with a Djblets, in an environment of its own."""

    def __init__(self, release, version, patched=False, swapped=None):
        """Install them, unless that was done before.

        The module of another release can be swapped in, where Review Board
        doesn't accept that release itself.
        """
        pythons, self.backend, requirements = RELEASES[release]
        requirements = ['ReviewBoard==%s' % release] + requirements.split()
        wheel = build(version) if patched else download(version)
        module = _read_module(download(swapped) if swapped else wheel)
        self.release = release
        self.patched = patched
        self.title = wheel.name.split('-')[1] + (
            " with %s's file" % swapped if swapped else '')
        self.name = 'Review Board %s, Djblets %s' % (release, self.title)
        self.sha256 = hashlib.sha256(module).hexdigest()
        directory = (DIRECTORY / 'environments' /
                     ('%s-%s' % (release, swapped or self.title)))
        self.python = directory / 'bin' / 'python'
        made_of = '%s %s\n' % (' '.join(requirements),
                               hashlib.sha256(wheel.read_bytes()).hexdigest())
        made = directory / 'made-of.txt'

        if not made.exists() or made.read_text() != made_of:
            say('Installing %s' % self.name)
            shutil.rmtree(directory, ignore_errors=True)
            call([sys.executable, '-m', 'virtualenv', '-p',
                  _find_python(pythons), directory])
            call([self.python, '-m', 'pip', 'install', *requirements, wheel])
            made.write_text(made_of)

        self.module = next(directory.glob('lib/python*/site-packages/' +
                                          MODULE))

        if swapped:
            self.module.write_bytes(module)

        # What's served must be this very file, and no older code of it.
        for path in self.module.parent.glob('**/forwarding_backend.*pyc'):
            path.unlink()


def get_pair(release, version):
    """Return the installations of a release of Djblets and of its series."""
    return [Installation(release, version),
            Installation(release, version, patched=True)]


def download(version):
    """Return the path of a release's official wheel, or sdist for 0.8.13."""
    directory = DIRECTORY / 'official' / version

    if not directory.exists():
        say('Downloading Djblets %s' % version)
        args = ['--only-binary', ':all:']

        if version == '0.8.13':
            args = ['--no-binary', ':all:']
        elif version.startswith('0.'):
            args += ['--python-version', '2.7', '--implementation', 'py',
                     '--abi', 'none', '--platform', 'any']

        partial = directory.with_name('partial')
        shutil.rmtree(partial, ignore_errors=True)
        call([sys.executable, '-m', 'pip', 'download', '--no-deps', '--dest',
              partial, *args, 'Djblets==%s' % version])
        partial.rename(directory)

    return next(directory.iterdir())


def build(version):
    """Return the path of a release's patched wheel, with the series beside it.
    """
    dist = DIRECTORY / 'dist'
    wheels = [*dist.glob('%s/*.whl' % version)]
    sources = [*CONTRIB.glob('djblets_backport/**/*.*'),
               *CONTRIB.parent.glob('djblets/cache/*.py')]

    if not wheels or wheels[0].stat().st_mtime < max(
            path.stat().st_mtime for path in sources):
        say('./contrib/backport build %s' % version)
        call([sys.executable, CONTRIB / 'backport', 'build', version, '-o',
              dist])

    return next(dist.glob('%s/*.whl' % version))


def _find_python(versions):
    """Return the path of the first Python there is, of some versions."""
    pyenv = Path(os.environ.get('PYENV_ROOT', Path.home() / '.pyenv'))

    for version in versions:
        for path in (shutil.which('python' + version),
                     *pyenv.glob('versions/%s.*/bin/python' % version)):
            # pyenv's shims are there without their Python, too.
            if path and not subprocess.call([path, '-c', ''],
                                            stderr=subprocess.DEVNULL):
                return path

    raise Failure('There is no Python %s on the PATH or in %s (try "pyenv '
                  'install %s")' % (' or '.join(versions), pyenv, versions[0]))


def _read_module(archive):
    """Return the forwarding module in an archive."""
    if archive.suffix == '.whl':
        with zipfile.ZipFile(archive) as fp:
            return fp.read(MODULE)

    with tarfile.open(archive) as fp:
        return fp.extractfile(next(
            name for name in fp.getnames() if name.endswith('/' + MODULE)
        )).read()

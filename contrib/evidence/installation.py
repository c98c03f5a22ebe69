"""Review Board in environments, with Djblets as its users install it.

There is an environment for each pair of a Review Board and a Djblets: the
official release, or the patched wheel that ``backport build`` makes.
"""

import functools
import hashlib
import os
import shutil
import sys
from pathlib import Path

from evidence.progress import CONTRIB, DIRECTORY, call, say


MODULE = 'djblets/cache/forwarding_backend.py'

_PYENV = Path(os.environ.get('PYENV_ROOT', Path.home() / '.pyenv'))

#: The Review Boards: their Python, the cache backend that their settings form
#: chooses, and what else they're installed with: the newest that works.
RELEASES = {
    '2.0.16': ('2.7', 'MemcachedCache', '''
        Django==1.6.11 Markdown==2.4.1 Pillow==6.2.2 Pygments==2.5.2
        django-evolution==0.7.8 django-haystack==2.4.1 django-pipeline==1.3.27
        feedparser==5.2.1 futures==3.4.0 gunicorn==19.10.0 paramiko==1.18.5
        python-memcached==1.59 setuptools<45'''),
    '4.0': ('2.7', 'MemcachedCache', '''
        Django==1.11.29 django-multiselectfield==0.1.12 gunicorn==19.10.0
        python-memcached==1.59'''),
    '6.0': ('3.11', 'PyMemcacheCache', '''
        Django==3.2.25 gunicorn==23.0.0 paramiko==3.5.1 pymemcache==4.0.0
        setuptools==80.9.0'''),
    '8.1': ('3.11', 'PyMemcacheCache', '''
        Django==4.2.30 gunicorn==23.0.0 pymemcache==4.0.0
        setuptools==80.9.0'''),
}


class Installation:
    """A Review Board with a Djblets, in an environment of its own."""

    def __init__(self, release, version, patched=False, swapped=None):
        """Install them, unless that was done before.

        The module of another release can be swapped in, where Review Board
        doesn't accept that release itself.
        """
        python, backend, requirements = RELEASES[release]
        self.backend = 'django.core.cache.backends.memcached.%s' % backend
        djblets = 'Djblets===%s' % version
        self.release = release
        self.title = version + (" with %s's file" % swapped if swapped else '')

        if patched:
            wheel = build(version)
            djblets = '%s#sha256=%s' % (wheel.as_uri(), _get_hash(wheel))
            self.title = wheel.name.split('-')[1]

        self.name = 'Review Board %s, Djblets %s' % (release, self.title)
        directory = DIRECTORY / 'env' / release / (swapped or self.title)
        self.python = make_environment(
            directory, self.name,
            ['ReviewBoard==' + release, *requirements.split(), djblets],
            'virtualenv', '--clear', '--pip=embed', '--setuptools=embed',
            '--wheel=embed', *('--python=%s' % path for path in (
                python, *_PYENV.glob('versions/%s.*/bin/python' % python))))
        self.module = next(directory.glob('lib/python*/site-packages/' +
                                          MODULE))

        if swapped:
            call(self.python, '-m', 'pip', 'install', '--no-deps', '--upgrade',
                 '--target', directory / 'swapped', 'Djblets===' + swapped)
            shutil.copy(directory / 'swapped' / MODULE, self.module)

        self.sha256 = _get_hash(self.module)


def make_environment(directory, name, packages, *create):
    """Return the Python of an environment, which is made if it isn't there."""
    python = directory / 'bin' / 'python'
    made = directory / 'made-of.txt'

    if not made.exists() or made.read_text() != ' '.join(packages):
        say('Installing %s' % name)
        call(sys.executable, '-m', *create, directory)
        call(python, '-m', 'pip', 'install', *packages)
        made.write_text(' '.join(packages))

    return python


def get_pair(release, version):
    """Return the installations of a release of Djblets and of its series."""
    return [Installation(release, version, item) for item in (False, True)]


@functools.lru_cache(None)
def build(version):
    """Return the path of a release's patched wheel, beside its series."""
    dist = DIRECTORY / 'dist'
    say('./contrib/backport build %s' % version)
    call(sys.executable, CONTRIB / 'backport', 'build', version, '-o', dist)

    return next(dist.glob('%s/*.whl' % version))


def _get_hash(path):
    """Return the SHA-256 of a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()

"""Trees of official Djblets releases, with and without the fix."""

import os
import shutil

from djblets_backport.archive import get_sha256
from djblets_backport.bootstrap import hold_lock
from djblets_backport.catalogue import MODULE_PATH, find_release


ROOT_DIR = os.path.dirname(os.path.dirname(os.path.dirname(
    os.path.abspath(__file__))))

BUILD_DIR = os.path.join(ROOT_DIR, 'build')

MODULE = os.path.join(ROOT_DIR, *MODULE_PATH.split('/'))

TESTS = os.path.join(ROOT_DIR, 'djblets', 'cache',
                     'test_forwarding_backend.py')


def make_official_tree(version, sources):
    """Return a tree with an official release.

    Args:
        version (str):
            The release.

        sources (djblets_backport.source.Sources):
            Where to take it from.

    Returns:
        str:
        The path of the tree, which a ``djblets`` package is in.
    """
    release = find_release(version)
    path = os.path.join(BUILD_DIR, 'official', version)
    os.makedirs(os.path.dirname(path), exist_ok=True)

    with hold_lock(path + '.lock'):
        if not os.path.exists(path):
            shutil.rmtree(path + '.new', ignore_errors=True)

            for name, data in sources.get_sdist_files(release).items():
                if name.startswith('djblets/'):
                    target = os.path.join(path + '.new', *name.split('/'))
                    os.makedirs(os.path.dirname(target), exist_ok=True)

                    with open(target, 'wb') as fp:
                        fp.write(data)

            os.rename(path + '.new', path)

    return path


def make_patched_tree(version, sources):
    """Return a tree with a release that has the fix and its tests.

    Args:
        version (str):
            The release.

        sources (djblets_backport.source.Sources):
            Where to take it from.

    Returns:
        str:
        The path of the tree, which a ``djblets`` package is in.
    """
    official_path = make_official_tree(version, sources)
    path = os.path.join(BUILD_DIR, 'patched', version)
    os.makedirs(os.path.dirname(path), exist_ok=True)

    with hold_lock(path + '.lock'):
        if not os.path.exists(path):
            shutil.rmtree(path + '.new', ignore_errors=True)
            shutil.copytree(official_path, path + '.new')
            os.rename(path + '.new', path)

        for source, name in ((MODULE, MODULE_PATH),
                             (TESTS, find_release(version).tests_path)):
            target = os.path.join(path, *name.split('/'))

            if (not os.path.exists(target) or
                    get_sha256(source) != get_sha256(target)):
                shutil.copyfile(source, target)

    return path

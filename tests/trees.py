"""Writes releases to directories that can be put on Python's path.

A tree has a release as it is (its kind is ``released``), with the tests of the
series alone (``control``), or with all of the series (``patched``).
"""

import hashlib
import os
import shutil
import sys


CHECKOUT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, os.path.join(CHECKOUT, 'contrib'))

from djblets_backport import archives, series  # noqa: E402
from djblets_backport.environments import get_build_dir  # noqa: E402
from djblets_backport.releases import find_release  # noqa: E402


def get_tree(version, kind):
    """Return the path of a release's tree of that kind."""
    return os.path.join(get_build_dir(), 'trees', version, kind)


def make_trees(version, kinds):
    """Write a release's trees of those kinds."""
    release = find_release(version)
    released = archives.fetch(release, progress=print).files
    trees = {kind: dict(released) for kind in kinds}

    for change in series.get_changes(released, release.module):
        for name, data in change.files.items():
            is_test = os.path.basename(name).startswith('test_')

            for kind in kinds:
                if kind == 'patched' or kind == 'control' and is_test:
                    trees[kind][name] = data

    for kind, files in trees.items():
        # What takes the most room in a release isn't used by any test, but for
        # what tests bring themselves.
        _write(get_tree(version, kind), {
            name: data for name, data in files.items()
            if name.startswith('djblets/') and ('/static/' not in name or
                                                '/tests/' in name)})


def _write(path, files):
    """Write files to a directory, unless that was done last."""
    digest = hashlib.sha256(repr(sorted(files.items())).encode()).hexdigest()
    files = {**files, 'written': digest.encode()}

    try:
        with open(os.path.join(path, 'written')) as fp:
            if fp.read() == digest:
                return

        # What is left if this is interrupted isn't the whole.
        os.unlink(os.path.join(path, 'written'))
    except OSError:
        pass

    shutil.rmtree(path, ignore_errors=True)

    for name, data in files.items():
        filename = os.path.join(path, name)
        os.makedirs(os.path.dirname(filename), exist_ok=True)

        with open(filename, 'wb') as fp:
            fp.write(data)

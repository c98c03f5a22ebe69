"""Writes releases to directories that can be put on Python's path.

A tree has a release as it is (its kind is ``released``), with the tests of the
series alone (``control``), with all of the series (``patched``), or with the
broken variant that it's named after.
"""

import os
import shutil
import sys

import variants


CHECKOUT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, os.path.join(CHECKOUT, 'contrib'))

from djblets_backport import archives, series  # noqa: E402
from djblets_backport.check import MODULE_PATH  # noqa: E402
from djblets_backport.environments import get_build_dir  # noqa: E402
from djblets_backport.releases import find_release  # noqa: E402


def get_tree(version, kind):
    """Return the path of a release's tree of that kind."""
    return os.path.join(get_build_dir(), 'trees', version, kind)


def make_trees(version, kinds):
    """Write a release's trees of those kinds (a set)."""
    release = find_release(version)
    files = archives.fetch(release, progress=print).files
    patched = dict(files)
    control = dict(files)

    for change in series.get_changes(files, release.module):
        patched.update(change.files)
        control.update(
            (name, data) for name, data in change.files.items()
            if os.path.basename(name).startswith('test_'))

    whole = {'released': files, 'control': control, 'patched': patched}
    broken = kinds.difference(whole)

    for kind in kinds.intersection(whole).union(['patched'] if broken else []):
        _write_tree(get_tree(version, kind), whole[kind])

    for name in broken:
        path = get_tree(version, name)
        source = variants.apply(name, patched[MODULE_PATH].decode('utf-8'))

        shutil.rmtree(path, ignore_errors=True)
        _link(get_tree(version, 'patched'), path, *MODULE_PATH.split('/'))

        with open(os.path.join(path, MODULE_PATH), 'wb') as fp:
            fp.write(source.encode('utf-8'))


def _write_tree(path, files):
    """Write files to a directory, but for those that are there already."""
    old_files = set()

    for directory, _, names in os.walk(path):
        old_files.update(os.path.join(directory, name) for name in names)

    # What takes the most room in a release isn't used by any test, but for
    # what tests bring themselves.
    files = {
        os.path.join(path, *name.split('/')): data
        for name, data in files.items()
        if name.startswith('djblets/') and
        ('/static/' not in name or '/tests/' in name)
    }

    for filename in old_files - set(files):
        os.unlink(filename)

    for filename, data in files.items():
        os.makedirs(os.path.dirname(filename), exist_ok=True)

        if filename in old_files:
            with open(filename, 'rb') as fp:
                if fp.read() == data:
                    continue

        with open(filename, 'wb') as fp:
            fp.write(data)


def _link(source, target, name, *rest):
    """Make a directory of links to what's in another, but for one file."""
    os.makedirs(target)

    for other in os.listdir(source):
        if other != name:
            os.symlink(os.path.join(source, other),
                       os.path.join(target, other))
        elif rest:
            _link(os.path.join(source, name), os.path.join(target, name),
                  *rest)

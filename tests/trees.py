"""Writes the releases to directories that can be put on Python's path."""

import os
import shutil
import sys

import variants

CHECKOUT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, os.path.join(CHECKOUT, 'contrib'))

from djblets_backport import archives, releases, series  # noqa: E402
from djblets_backport.environments import get_build_dir  # noqa: E402


TREES = os.path.join(get_build_dir(), 'trees')


def make_trees(version, progress):
    """Write a release, as it is and with the series.

    Args:
        version (str):
            The release.

        progress (callable):
            What is called with a line of text before something that takes
            long.

    Returns:
        dict:
        The paths of the directories: the release as it is (``released``),
        with the tests of the series alone (``control``), and with all of it
        (``patched``).
    """
    release = releases.find_release(version)
    released = archives.fetch(release, progress=progress).files
    control = dict(released)
    patched = dict(released)

    for change in series.get_changes(released, release.module):
        for name, data in change.files.items():
            patched[name] = data

            if os.path.basename(name).startswith('test_'):
                control[name] = data

    return {
        kind: write_tree(os.path.join(version, kind), files)
        for kind, files in (('released', released), ('control', control),
                            ('patched', patched))
    }


def write_tree(name, files):
    """Write files to a directory, unless they're there already.

    Args:
        name (str):
            The name of the directory in ``build/trees``.

        files (dict):
            The contents of the files (bytes), by their names.

    Returns:
        str:
        The path of the directory.
    """
    path = os.path.join(TREES, name)
    old_files = set()

    for directory, _, names in os.walk(path):
        old_files.update(os.path.join(directory, name) for name in names)

    # What takes the most room in a release isn't used by any test.
    files = {
        os.path.join(path, *name.split('/')): data
        for name, data in files.items()
        if name.startswith('djblets/') and '/static/' not in name
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

    return path


def make_variant(name, version):
    """Write a release with a broken variant of the series.

    Args:
        name (str):
            The name of the variant.

        version (str):
            The release, which was made before.

    Returns:
        str:
        The path of the directory.
    """
    path = os.path.join(TREES, 'variants', name)
    module = os.path.join(path, 'djblets', 'cache', 'forwarding_backend.py')

    shutil.rmtree(path, ignore_errors=True)
    shutil.copytree(os.path.join(TREES, version, 'patched'), path,
                    copy_function=os.symlink)

    with open(module, encoding='utf-8') as fp:
        source = fp.read()

    os.unlink(module)

    with open(module, 'w', encoding='utf-8') as fp:
        fp.write(variants.apply(name, source))

    return path

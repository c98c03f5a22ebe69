"""Tries a patched wheel out in fresh environments.

These are the ones of ``tox.ini``, and need a checkout.
"""

import logging
import os
import re
import shutil
import subprocess
import tempfile

from . import BackportError, CHECKOUT, HERE
from .environments import (EnvironmentFailure, describe_missing,
                           get_pythons)


logger = logging.getLogger(__name__)


def try_out(release, wheel):
    """Install a patched wheel, and run its tests.

    Args:
        release (djblets_backport.releases.Release):
            The release.

        wheel (str):
            The path of its patched wheel.

    Returns:
        list of str:
        Lines of text on what was tried, and what couldn't be.

    Raises:
        djblets_backport.BackportError:
            The wheel failed.
    """
    if not CHECKOUT:
        return ['NOT TRIED OUT: only a checkout has environments for that.']

    stacks = {name: tuple(map(int, re.match(
                  r'py(\d)(\d+)-django(\d)(\d+)', name).groups()))
              for name in release.environments}
    names = sorted(stacks, key=stacks.get)
    ends = sorted({names[0], names[-1]}, key=stacks.get)
    lines = []

    with tempfile.TemporaryDirectory(prefix='djblets-backport-') as workdir:
        # Python 2.7's pip fails in directories that aren't ASCII.
        wheel = shutil.copy(wheel, workdir)

        try:
            pythons = get_pythons(ends, workdir, logger.info)

            if None in pythons.values():
                pythons = get_pythons(names, workdir, logger.info)
        except EnvironmentFailure as e:
            return ['NOT TRIED OUT: %s' % str(e).partition(':\n')[0]]

        there = [name for name in names if pythons.get(name)]

        for name in names:
            where = 'on Python %d.%d with Django %d.%d' % stacks[name]

            if name in there[:1] + there[-1:]:
                logger.info('Trying out %s %s', os.path.basename(wheel), where)
                lines.append('Tried out %s: %s passed.'
                             % (where, _try(pythons[name], wheel)))
            elif name in pythons and name not in there:
                lines.append('NOT TRIED OUT %s: %s'
                             % (where, describe_missing(name)))

    return lines


def _try(python, wheel):
    """Return how many tests passed."""
    for args in (['-m', 'pip', 'install', '--no-deps', wheel],
                 [os.path.join(HERE, 'check.py'), '--python', python],
                 [os.path.join(CHECKOUT, 'tests', 'run_suite.py')]):
        try:
            # A configured constraint breaks the pip of Python 2.7.
            output = subprocess.run(
                [python] + args, stdin=subprocess.DEVNULL, check=True,
                stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                encoding='utf-8', errors='backslashreplace', timeout=300,
                cwd=os.path.dirname(wheel), env=dict(
                    os.environ, PIP_CONSTRAINT=os.devnull, PYTHONPATH='')
            ).stdout
        except subprocess.SubprocessError as e:
            raise BackportError('the patched wheel failed. %s\n%s'
                                % (e, e.output))

    return re.search(r'Ran (\d+ tests?)', output).group(1)

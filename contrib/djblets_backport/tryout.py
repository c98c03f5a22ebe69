"""Tries a patched wheel out in fresh environments.

These are the ones of ``tests/tox.ini``, so this needs a checkout.
"""

import logging
import os
import re
import runpy
import shutil
import subprocess
import tempfile

from . import BackportError
from .releases import CHECKOUT, HERE, find_release


logger = logging.getLogger(__name__)


def try_out(version, wheel):
    """Install a patched wheel, run its tests, and return lines on that."""
    if not CHECKOUT:
        return ['NOT TRIED OUT: only a checkout has environments for that.']

    tests = os.path.join(CHECKOUT, 'tests')
    tox = runpy.run_path(os.path.join(tests, 'environments.py'))

    # 4.0 needs a newer Python than others with the same content.
    stacks = {name: tuple(map(int, re.match(
                  r'py(\d)(\d+)-django(\d)(\d+)', name).groups()))
              for name in find_release(version).environments}
    names = [name for name in sorted(stacks, key=stacks.get)
             if version != '4.0' or stacks[name] >= (3, 8)]
    lines = []

    with tempfile.TemporaryDirectory(prefix='djblets-backport-') as workdir:
        # Python 2.7's pip fails in directories that aren't ASCII.
        wheel = shutil.copy(wheel, workdir)

        try:
            pythons = tox['get_pythons'](names[::len(names) - 1 or 1], workdir,
                                         logger.info)

            if None in pythons.values():
                pythons = tox['get_pythons'](names, workdir, logger.info)
        except tox['EnvironmentFailure'] as e:
            return ['NOT TRIED OUT: %s' % str(e).partition(':\n')[0]]

        there = [name for name in names if pythons.get(name)]

        for name in names:
            where = 'on Python %d.%d with Django %d.%d' % stacks[name]

            if name in there[:1] + there[-1:]:
                logger.info('Trying out %s %s', os.path.basename(wheel), where)
                lines.append('Tried out %s: %s passed.'
                             % (where, _try(pythons[name], wheel, tests)))
            elif name in pythons and name not in there:
                lines.append('NOT TRIED OUT %s: %s'
                             % (where, tox['describe_missing'](name)))

    return lines


def _try(python, wheel, tests):
    """Return how many tests passed."""
    for args in (['-m', 'pip', 'install', '--no-deps', wheel],
                 [os.path.join(HERE, 'check.py'), '--python', python],
                 [os.path.join(tests, 'run_suite.py')]):
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

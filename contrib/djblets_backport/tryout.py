"""Tries a patched wheel out in fresh environments.

These are the ones of ``tox.ini``, and need a checkout.
"""

import logging
import os
import pathlib
import re
import subprocess
import tempfile

from . import BackportError, CHECKOUT, HERE
from .environments import (EnvironmentFailure, describe_missing,
                           get_pythons)


logger = logging.getLogger(__name__)


def try_out(release, name, wheel):
    """Install a patched wheel, run its tests, and return lines on that."""
    if not CHECKOUT:
        return ['NOT TRIED OUT: only a checkout has environments for that.']

    lines = []

    with tempfile.TemporaryDirectory(prefix='djblets-backport-') as workdir:
        # Python 2.7's pip fails in directories that aren't ASCII.
        path = pathlib.Path(workdir, name)

        try:
            path.write_bytes(wheel)
            pythons = get_pythons(release.environments, workdir, logger.info)
        except EnvironmentFailure as e:
            return ['NOT TRIED OUT: %s' % str(e).partition('\n')[0]]

        for environment, python in pythons.items():
            where = 'on Python %s.%s with Django %s.%s' % re.match(
                r'py(\d)(\d+)-django(\d)(\d+)', environment).groups()

            if python:
                logger.info('Trying out %s %s', name, where)
                lines.append('Tried out %s: %s passed.'
                             % (where, _try(python, str(path))))
            else:
                lines.append('NOT TRIED OUT %s: %s'
                             % (where, describe_missing(environment)))

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

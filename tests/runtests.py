#!/usr/bin/env python3
"""Runs all tests that this machine can run.

This makes what it needs: an environment for itself, one for each combination
of Python and Django that there's a Python for, and trees of official Djblets
releases, with and without the fix. All of it is kept for the next run.
"""

import argparse
import os
import sys


TESTS_DIR = os.path.dirname(os.path.abspath(__file__))
ROOT_DIR = os.path.dirname(TESTS_DIR)

sys.path[:1] = [os.path.join(ROOT_DIR, 'contrib')]


from djblets_backport.bootstrap import ensure_environment  # noqa: E402
from djblets_backport.errors import BackportError  # noqa: E402
from djblets_backport.progress import Progress  # noqa: E402


def parse_args(argv):
    """Parse the arguments.

    Args:
        argv (list of str):
            The arguments.

    Returns:
        tuple:
        A 2-tuple of the options (argparse.Namespace) and of the arguments for
        nose (list of str).
    """
    parser = argparse.ArgumentParser(
        usage='%(prog)s [--line LINE | --tools] [--long] [NOSE_ARGUMENT...]',
        description='Runs all tests that this machine can run. Arguments that '
                    'are not listed here go to nose.')
    group = parser.add_mutually_exclusive_group()
    group.add_argument(
        '--line',
        help='run the tests of one release line only, such as 0.8, 1.0 or 6')
    group.add_argument(
        '--tools',
        action='store_true',
        help='run the tests of the tools only')
    parser.add_argument(
        '--long',
        action='store_true',
        help='run every release rather than some, and more of what is long')

    return parser.parse_known_args(argv)


def enter_environment(argv):
    """Run this in an environment with all that it needs.

    Args:
        argv (list of str):
            The arguments.
    """
    python = ensure_environment(
        'tests', os.path.join(TESTS_DIR, 'requirements.txt'), Progress())

    if os.path.dirname(os.path.dirname(python)) != sys.prefix:
        # PYTHONPATH might bring in another Djblets, and the like.
        environ = dict(os.environ)
        environ.pop('PYTHONPATH', None)
        environ.pop('PYTHONHOME', None)
        sys.stdout.flush()
        os.execve(python, [python, os.path.abspath(__file__)] + argv, environ)


def main(argv):
    """Run the tests.

    Args:
        argv (list of str):
            The arguments.

    Returns:
        int:
        The exit status.
    """
    options, nose_args = parse_args(argv)

    try:
        enter_environment(argv)

        sys.path.insert(0, TESTS_DIR)
        from running.everything import run_all

        return run_all(options, nose_args)
    except BackportError as e:
        sys.stderr.write('runtests.py: %s\n' % e)

        return 2
    except KeyboardInterrupt:
        sys.stderr.write('runtests.py: interrupted\n')

        return 130


if __name__ == '__main__':
    sys.exit(main(sys.argv[1:]))

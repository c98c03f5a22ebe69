"""Runs the cases of a scenario, each in a process of its own.

This is run by the Python that Djblets is run with. It writes a line of JSON
for each of the cases.
"""

from __future__ import print_function, unicode_literals

import argparse
import json
import os
import site
import sys


TESTS_DIR = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))

#: How long a case may take altogether, in time-outs, and in seconds for each
#: of those that are to leave nothing behind. Cases wait for things with
#: time-outs of their own. This is for what keeps them from it.
CASE_TIMEOUTS = 6
SECONDS_EACH = 0.02

#: How often to switch threads, in seconds on Python 3 and in bytecodes on 2.
SWITCH_INTERVAL = 1e-4
CHECK_INTERVAL = 5


def parse_args():
    """Parse the arguments.

    Returns:
        argparse.Namespace:
        The options.
    """
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        '--packages',
        action='append',
        default=[],
        help='a directory with further packages')
    parser.add_argument(
        '--seconds',
        type=float,
        required=True)
    parser.add_argument(
        '--threads',
        type=int,
        required=True)
    parser.add_argument(
        '--count',
        type=int,
        required=True)
    parser.add_argument(
        '--timeout',
        type=float,
        required=True)
    parser.add_argument(
        'site',
        help='the directory with the djblets package')
    parser.add_argument(
        'scenario',
        help='the name of the scenario\'s module')

    return parser.parse_args()


def run_case(case, run, tally):
    """Run a case, and stop its servers.

    Args:
        case (callable):
            The function that runs it.

        run (stress.run.Run):
            The run.

        tally (stress.tally.Tally):
            What to add what was counted to.
    """
    # Python is to switch threads far more often than it would by itself.
    if hasattr(sys, 'setswitchinterval'):
        sys.setswitchinterval(SWITCH_INTERVAL)
    else:
        sys.setcheckinterval(CHECK_INTERVAL)

    try:
        case(run)
    except Exception:
        run.tally.add_error()
    finally:
        run.stop_servers()

    tally.add(run.tally.to_dict())


def main():
    """Run the cases of a scenario."""
    options = parse_args()
    sys.path[:1] = [options.site, TESTS_DIR]

    for path in options.packages:
        site.addsitedir(path)

    # Some of these patch what the others import.
    scenario = getattr(__import__(str('stress.%s' % options.scenario)),
                       options.scenario)

    from stress.configuration import configure_django
    from stress.run import Run
    from stress.servers import die_with_parent
    from stress.workers import run_in_processes

    die_with_parent()
    configure_django()

    for case in scenario.get_cases():
        run = Run(options.seconds, options.threads, options.count,
                  options.timeout)
        whole = Run(options.seconds, options.threads, options.count,
                    CASE_TIMEOUTS * options.timeout)
        run_in_processes(
            whole, case.__name__, lambda tally: run_case(case, run, tally),
            seconds=options.seconds + SECONDS_EACH * options.count)
        print(json.dumps(dict(whole.tally.to_dict(), case=case.__name__)))
        sys.stdout.flush()


if __name__ == '__main__':
    main()

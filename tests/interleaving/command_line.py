"""The command line of the tester.

It runs a forwarding backend through all schedules of some scenarios.

Exits with 1 if anything is wrong in any of them, and with 2 on bad arguments.
"""

from __future__ import print_function, unicode_literals

import argparse
import os
import sys
import time

from interleaving.exploration import LEFT_OUT, MODULE_NAME, Exploration
from interleaving.module_under_test import ModuleUnderTest
from interleaving.scenarios import SCENARIOS
from interleaving.scheduler import SchedulingError
from interleaving.schedules import parse_schedule


TESTS_DIR = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))

#: The seconds between lines on how far a long scenario has come.
PROGRESS_SECONDS = 10

#: The file of the module in this checkout.
DEFAULT_FILENAME = os.path.join(os.path.dirname(TESTS_DIR),
                                *MODULE_NAME.split('.')) + '.py'


def parse_arguments():
    """Return the arguments of the command line.

    Returns:
        argparse.Namespace:
        The arguments.
    """
    parser = argparse.ArgumentParser(
        description='Run a forwarding backend through all schedules of some '
                    'scenarios.')
    parser.add_argument('--module', default=DEFAULT_FILENAME,
                        metavar='FILE',
                        help='the forwarding_backend.py to run (default: '
                             'the one of this checkout)')
    parser.add_argument('--scenario', action='append', metavar='NAME',
                        help='a scenario to run (default: all of them); may '
                             'be given more than once')
    parser.add_argument('--list', action='store_true',
                        help='list the scenarios')
    parser.add_argument('--preemptions', type=int, default=3, metavar='N',
                        help='the most preemptions in a schedule of two '
                             'threads, one less with three (default: 3)')
    parser.add_argument('--every-line', action='store_true',
                        help='stop at every line, also in the functions of '
                             'our own module that touch no shared state '
                             '(about ten times as many schedules)')
    parser.add_argument('--opcodes', action='store_true',
                        help='stop at every bytecode instruction (Python 3.7 '
                             'and later)')
    parser.add_argument('--stop', action='store_true',
                        help='stop a scenario at the first problem')
    parser.add_argument('--replay', metavar='SCHEDULE',
                        help='run only this schedule of one scenario, and '
                             'print its decision points; the same --every-'
                             'line or --opcodes has to be given as when it '
                             'was found')
    arguments = parser.parse_args()
    names = [scenario.name for scenario in SCENARIOS]

    for name in arguments.scenario or []:
        if name not in names:
            parser.error('"%s" is not a scenario; those are %s'
                         % (name, ', '.join(names)))

    if not os.path.isfile(arguments.module):
        parser.error('"%s" is not a file; --module takes that of a '
                     'forwarding_backend.py'
                     % arguments.module)
    elif arguments.preemptions < 0:
        parser.error('%d preemptions are not possible; 0 is the least'
                     % arguments.preemptions)
    elif arguments.replay:
        if len(arguments.scenario or []) != 1:
            parser.error('--replay takes one --scenario')

        try:
            arguments.replay = parse_schedule(arguments.replay)
        except ValueError as e:
            parser.error(str(e))

    return arguments


def replay(exploration, schedule):
    """Run one schedule, and print its decision points.

    Args:
        exploration (interleaving.exploration.Exploration):
            The scenario.

        schedule (tuple):
            The schedule.

    Returns:
        bool:
        ``True`` if nothing is wrong.
    """
    outcome = exploration.replay(schedule)

    for thread, function, line in outcome.points:
        where = '%s%s, line %d' % ('    ' * thread, function, line)

        if not function:
            where = '%s(the next operation)' % ('    ' * thread)

        print('%s %s' % (chr(ord('A') + thread), where))

    for kind, text in outcome.problems:
        print('%s: %s' % (kind, text))

    if not outcome.problems:
        print('Nothing is wrong in this schedule.')

    return not outcome.problems


def run_all(exploration, preemptions, stop):
    """Run all schedules of a scenario, and print what came of them.

    Args:
        exploration (interleaving.exploration.Exploration):
            The scenario.

        preemptions (int):
            The most preemptions in a schedule.

        stop (bool):
            Whether to stop at the first problem.

    Returns:
        bool:
        ``True`` if nothing is wrong.
    """
    name = exploration.scenario.name
    count = 0
    problems = {}
    started = printed = time.time()

    for outcome in exploration.explore(preemptions):
        count += 1

        for kind, text in outcome.problems:
            problems.setdefault(kind, []).append((outcome.schedule, text))

        if outcome.problems and stop:
            break

        if time.time() - printed > PROGRESS_SECONDS:
            printed = time.time()
            print('%s: %d schedules so far' % (name, count))
            sys.stdout.flush()

    print('%s: %d schedules in %.0f seconds, %s'
          % (name, count, time.time() - started,
             'problems:' if problems else 'nothing wrong'))

    for kind, found in sorted(problems.items()):
        schedule, text = min(found, key=lambda each: (len(each[0]), each))
        print('  %s, in %d schedules; in %s: %s'
              % (kind, len(found), schedule, text))

    sys.stdout.flush()

    return not problems


def main():
    """Run what the command line says.

    Returns:
        int:
        The exit status.
    """
    arguments = parse_arguments()

    if arguments.list:
        for scenario in SCENARIOS:
            print(scenario.name)

        return 0

    left_out = []

    # Nothing is known of what the functions of other modules share.
    if os.path.samefile(arguments.module, DEFAULT_FILENAME):
        left_out = [] if arguments.every_line else LEFT_OUT

    good = True

    try:
        module = ModuleUnderTest(MODULE_NAME, arguments.module)

        for scenario in SCENARIOS:
            if not arguments.scenario or scenario.name in arguments.scenario:
                exploration = Exploration(module, scenario, left_out,
                                          arguments.opcodes)

                if arguments.replay:
                    good = replay(exploration, arguments.replay) and good
                else:
                    good = run_all(exploration, arguments.preemptions,
                                   arguments.stop) and good
    except SchedulingError as e:
        print('error: %s' % e, file=sys.stderr)
        return 2

    return 0 if good else 1

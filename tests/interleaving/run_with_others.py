"""Runs some of the scenarios under the schedulers of other projects.

Those search in ways of their own, and stop threads at bytecode instructions:
interleave-test by priorities that are changed at random (PCT), and frontrun
by partial order reduction (DPOR). They're an extra, which no other test needs.

This takes Python 3.12 or later. To get them, in an environment of their own::

    pip install frontrun==0.7.0 interleave-test==0.1.0 Django

Exits with 1 if anything is wrong in any scenario, and with 2 on bad arguments
or if neither of them is installed.
"""

import argparse
import logging
import os
import sys
import threading


if __name__ == '__main__':
    tests_dir = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    sys.path[0:1] = [tests_dir, os.path.dirname(tests_dir)]


from django.conf import settings

from interleaving.command_line import DEFAULT_FILENAME
from interleaving.exploration import MODULE_NAME
from interleaving.module_under_test import ModuleUnderTest
from interleaving.scenarios import (CLOSED_TWICE, EXCEPTION, LEFT_OPEN,
                                    LIVE_CLOSED, NONE_ACCESS, SCENARIOS,
                                    STALE, World)


#: The names of the scenarios to run.
SCENARIO_NAMES = [
    'reader_and_reset',
    'two_resets',
    'first_load_and_reset',
]

# What's left behind isn't known, as the tools keep objects alive themselves.
KINDS = [CLOSED_TWICE, EXCEPTION, LEFT_OPEN, LIVE_CLOSED, NONE_ACCESS, STALE]

#: The seed of random choices, so that each run makes the same ones.
SEED = 1

#: The seconds that one schedule may take before it counts as a hang.
SCHEDULE_SECONDS = 30


class ToolLocks(object):
    """What a world needs of a scheduler, for a tool that has its own.

    Attributes:
        locks (list):
            The locks to look at afterwards. There are none, as a lock that's
            still acquired is a deadlock at the next access.

        deadlock (unicode):
            The description of a deadlock, which the tools report themselves.
    """

    locks = []
    deadlock = None

    def make_lock(self, reentrant):
        """Return a lock that the tool has put in place of Python's.

        Args:
            reentrant (bool):
                Whether the lock is reentrant.

        Returns:
            object:
            The lock.
        """
        return threading.RLock() if reentrant else threading.Lock()

    def point(self):
        """Do nothing, as the tool stops threads on its own."""


class InterruptibleWorld(World):
    """A world whose own code may be interrupted at any instruction.

    It can tell what's wrong in the end, but not whether an access amid the
    others was stale.
    """

    def __init__(self, *args):
        """Set the scene.

        Args:
            *args (tuple):
                The arguments of a world.
        """
        self.edit_lock = threading.Lock()
        super().__init__(*args)

    def edit(self, location, in_place=False):
        """Edit the settings, in the order that locations are noted in.

        Args:
            location (unicode):
                The new location, which was never used before.

            in_place (bool, optional):
                Whether to edit the dictionary that's there.
        """
        with self.edit_lock:
            # A reader may see the location as soon as it's in the settings,
            # and looks for it here. Editing them notes it once more.
            self.locations.append(location)
            super().edit(location, in_place)
            self.locations.pop()

    def check(self):
        """Check all that has to hold when the threads have ended.

        Returns:
            list of tuple:
            The problems.
        """
        self.problems = [problem for problem in self.problems
                         if problem[0] != STALE]

        return super().check()


def find_problems(world):
    """Return what's wrong when the threads have ended.

    Args:
        world (interleaving.scenarios.World):
            The world.

    Returns:
        list of unicode:
        The descriptions.
    """
    return ['%s: %s' % (kind, text) for kind, text in world.check()
            if kind in KINDS]


def run_interleave_test(interleave_test, module, scenario, count):
    """Run a scenario under interleave-test.

    Args:
        interleave_test (module):
            The tool.

        module (interleaving.module_under_test.ModuleUnderTest):
            The module under test.

        scenario (interleaving.scenarios.Scenario):
            The scenario.

        count (int):
            The number of schedules.

    Returns:
        tuple:
        How many schedules were run, and a list of what's wrong in the last.
    """
    def model():
        # To preempt what runs alone would be a waste of preemptions.
        with interleave_test.no_interleave():
            world = World(module, ToolLocks(), scenario)

        tasks = [interleave_test.spawn(body) for body in world.get_bodies()]

        for task in tasks:
            task.join()

        with interleave_test.no_interleave():
            problems = find_problems(world)

        if problems:
            raise AssertionError('; '.join(problems))

    result = interleave_test.explore(
        model, iterations=count, seed=SEED, strategy='pct',
        include=[module.filename], timeout=SCHEDULE_SECONDS,
        raise_on_failure=False)
    failure = result.failure

    if failure is None:
        return result.schedules_run, []

    return result.schedules_run, [
        '%s: %s' % (failure.kind, failure.exception or failure.details)]


def run_frontrun(frontrun, module, scenario, count):
    """Run a scenario under frontrun.

    Args:
        frontrun (module):
            The tool.

        module (interleaving.module_under_test.ModuleUnderTest):
            The module under test.

        scenario (interleaving.scenarios.Scenario):
            The scenario.

        count (int):
            The most schedules.

    Returns:
        tuple:
        How many schedules were run, and a list of what's wrong in the last.
    """
    problems = []

    def is_good(world):
        problems[:] = find_problems(world)

        return not problems

    def make_worker(index):
        return lambda world: world.get_bodies()[index]()

    # Its command line sets this, and intercepts the I/O of C code as well.
    # There's none here.
    os.environ['FRONTRUN_ACTIVE'] = '1'

    result = frontrun.explore(
        setup=lambda: InterruptibleWorld(module, ToolLocks(), scenario),
        workers=[make_worker(i) for i in range(len(scenario.threads))],
        invariant=is_good, strategy='dpor', max_executions=count,
        timeout_per_run=SCHEDULE_SECONDS, detect_io=False,
        reproduce_on_failure=0)

    if result.property_holds:
        return result.num_explored, []

    return result.num_explored, problems or [
        result.inconclusive_reason or result.explanation or 'no verdict']


#: The package of each tool, its module, and what runs a scenario under it.
TOOLS = [
    ('interleave-test', 'interleave_test', run_interleave_test),
    ('frontrun', 'frontrun', run_frontrun),
]


def import_tools():
    """Import the tools, and say which aren't installed.

    Returns:
        list of tuple:
        The name, the module and the runner of each that's installed.
    """
    tools = []

    for name, module_name, run in TOOLS:
        try:
            tools.append((name, __import__(module_name), run))
        except ImportError as e:
            print('%s is not installed, and left out (%s)' % (name, e),
                  flush=True)

    return tools


def parse_arguments():
    """Return the arguments of the command line.

    Returns:
        argparse.Namespace:
        The arguments.
    """
    parser = argparse.ArgumentParser(
        description='Run some of the scenarios under interleave-test and '
                    'frontrun.')
    parser.add_argument('--module', default=DEFAULT_FILENAME,
                        metavar='FILE',
                        help='the forwarding_backend.py to run (default: '
                             'the one of this checkout)')
    parser.add_argument('--schedules', type=int, default=500, metavar='N',
                        help='the most schedules of a scenario under each '
                             'tool (default: 500)')
    arguments = parser.parse_args()

    if not os.path.isfile(arguments.module):
        parser.error('"%s" is not a file; --module takes that of a '
                     'forwarding_backend.py'
                     % arguments.module)
    elif arguments.schedules < 1:
        parser.error('%d schedules show nothing; 1 is the least'
                     % arguments.schedules)

    return arguments


def main():
    """Run what the command line says.

    Returns:
        int:
        The exit status.
    """
    arguments = parse_arguments()
    tools = import_tools()

    if not tools:
        print('error: there is no tool to run; pip install frontrun==0.7.0 '
              'interleave-test==0.1.0', file=sys.stderr)
        return 2

    settings.configure()
    logging.disable(logging.CRITICAL)
    scenarios = [scenario for scenario in SCENARIOS
                 if scenario.name in SCENARIO_NAMES]

    try:
        module = ModuleUnderTest(MODULE_NAME,
                                 os.path.abspath(arguments.module))

        # A module that isn't for this Django may only fail at its first use.
        for scenario in scenarios:
            World(module, ToolLocks(), scenario).caches[0].get('key')
    except Exception as e:
        print('error: "%s" does not work with this Python and Django; one '
              'that does is needed (%s: %s)'
              % (arguments.module, type(e).__name__, e), file=sys.stderr)
        return 2

    good = True

    for name, tool, run in tools:
        for scenario in scenarios:
            count, problems = run(tool, module, scenario, arguments.schedules)
            print('%s, %s: %d schedules, %s'
                  % (name, scenario.name, count,
                     'problems:' if problems else 'nothing wrong'))

            for problem in problems:
                print('  %s' % problem)

            sys.stdout.flush()
            good = good and not problems

    return 0 if good else 1


if __name__ == '__main__':
    sys.exit(main())

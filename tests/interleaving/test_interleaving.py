"""Tests of the forwarding backend in all schedules, and of the tester.

These environment variables change what's run:

``INTERLEAVING_PREEMPTIONS``:
    The most preemptions in a schedule of two threads, 3 by default. There's
    one less with three threads.

``INTERLEAVING_EVERY_LINE``:
    Set to stop threads at every line of the module. That takes ten times as
    long.

``INTERLEAVING_RELEASES``:
    A directory with trees of the official releases ``0.8.13`` and ``0.8.14``,
    whose known defects have to be found. These need Python 2.7 and Django 1.6.
"""

from __future__ import unicode_literals

import os
import sys
import unittest

import django
from django.conf import settings

if not settings.configured and 'DJANGO_SETTINGS_MODULE' not in os.environ:
    settings.configure()

from interleaving.exploration import LEFT_OUT, MODULE_NAME, Exploration
from interleaving.module_under_test import ModuleUnderTest
from interleaving.scenarios import DEADLOCK, NONE_ACCESS, SCENARIOS, STALE
from interleaving.scheduler import Scheduler, SchedulingError
from interleaving.schedules import (count_preemptions, explore,
                                    format_schedule, parse_schedule)


TESTS_DIR = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


def find_scenario(name):
    """Return the scenario of a name.

    Args:
        name (unicode):
            The name.

    Returns:
        interleaving.scenarios.Scenario:
        The scenario.
    """
    return next(scenario for scenario in SCENARIOS if scenario.name == name)


class SchedulerTests(unittest.TestCase):
    """Tests for the scheduler and the search, on examples."""

    @classmethod
    def setUpClass(cls):
        """Compile the examples."""
        cls.module = ModuleUnderTest(
            'interleaving.examples_under_test',
            os.path.join(TESTS_DIR, 'interleaving', 'examples.py'))

    def explore(self, class_name, methods, preemptions, opcodes=False):
        """Run methods of an example in all schedules.

        Args:
            class_name (unicode):
                The name of the example.

            methods (list of unicode):
                The name of the method that each thread calls.

            preemptions (int):
                The most preemptions in a schedule.

            opcodes (bool, optional):
                Whether to stop at each bytecode instruction.

        Returns:
            list of tuple:
            The schedule, the value of the example and the deadlock, for each
            schedule.
        """
        scheduler = Scheduler(self.module.code.co_filename, opcodes=opcodes)

        def run(schedule, branching):
            example = getattr(self.module.load(scheduler), class_name)()
            branches = scheduler.run(
                [getattr(example, method) for method in methods],
                schedule, branching)

            return branches, (format_schedule(scheduler.executed),
                              getattr(example, 'value', None),
                              scheduler.deadlock)

        return list(explore(run, preemptions))

    def test_number_of_schedules(self):
        """Testing explore runs each schedule once"""
        schedules = [schedule for schedule, value, deadlock in self.explore(
            'Counter', ['increment', 'increment'], 100)]

        # Each thread has three parts: what's before its first line, that
        # line, and the other one. There are as many ways to mix three with
        # three in a row.
        self.assertEqual(len(schedules), 20)
        self.assertEqual(len(set(schedules)), 20)

    def test_preemption_bound(self):
        """Testing explore with fewer preemptions"""
        methods = ['increment', 'increment']

        self.assertEqual(
            [schedule for schedule, value, deadlock in
             self.explore('Counter', methods, 0)],
            ['A,B', 'B,A'])

        for bound in (1, 2, 3):
            every = [parse_schedule(result[0]) for result in
                     self.explore('Counter', methods, 100)]

            self.assertEqual(
                set(result[0]
                    for result in self.explore('Counter', methods, bound)),
                set(format_schedule(schedule) for schedule in every
                    if count_preemptions(schedule) <= bound))

    def test_lost_update(self):
        """Testing explore finds a lost update"""
        results = self.explore('Counter', ['increment', 'increment'], 1)

        self.assertIn(('A2,B,A', 1, None), results)
        self.assertIn(('A,B', 2, None), results)

    def test_lock(self):
        """Testing explore with a lock against lost updates"""
        results = self.explore('Counter', ['increment_locked'] * 3, 3)

        self.assertEqual(set(result[1:] for result in results),
                         set([(3, None)]))

        # Thread B blocks, and goes on when A has ended.
        self.assertIn('A2,B,A,B,C', [result[0] for result in results])

    def test_non_blocking_acquire(self):
        """Testing explore with a lock that's not waited for"""
        results = self.explore('Counter', ['increment_if_free'] * 2, 2)

        self.assertEqual(set(result[1:] for result in results),
                         set([(1, None), (2, None)]))

    def test_deadlock(self):
        """Testing explore finds a deadlock"""
        results = self.explore('Pair', ['forwards', 'backwards'], 1)
        deadlocks = [result for result in results if result[2]]

        self.assertTrue(0 < len(deadlocks) < len(results))
        self.assertIn('A waits for a lock that B has', deadlocks[0][2])
        self.assertIn('B waits for a lock that A has', deadlocks[0][2])

    def test_opcodes(self):
        """Testing explore with every bytecode instruction"""
        methods = ['increment', 'increment']

        if sys.version_info < (3, 7):
            self.assertRaises(SchedulingError, self.explore, 'Counter',
                              methods, 1, opcodes=True)
            return

        results = self.explore('Counter', methods, 1, opcodes=True)

        self.assertTrue(
            len(results) > len(self.explore('Counter', methods, 1)))
        self.assertEqual(set(result[1] for result in results), set([1, 2]))

    def test_impossible_schedule(self):
        """Testing Scheduler.run with schedules that don't exist"""
        scheduler = Scheduler(self.module.code.co_filename)

        for text, message in (('A40,B,A', 'before it came to number 40'),
                              ('A2,C', 'Thread C cannot go on'),
                              ('C', 'Thread C cannot go on')):
            counter = self.module.load(scheduler).Counter()

            try:
                scheduler.run([counter.increment] * 2, parse_schedule(text))
            except SchedulingError as e:
                self.assertIn(message, str(e))
            else:
                self.fail('%s was run' % text)

    def test_bad_schedule(self):
        """Testing parse_schedule with bad schedules"""
        self.assertEqual(parse_schedule('A12,B,A'),
                         ((0, 12), (1, None), (0, None)))

        for text in ('', 'a', 'A1', 'A,', 'A-1,B', 'AB,A'):
            self.assertRaises(ValueError, parse_schedule, text)


class InterleavingTests(unittest.TestCase):
    """Tests for the forwarding backend, in all schedules of each scenario."""

    @classmethod
    def setUpClass(cls):
        """Compile the module."""
        cls.module = ModuleUnderTest(
            MODULE_NAME,
            os.path.join(os.path.dirname(TESTS_DIR),
                         *MODULE_NAME.split('.')) + '.py')
        cls.preemptions = int(os.environ.get('INTERLEAVING_PREEMPTIONS', 3))
        cls.left_out = LEFT_OUT

        if os.environ.get('INTERLEAVING_EVERY_LINE'):
            cls.left_out = []

    def check_scenario(self, scenario):
        """Check that nothing is wrong in any schedule of a scenario.

        Args:
            scenario (interleaving.scenarios.Scenario):
                The scenario.
        """
        exploration = Exploration(self.module, scenario, self.left_out)
        count = 0

        for outcome in exploration.explore(self.preemptions):
            count += 1

            if outcome.problems:
                self.fail(
                    '%s\nReplay it with tests/interleaving/run.py '
                    '--scenario %s%s --replay %s'
                    % ('\n'.join('%s: %s' % problem
                                 for problem in outcome.problems),
                       scenario.name,
                       '' if self.left_out else ' --every-line',
                       outcome.schedule))

        sys.stderr.write('%s: %d schedules\n' % (scenario.name, count))
        self.assertTrue(count > 1)

    def test_replay(self):
        """Testing Exploration.replay runs the same schedule again"""
        exploration = Exploration(self.module, find_scenario('two_resets'))
        schedule = parse_schedule('A20,B3,A,B')
        outcomes = [exploration.replay(schedule) for i in range(2)]

        self.assertEqual(outcomes[0].points, outcomes[1].points)
        self.assertEqual(outcomes[0].schedule, 'A20,B3,A,B')
        self.assertEqual(
            [thread for thread, function, line in outcomes[0].points[:22]],
            [0] * 19 + [1] * 2 + [0])

    def test_closed_after_replaced(self):
        """Testing ForwardingCacheBackend.close may come after the owner's, as
        is known
        """
        exploration = Exploration(self.module,
                                  find_scenario('close_and_reset'))

        self.assertIn(['owner', 'request'],
                      [record.closed_by
                       for outcome in exploration.explore(1)
                       for record in outcome.records])


def _add_scenario_tests():
    """Add a test for each scenario."""
    def make_test(scenario):
        def test(self):
            self.check_scenario(scenario)

        test.__name__ = str('test_%s' % scenario.name)
        test.__doc__ = ('Testing ForwardingCacheBackend in all schedules of %s'
                        % scenario.name)

        return test

    for scenario in SCENARIOS:
        test = make_test(scenario)
        setattr(InterleavingTests, test.__name__, test)


_add_scenario_tests()


class KnownDefectTests(unittest.TestCase):
    """Tests that the defects of unfixed releases are found, each by name."""

    def find(self, version, scenario_name, kind, text):
        """Find a problem that a release is known for.

        Args:
            version (unicode):
                The version of the release.

            scenario_name (unicode):
                The name of the scenario.

            kind (unicode):
                The kind of problem.

            text (unicode):
                The description.

        Returns:
            Outcome:
            The first outcome that has the problem.
        """
        directory = os.environ.get('INTERLEAVING_RELEASES')

        if not directory:
            raise unittest.SkipTest(
                'INTERLEAVING_RELEASES does not name the directory of the '
                'unpacked releases')
        elif sys.version_info[0] > 2 or django.VERSION[:2] != (1, 6):
            raise unittest.SkipTest(
                'Djblets %s needs Python 2.7 and Django 1.6' % version)

        path = os.path.join(directory, version,
                            *MODULE_NAME.split('.')) + '.py'
        self.assertTrue(os.path.isfile(path),
                        'INTERLEAVING_RELEASES has no file %s' % path)
        exploration = Exploration(ModuleUnderTest(MODULE_NAME, path),
                                  find_scenario(scenario_name))
        count = 0

        for outcome in exploration.explore(2):
            count += 1

            if (kind, text) in outcome.problems:
                sys.stderr.write('%s has "%s: %s" in schedule %d, %s\n'
                                 % (version, kind, text, count,
                                    outcome.schedule))

                # It's the same when it's run again.
                again = exploration.replay(parse_schedule(outcome.schedule))
                self.assertEqual(again.problems, outcome.problems)

                return outcome

        self.fail('%s has no "%s: %s" in %d schedules'
                  % (version, kind, text, count))

    def check_waited(self, outcome, thread):
        """Check that a thread had to wait for a lock.

        Args:
            outcome (interleaving.exploration.Outcome):
                The outcome of the schedule.

            thread (int):
                The index of the thread.
        """
        stops = [stop for each, stop in parse_schedule(outcome.schedule)
                 if each == thread]

        self.assertIn(None, stops[:-1])

    def test_none_access(self):
        """Testing 0.8.13 lets a reader meet None in a reset"""
        self.find('0.8.13', 'reader_and_reset', NONE_ACCESS,
                  "AttributeError: 'NoneType' object has no attribute 'get'")

    def test_lost_reset_in_first_load(self):
        """Testing 0.8.14 loses a reset during the first load"""
        outcome = self.find('0.8.14', 'first_load_and_reset', STALE,
                            'A is in use, after B was set')
        self.check_waited(outcome, 1)

    def test_lost_reset_in_other_reset(self):
        """Testing 0.8.14 loses a reset that waits for another one"""
        outcome = self.find('0.8.14', 'two_resets', STALE,
                            'B is in use, after C was set')
        self.check_waited(outcome, 1)

    def test_deadlock(self):
        """Testing 0.8.14 deadlocks where a target resets while it loads"""
        self.find('0.8.14', 'reset_in_load_and_reader', DEADLOCK,
                  'B waits for a lock that B has')

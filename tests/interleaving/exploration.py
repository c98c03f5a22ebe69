"""Runs a scenario through all schedules, or again through one of them."""

from __future__ import unicode_literals

import contextlib
import ctypes
import logging
import os
import sys

from django.core.signals import request_finished, request_started
from django.test.utils import override_settings

from interleaving.scenarios import World
from interleaving.scheduler import Scheduler
from interleaving.schedules import explore, format_schedule
from interleaving.targets import Target


#: The name that the module is imported by.
MODULE_NAME = 'djblets.cache.forwarding_backend'

#: The functions of our module that threads need not be stopped in.
#:
#: To stop a thread at a line that touches nothing shared is the same as to
#: stop it at the next one that does: what others do in between, it can't see,
#: and they can't see it. So where a function touches shared state once at
#: most, its lines may be taken as one with the line that calls it. That's so
#: for these, in all of the scenarios:
#:
#: * ``_snapshot`` copies a dictionary in one operation. There's none within.
#: * ``_get_backend_class``, ``_build_backend`` and ``__getattr__`` only have
#:   arguments and what never changes. The target's constructor may reset the
#:   cache, but the lines of that are stopped at as ever.
#: * ``_close`` closes.
#: * ``_drop_django_backend`` has to do with Django's own handles for each
#:   thread, which no scenario has.
#: * The ``__init__`` methods fill objects that no other thread has yet, and
#:   one of them ends in adding to a dictionary.
#: * ``apply_changes`` looks into a dictionary that stays empty.
#: * ``is_loading`` looks at the stack of its own thread.
#:
#: That's an argument, not a proof, so there's also the choice of every line.
LEFT_OUT = [
    '_snapshot',
    '_close',
    '_drop_django_backend',
    '_get_backend_class',
    '_build_backend',
    '_Owner.__init__',
    '_Owner.apply_changes',
    '_Owner.is_loading',
    'ForwardingCacheBackend.__init__',
    'ForwardingCacheBackend.__getattr__',
]


class Outcome(object):
    """What came of a schedule.

    Attributes:
        schedule (unicode):
            The schedule.

        problems (list of tuple):
            The problems, each as its kind and a description.

        records (list of interleaving.targets.Record):
            The records of all targets.

        points (list of tuple):
            All decision points, where asked for, each as the thread's index,
            the name of the function and the line number.
    """

    def __init__(self, schedule, problems, records):
        """Initialize the outcome.

        Args:
            schedule (unicode):
                The schedule.

            problems (list of tuple):
                The problems.

            records (list of interleaving.targets.Record):
                The records.
        """
        self.schedule = schedule
        self.problems = problems
        self.records = records
        self.points = None


class Exploration(object):
    """A scenario of a module, to be run by schedules."""

    def __init__(self, module, scenario, left_out=(), opcodes=False):
        """Initialize the exploration.

        Args:
            module (interleaving.module_under_test.ModuleUnderTest):
                The module.

            scenario (interleaving.scenarios.Scenario):
                The scenario.

            left_out (list of unicode, optional):
                The names of functions that threads are not stopped in.

            opcodes (bool, optional):
                Whether to stop at each bytecode instruction.
        """
        self.module = module
        self.scenario = scenario
        self.scheduler = Scheduler(module.code.co_filename,
                                   left_out=module.find_code(left_out),
                                   opcodes=opcodes)

    def explore(self, preemptions):
        """Run all schedules.

        Args:
            preemptions (int):
                The most preemptions in a schedule of two threads. There's one
                less with three threads.

        Yields:
            Outcome:
            The outcome of each.
        """
        preemptions -= len(self.scenario.threads) - 2

        with _set_apart(), _stay_on_one_cpu():
            for outcome in explore(self._run, max(preemptions, 0)):
                yield outcome

    def replay(self, schedule):
        """Run one schedule.

        Args:
            schedule (tuple):
                The schedule.

        Returns:
            Outcome:
            The outcome.

        Raises:
            interleaving.scheduler.SchedulingError:
                This schedule does not exist.
        """
        self.scheduler.points = []

        with _set_apart(), _stay_on_one_cpu():
            outcome = self._run(schedule)[1]

        outcome.points = self.scheduler.points
        self.scheduler.points = None

        return outcome

    def _run(self, schedule, branching=False):
        """Run one schedule, for :py:func:`interleaving.schedules.explore`.

        Args:
            schedule (tuple):
                The schedule.

            branching (bool, optional):
                Whether to look for further preemptions.

        Returns:
            tuple:
            The schedules that take one other decision, and the outcome.
        """
        world = World(self.module, self.scheduler, self.scenario)
        branches = self.scheduler.run(world.get_bodies(), schedule, branching)
        problems = world.check()

        return branches, Outcome(format_schedule(self.scheduler.executed),
                                 problems, Target.records)


@contextlib.contextmanager
def _set_apart():
    """Undo afterwards whatever schedules do in this process, and don't log."""
    disabled = logging.root.manager.disable
    module = sys.modules.get(MODULE_NAME)
    signals = [(signal, list(signal.receivers))
               for signal in (request_started, request_finished)]
    logging.disable(logging.CRITICAL)

    try:
        # This also restores what Django made of the settings.
        with override_settings(CACHES={}):
            yield
    finally:
        logging.disable(disabled)

        for signal, receivers in signals:
            signal.receivers[:] = receivers

        if module is not None:
            sys.modules[MODULE_NAME] = module


@contextlib.contextmanager
def _stay_on_one_cpu():
    """Keep this process on one CPU, where the system can.

    Threads that only ever run in turns are switched between in half the time
    if they don't move from one CPU to another. Python 2 has no function for
    that, so this takes the C library's.
    """
    cpus = (ctypes.c_ubyte * 128)()
    libc = ctypes.CDLL(None)
    get_cpus = getattr(libc, 'sched_getaffinity', None)

    if get_cpus is None or get_cpus(0, len(cpus), cpus) != 0:
        yield
        return

    numbers = [number for number in range(len(cpus) * 8)
               if cpus[number // 8] & 1 << number % 8]
    number = numbers[os.getpid() % len(numbers)]
    cpu = (ctypes.c_ubyte * len(cpus))()
    cpu[number // 8] = 1 << number % 8
    libc.sched_setaffinity(0, len(cpu), cpu)

    try:
        yield
    finally:
        libc.sched_setaffinity(0, len(cpus), cpus)

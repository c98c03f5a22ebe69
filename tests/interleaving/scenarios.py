"""What threads do with forwarding backends, and what has to hold afterwards.

Each operation of a thread takes the world and the thread's own forwarding
backend. Those of one thread have decision points in between.
"""

from __future__ import unicode_literals

import importlib
import threading

from django.conf import settings
from django.core.signals import request_finished, request_started

from interleaving import targets


# This connects its receivers to signals, which has to be over by the time that
# they're counted.
importlib.import_module('django.core.cache')


#: The alias that's forwarded to.
ALIAS = 'forwarded_backend'

# The kinds of problems.
CLOSED_TWICE = 'closed twice'
DEADLOCK = 'deadlock'
EXCEPTION = 'exception'
LEFT_BEHIND = 'left behind'
LEFT_OPEN = 'left open'
LIVE_CLOSED = 'live one closed'
NONE_ACCESS = 'access to None'
STALE = 'stale'


def count_receivers():
    """Return how many receivers the signals of requests have.

    Returns:
        tuple of int:
        The numbers.
    """
    return len(request_started.receivers), len(request_finished.receivers)


class World(object):
    """The settings, targets and forwarding backends of one schedule.

    Attributes:
        caches (list):
            The forwarding backend of each thread.

        problems (list of tuple):
            What was found wrong, each as its kind and a description.
    """

    def __init__(self, module, scheduler, scenario):
        """Set the scene, which is to be restored by the caller.

        Args:
            module (ModuleUnderTest):
                The module.

            scheduler (interleaving.scheduler.Scheduler):
                The scheduler.

            scenario (Scenario):
                The scenario.
        """
        self.problems = []
        self.locations = []
        self.scenario = scenario
        self.scheduler = scheduler
        scheduler.locks = []
        settings.CACHES = {}
        self.edit('A')

        # The location that every access has to see, by its place in the above,
        # and the number of the reset that it has to be made after.
        self.settled = 0
        self.settled_reset = 0

        del request_started.receivers[:]
        del request_finished.receivers[:]
        self.module = module.load(scheduler)
        self.receivers = count_receivers()
        targets.Target.records = []
        targets.Target.resets = 0
        targets.Target.when_loading = {}

        count = len(scenario.threads)

        if scenario.shared:
            self.caches = [self.make_cache()] * count
        elif scenario.loaded:
            self.caches = [self.make_cache() for i in range(count)]
        else:
            # Each thread is to make its own.
            self.caches = [None] * count

        if scenario.loaded:
            for cache in self.caches:
                cache.get('key')

        if scenario.prepare is not None:
            scenario.prepare(self, self.caches[0])

    def make_cache(self):
        """Return a new forwarding backend.

        Returns:
            object:
            The forwarding backend, as made by Django.
        """
        return self.module.ForwardingCacheBackend(ALIAS, {})

    def edit(self, location, in_place=False):
        """Edit the settings.

        Args:
            location (unicode):
                The new location, which was never used before.

            in_place (bool, optional):
                Whether to edit the dictionary that's there, rather than put
                another one in its place.
        """
        if in_place:
            settings.CACHES[ALIAS]['LOCATION'] = location
        else:
            settings.CACHES[ALIAS] = {
                'BACKEND': targets.__name__ + '.Target',
                'LOCATION': location,
            }

        self.locations.append(location)

    def was_broken(self, place):
        """Return whether a load could fail.

        Args:
            place (int):
                The place in the history of locations to look from.

        Returns:
            bool:
            ``True`` if any location from there on can't be loaded.
        """
        return any(location.startswith('broken')
                   for location in self.locations[place:])

    def add_problem(self, kind, text):
        """Note that something is wrong.

        Args:
            kind (unicode):
                The kind of problem.

            text (unicode):
                The description.
        """
        self.problems.append((kind, text))

    def get_bodies(self):
        """Return what each thread does.

        Returns:
            list of callable:
            The bodies, for the scheduler.
        """
        return [self._get_body(index)
                for index in range(len(self.scenario.threads))]

    def _get_body(self, index):
        """Return what a thread does.

        Args:
            index (int):
                The index of the thread.

        Returns:
            callable:
            The body.
        """
        def body():
            for i, operation in enumerate(self.scenario.threads[index]):
                if i:
                    self.scheduler.point()

                self._try(operation, index)

            for name, value in vars(self.module).items():
                local = isinstance(value, threading.local)

                if local and any(value.__dict__.values()):
                    self.add_problem(LEFT_BEHIND,
                                     '%s has %r' % (name, value.__dict__))

        return body

    def _try(self, operation, index):
        """Do an operation, noting any exception.

        Args:
            operation (callable):
                The operation.

            index (int):
                The index of the thread whose forwarding backend is used.
        """
        try:
            if self.caches[index] is None:
                self.caches[index] = self.make_cache()

            operation(self, self.caches[index])
        except Exception as e:
            kind = EXCEPTION

            if "'NoneType' object has no attribute" in str(e):
                kind = NONE_ACCESS

            self.add_problem(kind, '%s: %s' % (type(e).__name__, e))

    def check(self):
        """Check all that has to hold when the threads have ended.

        Returns:
            list of tuple:
            The problems.
        """
        if self.scheduler.deadlock:
            self.add_problem(DEADLOCK, self.scheduler.deadlock)

            return self.problems

        if any(lock.locked() for lock in self.scheduler.locks):
            self.add_problem(LEFT_BEHIND, 'a lock is still acquired')

            return self.problems

        # Whatever happened, there's a way on from there.
        if self.locations[-1].startswith('broken'):
            self.edit('mended')
            self._try(reset_unchanged, 0)

        # The next access is to see what's newest.
        self.settled = len(self.locations) - 1
        self.settled_reset = targets.Target.resets
        live = []

        for index in range(len(self.caches)):
            self._try(lambda world, cache: live.append(get(world, cache)),
                      index)

        for record in targets.Target.records:
            if record not in live:
                self._check_replaced(record)
            elif 'owner' in record.closed_by:
                self.add_problem(LIVE_CLOSED,
                                 '%s is in use' % record.location)

        for name, value in vars(self.module).items():
            registry = isinstance(value, dict) and not name.startswith('__')

            if registry and set(value) - set([ALIAS]):
                self.add_problem(LEFT_BEHIND, '%s has %r' % (name, value))

        if count_receivers() != self.receivers:
            self.add_problem(LEFT_BEHIND, 'a signal has more receivers')

        return self.problems

    def _check_replaced(self, record):
        """Check what has to hold for a target that was replaced.

        Args:
            record (interleaving.targets.Record):
                Its record.
        """
        closes = record.closed_by.count('owner')

        if closes == 0:
            self.add_problem(LEFT_OPEN, '%s was replaced' % record.location)
        elif closes > 1:
            self.add_problem(CLOSED_TWICE,
                             '%s was replaced' % record.location)

        if not self.scenario.fails and record.get_target() is not None:
            self.add_problem(LEFT_BEHIND, '%s is kept' % record.location)


class Scenario(object):
    """What each of some threads does.

    Attributes:
        name (unicode):
            The name.

        threads (list of list of callable):
            The operations of each thread.

        shared (bool):
            Whether one forwarding backend is shared by all threads, as by
            Django 1.6. Otherwise each thread has its own.

        loaded (bool):
            Whether the targets are loaded before.

        prepare (callable):
            An operation for before the threads run.

        fails (bool):
            Whether a load fails. What an error's traceback refers to lives on
            until the next garbage collection.
    """

    def __init__(self, name, threads, shared=True, loaded=True, prepare=None,
                 fails=False):
        """Initialize the scenario.

        Args:
            name (unicode):
                The name.

            threads (list of list of callable):
                The operations of each thread.

            shared (bool, optional):
                Whether one forwarding backend is shared by all threads.

            loaded (bool, optional):
                Whether the targets are loaded before.

            prepare (callable, optional):
                An operation for before the threads run.

            fails (bool, optional):
                Whether a load fails.
        """
        self.name = name
        self.threads = threads
        self.shared = shared
        self.loaded = loaded
        self.prepare = prepare
        self.fails = fails


def get(world, cache):
    """Access the cache."""
    settled = world.settled
    settled_reset = world.settled_reset

    try:
        record = cache.get('key')
    except targets.TargetError:
        if not world.was_broken(settled):
            raise

        return None

    if record is None:
        world.add_problem(NONE_ACCESS, 'an access got None')
    elif world.locations.index(record.location) < settled:
        world.add_problem(STALE,
                          '%s is in use, after %s was set'
                          % (record.location, world.locations[settled]))
    elif record.resets < settled_reset:
        world.add_problem(STALE,
                          '%s from before reset %d is in use'
                          % (record.location, settled_reset))

    return record


def reset_unchanged(world, cache):
    """Reset the cache to what the settings are."""
    targets.Target.resets += 1
    number = targets.Target.resets
    newest = len(world.locations) - 1
    cache.reset_backend()
    world.settled = max(world.settled, newest)
    world.settled_reset = max(world.settled_reset, number)


def reset(location, in_place=False):
    """Return an operation that edits the settings and resets the cache."""
    def operation(world, cache):
        place = len(world.locations)
        world.edit(location, in_place)

        try:
            reset_unchanged(world, cache)
        except targets.TargetError:
            if not world.was_broken(place):
                raise

    return operation


def edit_and_start_request(location):
    """Return an operation that edits settings for the requests to come."""
    def operation(world, cache):
        world.edit(location, in_place=True)
        newest = len(world.locations) - 1
        request_started.send(sender=None)
        world.settled = max(world.settled, newest)

    return operation


def finish_request(world, cache):
    """Close the cache as the request_finished signal does."""
    cache.close(signal=request_finished, sender=None)


def reset_when_loading(loading, location):
    """Return an operation that has a target reset the cache while it loads."""
    def operation(world, cache):
        def edit_and_reset():
            world.edit(location)
            targets.Target.resets += 1
            cache.reset_backend()

        targets.Target.when_loading[loading] = edit_and_reset

    return operation


def leave_first_behind(world, cache):
    """Reset the last forwarding backend, which the first one has to notice."""
    reset_unchanged(world, world.caches[-1])


def break_settings(world, cache):
    """Edit the settings so that a load fails."""
    world.edit('broken')


#: All scenarios. Threads are A, B and C in schedules, in their order here.
SCENARIOS = [
    Scenario('reader_and_reset',
             [[get, get], [reset('B')]]),
    Scenario('two_readers_and_reset',
             [[get], [get], [reset('B')]]),
    Scenario('two_resets',
             [[reset('B')], [reset('C', in_place=True)]]),
    Scenario('reader_and_two_resets',
             [[get], [reset('B')], [reset('C')]]),
    Scenario('three_resets',
             [[reset('B')], [reset('C', in_place=True)], [reset('D')]]),
    Scenario('first_load_and_reset',
             [[get], [reset('B')]],
             loaded=False),
    Scenario('two_first_loads_and_reset',
             [[get], [get], [reset('B', in_place=True)]],
             loaded=False),
    Scenario('failing_reset_and_reset',
             [[reset('broken')], [reset('C')]],
             fails=True),
    Scenario('failing_first_load_and_reset',
             [[get], [reset('C')]],
             loaded=False, prepare=break_settings, fails=True),
    Scenario('close_and_reset',
             [[finish_request], [reset('B')]]),
    Scenario('close_and_first_load',
             [[finish_request], [get]],
             loaded=False),
    Scenario('reset_in_load_and_reader',
             [[get], [reset('B')]],
             prepare=reset_when_loading('B', 'C')),
    Scenario('reset_in_load_and_reset',
             [[reset('B')], [reset('D')]],
             prepare=reset_when_loading('B', 'C')),
    Scenario('reader_and_request_started',
             [[get, get], [edit_and_start_request('B')]]),
    Scenario('handles_reader_and_reset',
             [[get], [reset('B')]],
             shared=False),
    Scenario('handles_reader_behind_and_reset',
             [[get], [reset_unchanged]],
             shared=False, prepare=leave_first_behind),
    Scenario('handles_two_resets',
             [[reset('B')], [reset('C', in_place=True)]],
             shared=False),
    Scenario('handles_first_load_and_reset',
             [[get], [reset('B')]],
             shared=False, loaded=False),
    Scenario('handles_reader_and_request_started',
             [[get], [get], [edit_and_start_request('B')]],
             shared=False),
]

"""What threads do with forwarding backends, and what has to hold then."""

from __future__ import unicode_literals

from collections import namedtuple

import django
from django.conf import settings

try:
    import contextvars
except ImportError:
    # Python < 3.7.
    contextvars = None


#: What each thread does, the most backends that this may take, what the first
#: of them does if it's not loaded before, what the threads share, and whether
#: they also stop within the line that counts resets.
Scenario = namedtuple('Scenario', 'name threads loads first shares splits')
Scenario.__new__.__defaults__ = (None, 'forwarder', False)

#: The scenarios for the module for Django up to 1.11. What each is shown to
#: find is in variants.py. A thread may "get", "close" as at the end of a
#: request, reset to the "same" configuration or to one whose backend does
#: anything else, which is to "build" at least.
SCENARIOS = [
    Scenario('access-and-reset', ['get get', 'build get'], 1),
    Scenario('access-and-same-reset', ['get get', 'same get'], 1),
    Scenario('close-and-reset', ['close get', 'build get'], 1),
    Scenario('resets', ['build get', 'build get'], 2),
    Scenario('reset-and-two-resets', ['build', 'build build'], 3, splits=True),
    Scenario('first-accesses', ['get', 'get'], 1, 'build'),
    Scenario('first-access-and-reset', ['get', 'build get'], 2, 'build'),
    Scenario('failing-reset-and-access', ['fail get', 'get get'], 1),
    Scenario('failing-reset-and-reset', ['fail get', 'build get'], 2),
    Scenario('failing-first-access', ['get get', 'build get'], 4, 'fail'),
    Scenario('interrupted-reset', ['interrupt get', 'get get'], 2),
    Scenario('interrupted-first-access', ['get get', 'get'], 2, 'interrupt'),
    Scenario('access-in-load', ['access get', 'build get'], 2),
    Scenario('access-in-first-load', ['get', 'build'], 3, 'access'),
    Scenario('reset-in-load', ['reset get', 'get get'], 2),
    Scenario('forwarders', ['get get', 'build get'], 2, shares='nothing'),
    Scenario('resets-of-forwarders', ['build get'] * 2, 4, shares='nothing'),
    Scenario('access-and-two-resets', ['get'] + ['build get'] * 2, 2),
    Scenario('three-first-accesses', ['get'] * 3, 1, 'build'),
]

#: Those for the module for Django 3.2 and newer. Each thread has a backend of
#: its own, or the one that's in the async context that all of them inherit.
LATER_SCENARIOS = [
    Scenario('own-access-and-reset', ['get get', 'build get'], 2),
    Scenario('own-resets', ['build get'] * 2, 4),
    Scenario('first-access-and-reset', ['get get', 'build get'], 3, 'build'),
    Scenario('close-and-reset', ['close get', 'build get'], 2),
    Scenario('shared-access-and-reset', ['get get', 'build get'], 3,
             shares='context'),
    Scenario('shared-resets', ['build get'] * 2, 4, shares='context'),
    Scenario('reset-and-two-resets', ['build', 'build build'], 6,
             shares='context', splits=True),
    Scenario('failing-reset-and-access', ['fail get', 'get get'], 2,
             shares='context'),
    Scenario('failing-reset-and-reset', ['fail get', 'build get'], 4,
             shares='context'),
    Scenario('interrupted-reset', ['interrupt get', 'get get'], 3,
             shares='context'),
    Scenario('access-in-load', ['access get', 'build get'], 4),
    Scenario('reset-in-load', ['reset get', 'get get'], 5, shares='context'),
    Scenario('access-and-two-resets', ['get'] + ['build get'] * 2, 6,
             shares='context'),
]

#: The errors that actions may have, by what the first load does.
ERRORS = {'access': RuntimeError, 'fail': ValueError}


class Backend(object):
    """A backend that does what the world has for it, when it's loaded."""

    def __init__(self, location, params):
        world = self.world
        action = world.actions[int(location)]
        self.age = (int(location), world.resets)
        self.closes = 0
        world.loads += 1

        if action == 'fail':
            raise ValueError('backend %s fails' % location)

        # All else is done only once.
        world.actions[int(location)] = 'build'

        if action == 'interrupt':
            raise KeyboardInterrupt()
        elif action == 'access':
            world.actors[0].cache.get('key')
        elif action == 'reset':
            world.actors[0].reset('build')

        world.backends.append(self)

    def get(self, key):
        """Return the backend, in place of a value."""
        return self

    def close(self, **kwargs):
        """Count how often it's closed, not counting the ends of requests."""
        self.closes += not kwargs


class World(object):
    """The forwarding backends of one schedule, and what's wrong with them."""

    def __init__(self, scheduler, scenario):
        self.scheduler = scheduler
        self.scenario = scenario
        self.problems = []
        self.backends = []
        self.actions = []
        self.resets = self.loads = 0
        Backend.world = self
        names = scheduler.load()
        names['RETRY_SECS'] = float('inf')

        # Django 3.2 and newer keeps them, for each thread and context.
        if django.VERSION >= (3, 2):
            from django.core import cache

            cache.caches = cache.CacheHandler(settings.CACHES)

        self.configure(scenario.first or 'build')
        shared = names['ForwardingCacheBackend']('target')

        if scenario.shares == 'context':
            shared.get('key')

        #: What contexts have inherited. Each of them closes it, and goes on
        #: with it if another one can't be loaded.
        self.inherited = list(self.backends)

        self.actors = [
            Actor(self, names['ForwardingCacheBackend']('target')
                  if scenario.shares == 'nothing' else shared,
                  contextvars and contextvars.copy_context())
            for thread in scenario.threads
        ]
        self.bodies = [lambda args=args: args[0].act(args[1])
                       for args in zip(self.actors, scenario.threads)]

        for actor in self.actors:
            actor.act('' if scenario.first else 'get')

        self.loads = 0

    def configure(self, action):
        """Configure a new backend, which does that when it's loaded."""
        settings.CACHES['target'] = {
            'BACKEND': '%s.Backend' % __name__,
            'LOCATION': '%d' % len(self.actions),
        }
        self.actions.append(action)

    def check(self):
        """Return the problems, with what has to hold in the end."""
        if self.scheduler.deadlock:
            return ['deadlock']

        if self.loads > self.scenario.loads:
            self.problems.append('%d loads' % self.loads)

        if self.actions[-1] == 'fail':
            self.actors[0].act('build')

        for actor in self.actors:
            actor.oldest_age = (len(self.actions) - 1, self.resets)
            actor.act('get')

        in_use = [actor.backend for actor in self.actors]

        # Each context closes what it has inherited. Up to asgiref 3.8, they
        # also see each other's, and two may replace one at the same time.

        return self.problems + [
            'a backend that is %s was closed %d times'
            % ('in use' if backend in in_use else 'replaced', backend.closes)
            for backend in self.backends
            if backend.closes != (backend not in in_use) and
            (backend in in_use or self.scenario.shares != 'context')
        ]


class Actor(object):
    """A thread's actions on a forwarder, and what they have to see."""

    def __init__(self, world, cache, context):
        self.world = world
        self.cache = cache
        self.context = context
        self.backend = None
        self.oldest_age = (0, 0)
        self.waits = 0

    def act(self, actions):
        """Do some actions, in this actor's context if Python has them."""
        if self.context is None:
            self.act_in_context(actions)
        else:
            self.context.run(self.act_in_context, actions)

    def act_in_context(self, actions):
        """Do some actions, and note any error that there should not be."""
        for action in actions.split():
            try:
                if action == 'get':
                    self.get()
                elif action == 'close':
                    self.cache.close(signal=None, sender=None)
                else:
                    self.reset(action)
            except (KeyboardInterrupt, Exception) as e:
                if not isinstance(e, ERRORS.get(self.world.scenario.first,
                                                KeyboardInterrupt)):
                    self.world.problems.append(repr(e))

    def get(self):
        """Access the cache, and look at the backend that it has."""
        world = self.world
        thread = world.scheduler.current or self
        thread.waits = 0
        closed = [backend for backend in world.backends
                  if backend.closes and backend not in world.inherited]
        self.backend = self.cache.get('key')
        assert self.backend not in closed, 'an access has a closed backend'
        assert self.backend.age >= self.oldest_age, 'an access is stale'
        assert world.scenario.first or not thread.waits, 'an access waits'

    def reset(self, action):
        """Configure another backend, and reset the cache."""
        if action != 'same':
            self.world.configure(action)

        self.world.resets += 1
        age = (len(self.world.actions) - 1, self.world.resets)
        self.cache.reset_backend()
        (self.world.scheduler.current or self).waits = 0

        # From now on, no access is to have an older one, unless that stays.
        if 'fail' not in self.world.actions:
            self.oldest_age = age

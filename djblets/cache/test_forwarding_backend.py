"""Unit tests for djblets.cache.forwarding_backend.

No race in here depends on luck. One thread runs inside of a load, an access or
a close of another, and a thread that doesn't come back fails its test.
"""

from __future__ import unicode_literals

import gc
import logging
import sys
import threading
import unittest
import weakref
from logging.handlers import BufferingHandler

from django.conf import settings
from django.core import cache as django_cache
from django.core.cache.backends.base import BaseCache
from django.core.signals import request_finished

from djblets.cache import forwarding_backend
from djblets.cache.forwarding_backend import ForwardingCacheBackend


#: An alias that is forwarded to, and one that forwards to it.
TARGET = 'forwarding-test-target'
FORWARDER = 'forwarding-test-forwarder'

#: The seconds after which a thread is taken for stuck, which fails the test.
TIMEOUT = 10


class FakeBackend(BaseCache):
    """A backend that keeps a record, and calls back."""

    #: All that were made in a test, and what they call with themselves.
    made = []
    on_init = on_close = None

    def __init__(self, location, params):
        super(FakeBackend, self).__init__(params)

        self.location = location
        self.closes = []
        self.made.append(self)

        if FakeBackend.on_init:
            FakeBackend.on_init(self)

    def get(self, key):
        return self.location

    def close(self, **kwargs):
        self.closes.append(kwargs)

        if FakeBackend.on_close:
            FakeBackend.on_close(self)


class ForwardingCacheBackendTests(unittest.TestCase):
    """Unit tests for ForwardingCacheBackend."""

    def setUp(self):
        super(ForwardingCacheBackendTests, self).setUp()

        self._old_state = (settings.CACHES, dict(settings.CACHES),
                           getattr(forwarding_backend, 'RETRY_SECS', None))
        self.addCleanup(self._restore)

        self.log = BufferingHandler(1000)
        logging.getLogger().addHandler(self.log)
        forwarding_backend.RETRY_SECS = 3600
        self._configure('A')

    def test_reset_backend_with_configurations(self):
        """Testing ForwardingCacheBackend with same and edited configuration"""
        cache = self._load()

        for i in range(5):
            cache.reset_backend()
            self.assertEqual(cache.get('key'), 'A')

        settings.CACHES[TARGET]['LOCATION'] = 'B'
        cache.reset_backend()
        self.assertEqual(cache.get('key'), 'B')

        settings.CACHES = dict(settings.CACHES)
        self._configure('C')
        cache.reset_backend()
        self.assertEqual(cache.get('key'), 'C')
        self.assertEqual(len(FakeBackend.made), 8)
        self._check_open(cache)

    def test_reset_backend_at_every_line_of_access(self):
        """Testing ForwardingCacheBackend with reset at each line of access"""
        def trace(frame, event, arg):
            if frame.f_code.co_filename != filename:
                return None

            if event == 'line':
                lines.append(frame.f_lineno)

                if len(lines) == reset_line:
                    self._run(cache.reset_backend)

            return trace

        def access():
            sys.settrace(trace)

            try:
                return cache.get('key')
            finally:
                sys.settrace(None)

        filename = forwarding_backend.__file__.replace('.pyc', '.py')
        cache = self._load()
        reset_line = 0
        lines = []

        while len(lines) >= reset_line:
            reset_line += 1
            lines = []
            self.assertEqual(self._run(access), 'A')
            cache.get('key')

        self.assertTrue(reset_line > 2)

    def test_reset_backend_with_access_while_loading(self):
        """Testing ForwardingCacheBackend with access while resetting"""
        def access():
            accessed.append(self._run(
                lambda: (cache.get('key'), len(cache.backend.closes))))

        accessed = []
        cache = self._load()
        self._configure('B')
        self._call_once('on_init', access)
        self._call_once('on_close', access)
        cache.reset_backend()

        self.assertEqual(accessed, [('A', 0), ('B', 0)])
        self._check_open(cache)

    def test_reset_backend_with_reset_while_closing(self):
        """Testing ForwardingCacheBackend with reset while closing"""
        def reset():
            self._configure('C')
            self._run(cache.reset_backend)

        cache = self._load()
        self._configure('B')
        self._call_once('on_close', reset)
        cache.reset_backend()

        self.assertEqual(cache.get('key'), 'C')
        self._check_open(cache)

    def test_reset_backend_with_reset_while_loading(self):
        """Testing ForwardingCacheBackend with reset while loading"""
        def reset():
            self._configure('B')
            threads.extend(lock.start_waiting(
                lambda: (cache.reset_backend(), cache.get('key'))))

        for is_first in (False, True):
            threads = []
            FakeBackend.made = []
            self._configure('A')
            cache = ForwardingCacheBackend(TARGET)

            if not is_first:
                cache.get('key')

            lock = WatchedLock(self, cache)
            self._call_once('on_init', reset)

            if is_first:
                cache.get('key')
            else:
                cache.reset_backend()

            self.assertEqual([self._join(thread) for thread in threads],
                             [(None, 'B')], 'First load: %s' % is_first)
            self.assertEqual(cache.get('key'), 'B')
            self._check_open(cache)

    def test_reset_backend_with_16_resets(self):
        """Testing ForwardingCacheBackend with 16 resets at once"""
        def reset():
            self._configure('B')
            threads.extend(lock.start_waiting(cache.reset_backend, 15))

        threads = []
        cache = self._load()
        lock = WatchedLock(self, cache)
        self._call_once('on_init', reset)
        cache.reset_backend()

        for thread in threads:
            self._join(thread)

        self.assertEqual(cache.get('key'), 'B')
        self.assertEqual(len(FakeBackend.made), 3)
        self._check_open(cache)

    def test_reset_backend_with_error_in_close(self):
        """Testing ForwardingCacheBackend with error while closing"""
        cache = self._load()
        self._configure('B')
        FakeBackend.on_close = lambda backend: backend.missing
        cache.reset_backend()

        self.assertEqual(cache.get('key'), 'B')
        self.assertEqual(len(self._get_logged()), 1)
        self._check_open(cache)

    def test_reset_backend_with_broken_configuration(self):
        """Testing ForwardingCacheBackend with broken configuration"""
        forwarders = [self._load(), self._load()]
        failed = self._fail_to_load()

        for resets in (1, 2):
            # Only the first access after a reset tries to load.
            forwarders[0].reset_backend()
            self.assertEqual([cache.get('key') for cache in forwarders * 3],
                             ['A'] * 6)
            self.assertEqual(len(failed), 2 * resets)
            self.assertEqual(len(self._get_logged()), 2 * resets)

        FakeBackend.on_init = None
        self._configure('B')
        forwarders[0].reset_backend()
        self.assertEqual([cache.get('key') for cache in forwarders],
                         ['B'] * len(forwarders))
        self._check_open(*forwarders)

    def test_reset_backend_with_passing_failure(self):
        """Testing ForwardingCacheBackend with failure that passes"""
        cache = self._load()
        self._configure('B')
        failed = self._fail_to_load()
        cache.reset_backend()
        FakeBackend.on_init = None
        self.assertEqual(cache.get('key'), 'A')

        forwarding_backend.RETRY_SECS = 0
        self.assertEqual(cache.get('key'), 'B')
        self.assertEqual(len(failed), 1)
        self._check_open(cache)

    def test_reset_backend_with_other_forwarders(self):
        """Testing ForwardingCacheBackend with other forwarders"""
        self._configure('other', alias='forwarded_backend')
        other = ForwardingCacheBackend()
        other_backend = other.backend
        forwarders = [self._load() for i in range(3)]

        self._configure('B')
        forwarders[0].reset_backend()

        self.assertEqual([cache.get('key') for cache in forwarders],
                         ['B'] * len(forwarders))
        self.assertIs(other.backend, other_backend)
        self.assertEqual(len(FakeBackend.made), 7)
        self._check_open(other, *forwarders)

    def test_reset_backend_with_eight_threads(self):
        """Testing ForwardingCacheBackend with reset and eight threads"""
        def access():
            cache = get_cache(FORWARDER)

            try:
                value = cache.get('key')
            finally:
                has_loaded.release()

            has_reset.wait(TIMEOUT)

            return value, cache.get('key')

        self._configure(TARGET, ForwardingCacheBackend, FORWARDER)
        has_loaded = threading.Semaphore(0)
        has_reset = threading.Event()
        threads = [self._start(access) for i in range(8)]

        for thread in threads:
            has_loaded.acquire()

        self._configure('B')
        self._run(lambda: get_cache(FORWARDER).reset_backend())
        has_reset.set()

        for thread in threads:
            self.assertEqual(self._join(thread), ('A', 'B'))

        self.assertEqual([len(backend.closes)
                          for backend in FakeBackend.made[:8]], [1] * 8)

    def test_reset_backend_leaves_nothing_behind(self):
        """Testing ForwardingCacheBackend leaves nothing behind"""
        backends = []
        FakeBackend.on_init = lambda backend: backends.append(
            weakref.ref(FakeBackend.made.pop()))
        gc.collect()
        receivers = len(request_finished.receivers)
        cache = self._load()

        for i in range(20):
            cache.reset_backend()
            cache.get('key')

        gc.collect()
        self.assertEqual([backend() for backend in backends],
                         [None] * 20 + [cache.backend])
        self.assertEqual(len(request_finished.receivers), receivers)

    def test_with_eight_first_accesses(self):
        """Testing ForwardingCacheBackend with eight first accesses"""
        threads = []
        cache = ForwardingCacheBackend(TARGET)
        lock = WatchedLock(self, cache)
        self._call_once('on_init', lambda: threads.extend(
            lock.start_waiting(lambda: cache.get('key'), 7)))

        self.assertEqual(cache.get('key'), 'A')
        self.assertEqual([self._join(thread) for thread in threads], ['A'] * 7)
        self.assertEqual(len(FakeBackend.made), 1)
        self._check_open(cache)

    def test_with_error_in_first_load(self):
        """Testing ForwardingCacheBackend with error in the first load"""
        cache = ForwardingCacheBackend(TARGET)
        failed = self._fail_to_load()

        for i in (1, 2):
            self.assertRaises(ValueError, lambda: cache.get('key'))
            self.assertEqual(len(failed), i)

        del settings.CACHES[TARGET]
        self.assertRaises(django_cache.InvalidCacheBackendError,
                          lambda: cache.get('key'))
        cache.reset_backend()
        FakeBackend.on_init = None
        self._configure('B')
        self.assertEqual(cache.get('key'), 'B')

    def test_with_interrupt(self):
        """Testing ForwardingCacheBackend with interrupt while loading"""
        def interrupt(backend):
            FakeBackend.made.pop()
            raise KeyboardInterrupt()

        first = ForwardingCacheBackend(TARGET)
        loaded, other = self._load(), self._load()
        self._configure('B')
        FakeBackend.on_init = interrupt

        for func in (lambda: first.get('key'), loaded.reset_backend,
                     lambda: other.get('key')):
            self.assertRaises(KeyboardInterrupt, func)

        FakeBackend.on_init = None

        for cache in (first, loaded, other):
            self.assertEqual(cache.get('key'), 'B')

        self._check_open(first, loaded, other)
        self.assertEqual(self._get_logged(), [])

    def test_with_interrupted_swap(self):
        """Testing ForwardingCacheBackend with interrupt before swap"""
        class InterruptedBackend(ForwardingCacheBackend):
            def __setattr__(self, name, value):
                if name == '_backend' and interrupts:
                    raise interrupts.pop()

                super(InterruptedBackend, self).__setattr__(name, value)

        interrupts = []
        cache = InterruptedBackend(TARGET)
        cache.get('key')
        self._configure('B')
        interrupts.append(KeyboardInterrupt)
        self.assertRaises(KeyboardInterrupt, cache.reset_backend)
        self.assertEqual(cache.get('key'), 'B')

    def test_with_odd_backend(self):
        """Testing ForwardingCacheBackend with odd backend"""
        self._configure('A', OddBackend)
        cache = self._load()

        self.assertEqual(cache.dynamic, 'found')
        self.assertIn('A', cache)
        cache.reset_backend()
        cache.close()
        self.assertEqual([backend.closes for backend in FakeBackend.made],
                         [[{}], [{}]])

    def test_with_attribute_error(self):
        """Testing ForwardingCacheBackend with AttributeError in backend"""
        self._configure('A', OddBackend)
        loaded = self._load()
        FakeBackend.on_init = lambda backend: backend.in_constructor

        for cache, name, missing in (
            (ForwardingCacheBackend(TARGET), 'get', 'in_constructor'),
            (ForwardingCacheBackend(TARGET), 'backend', 'in_constructor'),
            (loaded, 'static', 'static'),
        ):
            with self.assertRaises(AttributeError) as context:
                getattr(cache, name)

            self.assertEqual('%s' % context.exception, missing)

    def test_with_use_in_constructor(self):
        """Testing ForwardingCacheBackend with use in constructor"""
        values = []
        cache = ForwardingCacheBackend(TARGET)
        FakeBackend.on_init = lambda backend: values.append(cache.get('key'))

        # There's nothing to get in the first load.
        self._run(lambda: self.assertRaises(RuntimeError,
                                            lambda: cache.get('key')))
        self.assertEqual(values, [])

        FakeBackend.on_init = None
        self.assertEqual(cache.get('key'), 'A')

        self._configure('B')
        self._call_once('on_init', lambda: values.append(cache.get('key')))
        self._run(cache.reset_backend)
        self.assertEqual(values, ['A'])
        self.assertEqual(cache.get('key'), 'B')

    def test_with_reset_in_constructor(self):
        """Testing ForwardingCacheBackend with reset in constructor"""
        cache = ForwardingCacheBackend(TARGET)

        for location in ('B', 'C'):
            self._call_once('on_init', lambda: (self._configure(location),
                                                cache.reset_backend()))
            cache.reset_backend()
            self._run(lambda: cache.get('key'))
            self.assertEqual(cache.get('key'), location)
            self._check_open(cache)

    def test_close(self):
        """Testing ForwardingCacheBackend.close"""
        kwargs = {'sender': None, 'signal': request_finished}
        cache = ForwardingCacheBackend(TARGET)
        cache.close(**kwargs)
        self.assertEqual(FakeBackend.made, [])

        cache.get('key')
        cache.close(**kwargs)
        cache.close()
        self.assertEqual(cache.backend.closes, [kwargs, {}])

    def _restore(self):
        """Restore all that a test changes."""
        settings.CACHES, entries, forwarding_backend.RETRY_SECS = \
            self._old_state
        settings.CACHES.clear()
        settings.CACHES.update(entries)
        logging.getLogger().removeHandler(self.log)
        FakeBackend.made = []
        FakeBackend.on_init = FakeBackend.on_close = None

    def _configure(self, location, backend=FakeBackend, alias=TARGET):
        """Replace the configuration of an alias."""
        settings.CACHES[alias] = {
            'BACKEND': '%s.%s' % (backend.__module__, backend.__name__),
            'LOCATION': location,
        }

    def _load(self):
        """Return a new forwarder that has loaded its first backend."""
        cache = ForwardingCacheBackend(TARGET)
        cache.get('key')

        return cache

    def _call_once(self, hook, func):
        """Have a hook of FakeBackend's call a function once."""
        def call(backend):
            setattr(FakeBackend, hook, None)
            func()

        setattr(FakeBackend, str(hook), call)

    def _fail_to_load(self):
        """Have each load fail, and return a list that gets the backends."""
        def fail(backend):
            failed.append(FakeBackend.made.pop())
            raise ValueError('cannot connect')

        failed = []
        FakeBackend.on_init = fail

        return failed

    def _start(self, func):
        """Start a thread that keeps a function's result, and return it."""
        thread = threading.Thread(
            target=lambda: thread.results.append(func()))
        thread.results = []
        thread.daemon = True
        thread.start()

        return thread

    def _join(self, thread):
        """Return the result of a thread once it has ended."""
        thread.join(TIMEOUT)
        self.assertEqual(len(thread.results), 1, 'It is stuck, or failed.')

        return thread.results[0]

    def _run(self, func):
        """Return the result of a function that's run in another thread."""
        return self._join(self._start(func))

    def _get_logged(self):
        """Return what was logged about the backend."""
        return [record for record in self.log.buffer
                if TARGET in record.getMessage()]

    def _check_open(self, *caches):
        """Check that all but the backends of caches are closed, each once."""
        in_use = [cache.backend for cache in caches]

        for backend in FakeBackend.made:
            self.assertEqual(len(backend.closes), backend not in in_use)


class OddBackend(FakeBackend):
    """A backend that's false, and has dynamic attributes."""

    def __len__(self):
        return 0

    def __contains__(self, key):
        return key == self.location

    def __getattr__(self, name):
        if name == 'dynamic':
            return 'found'

        raise AttributeError(name)


class WatchedLock(object):
    """A forwarder's lock, which tells when threads wait for it."""

    def __init__(self, test, cache):
        self.test = test
        self.waiting = threading.Semaphore(0)
        self.lock = getattr(cache, '_load_lock', threading.Lock())
        cache._load_lock = self

    def start_waiting(self, func, count=1):
        """Start threads, and return them once each waits or has ended."""
        def run():
            try:
                return func()
            finally:
                self.waiting.release()

        threads = [self.test._start(run) for i in range(count)]

        for thread in threads:
            self.waiting.acquire()

        return threads

    def acquire(self, blocking=True):
        if self.lock.acquire(False):
            return True

        if blocking:
            self.waiting.release()
            self.lock.acquire()

        return blocking

    def release(self):
        self.lock.release()

    def __enter__(self):
        self.acquire()

    def __exit__(self, *args):
        self.release()


def get_cache(alias):
    """Return the cache for an alias as its users get it."""
    return django_cache.get_cache(alias)

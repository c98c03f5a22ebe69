"""Unit tests for djblets.cache.forwarding_backend.

No race in here depends on luck. One thread runs inside of a load, an access or
a close of another, and a thread that doesn't come back fails its test.
"""

import contextvars
import gc
import logging
import sys
import threading
import weakref
from logging.handlers import BufferingHandler
from unittest import TestCase, mock

from django.core import cache as django_cache
from django.core.cache.backends.base import BaseCache

from djblets.cache import forwarding_backend
from djblets.cache.forwarding_backend import ForwardingCacheBackend


#: The seconds after which a thread is taken for stuck, which fails the test.
TIMEOUT = 10


class FakeBackend(BaseCache):
    """A backend that keeps a record, and calls back."""

    #: All that were made in a test, and what they call with themselves.
    made = []
    on_init = on_close = None

    def __init__(self, location, params):
        super().__init__(params)

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


class ForwardingCacheBackendTests(TestCase):
    """Unit tests for ForwardingCacheBackend."""

    def setUp(self):
        super().setUp()

        # An alias that was never reset, in caches that have nothing else.
        self.alias = self.id()
        self.settings = {}
        self.log = BufferingHandler(1000)
        logging.getLogger().addHandler(self.log)
        self.addCleanup(logging.getLogger().removeHandler, self.log)

        for patcher in (
            mock.patch.object(django_cache, 'caches',
                              django_cache.CacheHandler(self.settings)),
            mock.patch.object(forwarding_backend, 'RETRY_SECS', 3600,
                              create=True),
            mock.patch.multiple(FakeBackend, made=[], on_init=None,
                                on_close=None),
        ):
            patcher.start()
            self.addCleanup(patcher.stop)

        self._configure('A')

    def test_reset_backend_with_configurations(self):
        """Testing ForwardingCacheBackend with same and edited configuration"""
        self._configure('other', alias='other')
        other_backend = ForwardingCacheBackend('other').backend
        cache = self._load()

        for i in range(5):
            cache.reset_backend()
            self.assertEqual(cache.get('key'), 'A')

        self.settings[self.alias]['LOCATION'] = 'B'
        cache.reset_backend()
        self.assertEqual(cache.get('key'), 'B')
        self.assertEqual(len(FakeBackend.made), 8)
        self._check_open(other_backend, cache.backend)

    def test_reset_backend_at_every_line_of_access(self):
        """Testing ForwardingCacheBackend with reset at each line of access"""
        def trace(frame, event, arg):
            if frame.f_code.co_filename != forwarding_backend.__file__:
                return None

            if event == 'line':
                lines.append(frame.f_lineno)

                if len(lines) == reset_line:
                    self._configure('B')
                    self._run(cache.reset_backend)

            return trace

        def access():
            sys.settrace(trace)
            value = cache.get('key')
            sys.settrace(None)

            return value, cache.get('key')

        cache = ForwardingCacheBackend(self.alias)
        reset_line = 0
        lines = []

        while len(lines) >= reset_line:
            reset_line += 1
            lines = []
            self._configure('A')
            values = self._run(access)
            self.assertIn(values[0], ('A', 'B'))
            self.assertEqual(values[1],
                             'B' if len(lines) >= reset_line else 'A',
                             'Reset at line %d' % reset_line)

        self.assertGreater(reset_line, 2)

    def test_reset_backend_with_access_while_resetting(self):
        """Testing ForwardingCacheBackend with access while resetting"""
        def access():
            backend = django_cache.caches[self.alias]
            accessed.append((backend.location, len(backend.closes)))

        accessed = []
        cache = self._load()
        self._configure('B')
        self._call_once('on_init', access)
        self._call_once('on_close', access)
        cache.reset_backend()

        self.assertEqual(accessed, [('A', 0), ('B', 0)])
        self._check_open(cache.backend)

    def test_reset_backend_with_reset_while_resetting(self):
        """Testing ForwardingCacheBackend with reset while resetting"""
        def reset():
            self._configure('C')
            self._run(cache.reset_backend)

        for hook in ('on_init', 'on_close'):
            cache = self._load()
            self._configure('B')
            self._call_once(hook, reset)
            cache.reset_backend()

            self.assertEqual(cache.get('key'), 'C', hook)
            self._check_open(cache.backend)

    def test_reset_backend_with_error_in_close(self):
        """Testing ForwardingCacheBackend with error while closing"""
        cache = self._load()
        self._configure('B')
        FakeBackend.on_close = lambda backend: backend.missing
        cache.reset_backend()

        self.assertEqual(cache.get('key'), 'B')
        self.assertEqual(len(self._get_logged()), 1)
        self._check_open(cache.backend)

    def test_reset_backend_with_broken_configuration(self):
        """Testing ForwardingCacheBackend with broken configuration"""
        cache = self._load()
        backend = cache.backend
        failed = self._fail_to_load()

        for resets in (1, 2):
            # Only the first access after a reset tries to load.
            cache.reset_backend()
            self.assertEqual([cache.get('key') for i in range(3)], ['A'] * 3)
            self.assertEqual(len(failed), resets)
            self.assertEqual(len(self._get_logged()), resets)

        self._check_open(backend)

        # The alias may be missing altogether.
        del self.settings[self.alias]
        cache.reset_backend()
        self.assertEqual(cache.get('key'), 'A')

        FakeBackend.on_init = None
        self._configure('B')
        cache.reset_backend()
        self.assertEqual(cache.get('key'), 'B')
        self._check_open(cache.backend)

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
        self._check_open(cache.backend)

    def test_reset_backend_with_mended_configuration(self):
        """Testing ForwardingCacheBackend with failures in other threads"""
        def access():
            values = []

            for step in steps:
                values.append(cache.get('key'))
                done.release()
                step.wait(TIMEOUT)

            return values + [cache.get('key')]

        cache = self._load()
        steps = [threading.Event(), threading.Event()]
        done = threading.Semaphore(0)
        threads = [self._start(access) for i in range(4)]
        self._acquire(done, 4)

        failed = self._fail_to_load()
        cache.reset_backend()
        steps[0].set()
        self._acquire(done, 4)
        self.assertTrue(failed)

        FakeBackend.on_init = None
        self._configure('B')
        cache.reset_backend()
        steps[1].set()

        for thread in threads:
            self.assertEqual(self._join(thread), ['A', 'A', 'B'])

    def test_reset_backend_with_eight_threads(self):
        """Testing ForwardingCacheBackend with reset and eight threads"""
        def access(cache):
            backends = [cache.backend]
            has_loaded.release()
            has_reset.wait(TIMEOUT)

            return backends + [cache.backend for i in range(2)]

        # Each has a forwarder of its own, or one that was kept.
        self._configure(self.alias, ForwardingCacheBackend, 'default')
        kept = ForwardingCacheBackend(self.alias)
        has_loaded = threading.Semaphore(0)
        has_reset = threading.Event()
        threads = [
            self._start(lambda: access(django_cache.caches['default']))
            for i in range(4)
        ] + [
            self._start(lambda: access(kept)) for i in range(4)
        ]
        self._acquire(has_loaded, 8)

        self._configure('B')
        self._run(kept.reset_backend)
        has_reset.set()
        rows = [self._join(thread) for thread in threads]

        for row in rows:
            self.assertEqual([backend.location for backend in row],
                             ['A', 'B', 'B'])
            self.assertIs(row[1], row[2])
            self.assertEqual([len(backend.closes) for backend in row],
                             [1, 0, 0])

        self.assertEqual(len({id(backend) for row in rows for backend in row}),
                         16)

    def test_reset_backend_with_contexts(self):
        """Testing ForwardingCacheBackend with contexts that share a backend"""
        def access():
            accessed.append(
                self._run(lambda: contexts[1].run(cache.get, 'key')))

        accessed = []
        cache = self._load()
        contexts = [contextvars.copy_context() for i in range(3)]

        for context in contexts:
            self.assertEqual(context.run(cache.get, 'key'), 'A')

        self.assertEqual(len(FakeBackend.made), 1)
        self._configure('B')
        self._call_once('on_init', access)
        contexts[0].run(cache.reset_backend)
        self.assertEqual(accessed, ['B'])

        for context in contexts:
            self.assertEqual(context.run(cache.get, 'key'), 'B')

        self.assertEqual(cache.get('key'), 'B')

    def test_reset_backend_with_failure_in_context(self):
        """Testing ForwardingCacheBackend with failure in one context"""
        cache = self._load()
        context = contextvars.copy_context()
        self._configure('B')
        self._fail_to_load()
        cache.reset_backend()
        FakeBackend.on_init = None

        cache.reset_backend()
        self.assertEqual(cache.get('key'), 'B')
        self.assertEqual(context.run(cache.get, 'key'), 'B')

    def test_reset_backend_leaves_nothing_behind(self):
        """Testing ForwardingCacheBackend leaves nothing behind"""
        backends = []
        FakeBackend.on_init = lambda backend: backends.append(
            weakref.ref(FakeBackend.made.pop()))
        cache = self._load()

        for i in range(20):
            cache.reset_backend()
            cache.get('key')

        gc.collect()
        self.assertEqual([backend() for backend in backends],
                         [None] * 20 + [cache.backend])

    def test_with_caches(self):
        """Testing ForwardingCacheBackend's backend is the one of its alias"""
        self._configure(self.alias, ForwardingCacheBackend, 'default')
        first = django_cache.caches[self.alias]
        cache = django_cache.caches['default']
        self.assertIs(cache.backend, first)

        self._configure('B')
        cache.reset_backend()

        for i in range(2):
            self.assertIs(django_cache.caches[self.alias], cache.backend)
            self.assertIn(cache.backend, list(django_cache.caches.all()))
            self.assertEqual(cache.get('key'), 'B')

        self._check_open(cache.backend)

    def test_with_caches_of_others(self):
        """Testing ForwardingCacheBackend with backends that others loaded"""
        def access():
            # This is before the reset, and the forwarder is not used.
            direct = django_cache.caches[self.alias]
            self._configure('B')
            self._run(ForwardingCacheBackend(self.alias).reset_backend)

            return direct.location, cache.get('key')

        cache = self._load()
        self.assertEqual(self._run(access), ('A', 'B'))

        # Tests that override settings replace all that there is.
        self.settings = {}
        django_cache.caches = django_cache.CacheHandler(self.settings)
        self._configure('C')
        self.assertEqual(cache.get('key'), 'C')

    def test_with_alias_added_while_loading(self):
        """Testing ForwardingCacheBackend with alias added while loading"""
        class ChangingDict(dict):
            def __iter__(self):
                raise RuntimeError('dictionary changed size during iteration')

        self.settings = ChangingDict()
        django_cache.caches = django_cache.CacheHandler(self.settings)
        self._configure('A')
        cache = self._load()

        self._configure('B')
        cache.reset_backend()
        self.assertEqual(cache.get('key'), 'B')

    def test_with_error_in_first_load(self):
        """Testing ForwardingCacheBackend with error in the first load"""
        cache = ForwardingCacheBackend(self.alias)
        failed = self._fail_to_load()

        for i in (1, 2):
            with self.assertRaises(ValueError):
                cache.get('key')

            self.assertEqual(len(failed), i)

        del self.settings[self.alias]

        with self.assertRaises(django_cache.InvalidCacheBackendError):
            cache.get('key')

        cache.reset_backend()
        cache.close()

        # No reset is needed once it's mended.
        FakeBackend.on_init = None
        self._configure('B')
        self.assertEqual(cache.get('key'), 'B')

    def test_with_interrupt(self):
        """Testing ForwardingCacheBackend with interrupt while loading"""
        def interrupt(backend):
            FakeBackend.made.pop()
            raise KeyboardInterrupt()

        cache = ForwardingCacheBackend(self.alias)

        for func, location in ((lambda: cache.get('key'), 'A'),
                               (cache.reset_backend, 'B')):
            self._configure(location)
            FakeBackend.on_init = interrupt

            with self.assertRaises(KeyboardInterrupt):
                func()

            FakeBackend.on_init = None
            self.assertEqual(cache.get('key'), location)

        self._check_open(cache.backend)
        self.assertEqual(self._get_logged(), [])

    def test_with_interrupted_swap(self):
        """Testing ForwardingCacheBackend with interrupt before swap"""
        class InterruptedHandler(django_cache.CacheHandler):
            def __setitem__(self, key, value):
                if interrupts:
                    raise interrupts.pop()

                super().__setitem__(key, value)

        interrupts = []
        django_cache.caches = InterruptedHandler(self.settings)
        cache = self._load()
        self._configure('B')
        interrupts.append(KeyboardInterrupt)

        with self.assertRaises(KeyboardInterrupt):
            cache.reset_backend()

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
        new = ForwardingCacheBackend('new')
        self._configure('A', alias='new')
        FakeBackend.on_init = lambda backend: backend.in_constructor

        for cache, name, missing in (
            (new, 'get', 'in_constructor'),
            (new, 'backend', 'in_constructor'),
            (loaded, 'static', 'static'),
        ):
            with self.assertRaisesRegex(AttributeError, missing):
                getattr(cache, name)

    def test_with_use_in_constructor(self):
        """Testing ForwardingCacheBackend with use in constructor"""
        values = []
        cache = self._load()
        self._configure('B')
        FakeBackend.on_init = lambda backend: values.append(cache.get('key'))
        cache.reset_backend()

        self.assertEqual(values, ['A'])
        self.assertEqual(cache.get('key'), 'B')

    def test_with_reset_in_constructor(self):
        """Testing ForwardingCacheBackend with reset in constructor"""
        cache = ForwardingCacheBackend(self.alias)

        for location in ('B', 'C'):
            self._call_once('on_init', lambda: (self._configure(location),
                                                cache.reset_backend()))
            cache.reset_backend()
            cache.get('key')
            self.assertEqual(cache.get('key'), location)
            self._check_open(cache.backend)

    def test_close(self):
        """Testing ForwardingCacheBackend.close"""
        kwargs = {'sender': None, 'signal': None}
        cache = ForwardingCacheBackend(self.alias)
        cache.close(**kwargs)
        self.assertEqual(FakeBackend.made, [])

        cache.get('key')
        cache.close(**kwargs)
        cache.close()
        self.assertEqual(cache.backend.closes, [kwargs, {}])

    def _configure(self, location, backend=FakeBackend, alias=None):
        """Replace the configuration of an alias."""
        self.settings[alias or self.alias] = {
            'BACKEND': '%s.%s' % (backend.__module__, backend.__name__),
            'LOCATION': location,
        }

    def _load(self):
        """Return a new forwarder that has loaded its first backend."""
        cache = ForwardingCacheBackend(self.alias)
        cache.get('key')

        return cache

    def _call_once(self, hook, func):
        """Have a hook of FakeBackend's call a function once."""
        def call(backend):
            setattr(FakeBackend, hook, None)
            func()

        setattr(FakeBackend, hook, call)

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
            target=lambda: thread.results.append(func()), daemon=True)
        thread.results = []
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

    def _acquire(self, semaphore, count):
        """Wait until a number of threads have released a semaphore."""
        for i in range(count):
            self.assertTrue(semaphore.acquire(timeout=TIMEOUT),
                            'A thread is stuck, or failed.')

    def _get_logged(self):
        """Return what was logged about the backend."""
        return [record for record in self.log.buffer
                if self.alias in record.getMessage()]

    def _check_open(self, *in_use):
        """Check that all but the backends in use are closed, each once."""
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

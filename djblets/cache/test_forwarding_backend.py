"""Unit tests for djblets.cache.forwarding_backend.

No race in here depends on luck. One thread runs inside of a load, an access or
a close of another, and a thread that doesn't come back fails its test.
"""

from __future__ import unicode_literals

import copy
import gc
import logging
import sys
import threading
import traceback
import unittest
import weakref
from logging.handlers import BufferingHandler

from django.conf import settings
from django.core import cache as django_cache
from django.core import signals
from django.core.cache.backends.base import BaseCache

from djblets.cache import forwarding_backend
from djblets.cache.forwarding_backend import ForwardingCacheBackend

try:
    import contextvars
except ImportError:
    # Python < 3.7.
    contextvars = None

try:
    from queue import Queue
except ImportError:
    # Python < 3.
    from Queue import Queue


#: An alias that is forwarded to, and one that forwards to it.
TARGET = 'forwarding-test-target'
FORWARDER = 'forwarding-test-forwarder'

#: The seconds after which a thread is taken for stuck, which fails the test.
TIMEOUT = 10


class FakeBackend(BaseCache):
    """A backend that keeps a record, and calls back."""

    #: All that were made in a test.
    made = []

    #: What to call in the constructor and in close(), with the backend.
    on_init = None
    on_close = None

    def __init__(self, location, params):
        super(FakeBackend, self).__init__(params)

        self.location = location
        self.closes = []
        self.made.append(self)

        if FakeBackend.on_init:
            FakeBackend.on_init(self)

    def get(self, key, default=None, version=None):
        return self.location

    @property
    def broken(self):
        return self.missing_in_property

    def __contains__(self, key):
        return key == self.location

    def close(self, **kwargs):
        self.closes.append(kwargs)

        if FakeBackend.on_close:
            FakeBackend.on_close(self)


class OddBackend(FakeBackend):
    """A backend that's false, and has dynamic attributes."""

    def __len__(self):
        return 0

    def __getattr__(self, name):
        if name == 'dynamic':
            return 'found'

        raise AttributeError(name)


class Task(threading.Thread):
    """A thread that keeps what its function returned or raised."""

    def __init__(self, func):
        super(Task, self).__init__()

        self.daemon = True
        self.func = func
        self.error = None

        #: What becomes of it: "waiting" for a forwarder's lock, or "done".
        self.states = Queue()

        self.start()

    def run(self):
        try:
            self.value = self.func()
        except BaseException as e:
            self.error = e
        finally:
            self.states.put('done')

    def result(self):
        """Return what the function returned, or raise what it raised."""
        self.join(TIMEOUT)

        if self.is_alive():
            raise AssertionError('The thread is stuck:\n%s' % ''.join(
                traceback.format_stack(sys._current_frames()[self.ident])))

        if self.error is not None:
            raise self.error

        return self.value


class ReportingLock(object):
    """A forwarder's lock that tells a task's states when that waits for it."""

    def __init__(self, cache):
        self.lock = getattr(cache, '_load_lock', threading.Lock())
        self.on_release = None
        cache._load_lock = self

    def acquire(self, blocking=True):
        if self.lock.acquire(False):
            return True

        if blocking:
            threading.current_thread().states.put('waiting')
            self.lock.acquire()

        return blocking

    def release(self):
        on_release, self.on_release = self.on_release, None

        if on_release:
            on_release()

        self.lock.release()

    def __enter__(self):
        self.acquire()

    def __exit__(self, *args):
        self.release()


def get_cache(alias):
    """Return the cache for an alias as its users get it."""
    if hasattr(django_cache, 'caches'):
        return django_cache.caches[alias]

    # Django < 1.7.
    return django_cache.get_cache(alias)


class ForwardingCacheBackendTests(unittest.TestCase):
    """Unit tests for ForwardingCacheBackend."""

    def run(self, result=None):
        # Django keeps no caches from other tests for a new thread.
        task = Task(lambda: super(ForwardingCacheBackendTests, self)
                    .run(result))
        task.join()

        return task.result()

    def setUp(self):
        super(ForwardingCacheBackendTests, self).setUp()

        self._old_caches = settings.CACHES
        self._old_entries = dict(settings.CACHES)
        self.addCleanup(self._restore)

        self.log = BufferingHandler(1000)
        logging.getLogger(forwarding_backend.__name__).addHandler(self.log)

        self.configure('A')
        self.configure(TARGET, backend=ForwardingCacheBackend, alias=FORWARDER)

    def _restore(self):
        """Restore all that a test changes."""
        logging.getLogger(forwarding_backend.__name__).removeHandler(self.log)
        settings.CACHES = self._old_caches
        settings.CACHES.clear()
        settings.CACHES.update(self._old_entries)
        FakeBackend.made = []
        FakeBackend.on_init = FakeBackend.on_close = None

    def configure(self, location, backend=FakeBackend, alias=TARGET):
        """Replace the configuration of an alias."""
        settings.CACHES[alias] = {
            'BACKEND': '%s.%s' % (backend.__module__, backend.__name__),
            'LOCATION': location,
        }

    def load(self):
        """Return a new forwarder that has loaded its first backend."""
        cache = ForwardingCacheBackend(TARGET)
        cache.get('key')

        return cache

    def call_once(self, hook, func):
        """Have FakeBackend's on_init or on_close call a function once."""
        def call(backend):
            setattr(FakeBackend, hook, None)
            func()

        setattr(FakeBackend, str(hook), call)

    def start(self, func, count=1):
        """Return new threads, once each of them is waiting or done."""
        tasks = [Task(func) for i in range(count)]

        for task in tasks:
            task.states.get(timeout=TIMEOUT)

        return tasks

    def assert_values(self, caches, value):
        """Assert that a key has the same value in some caches."""
        self.assertEqual([cache.get('key') for cache in caches],
                         [value] * len(caches))

    def assert_only_open(self, *caches):
        """Assert that all but these caches' backends are closed, each once."""
        backends = [cache.backend for cache in caches]

        for backend in FakeBackend.made:
            self.assertEqual(
                len(backend.closes),
                0 if any(backend is other for other in backends) else 1)

    def test_reset_backend_with_same_configuration(self):
        """Testing ForwardingCacheBackend with reset and no change"""
        cache = self.load()

        for i in range(5):
            cache.reset_backend()
            self.assertEqual(cache.get('key'), 'A')

        self.assertEqual(len(FakeBackend.made), 6)
        self.assertIs(cache.backend, FakeBackend.made[-1])
        self.assert_only_open(cache)

    def test_reset_backend_with_edited_configuration(self):
        """Testing ForwardingCacheBackend with edited configuration"""
        cache = self.load()

        settings.CACHES[TARGET]['LOCATION'] = 'B'
        cache.reset_backend()
        self.assertEqual(cache.get('key'), 'B')

        settings.CACHES = copy.deepcopy(settings.CACHES)
        self.configure('C')
        cache.reset_backend()
        self.assertEqual(cache.get('key'), 'C')

    def test_reset_backend_at_every_line_of_access(self):
        """Testing ForwardingCacheBackend with reset at each line of access"""
        def trace(frame, event, arg):
            if frame.f_code.co_filename != filename:
                return None

            if event == 'line':
                lines.append(frame.f_lineno)

                if len(lines) == reset_line:
                    Task(cache.reset_backend).result()

            return trace

        def access():
            sys.settrace(trace)

            try:
                return cache.get('key')
            finally:
                sys.settrace(None)

        filename = forwarding_backend.__file__.replace('.pyc', '.py')
        cache = self.load()
        reset_line = 0
        lines = []

        while len(lines) >= reset_line:
            reset_line += 1
            lines = []
            self.assertEqual(Task(access).result(), 'A')

            # The next one has to start with nothing left to load.
            cache.get('key')

        self.assertTrue(reset_line > 2)

    def test_reset_backend_with_access_while_loading(self):
        """Testing ForwardingCacheBackend with access while resetting"""
        def access():
            accessed.append(Task(
                lambda: (cache.get('key'), len(cache.backend.closes)))
                .result())

        accessed = []
        cache = self.load()
        self.configure('B')
        self.call_once('on_init', access)
        self.call_once('on_close', access)
        cache.reset_backend()

        self.assertEqual(accessed, [('A', 0), ('B', 0)])
        self.assert_only_open(cache)

    def test_reset_backend_with_reset_while_closing(self):
        """Testing ForwardingCacheBackend with reset while closing"""
        def reset():
            self.configure('C')
            Task(cache.reset_backend).result()

        cache = self.load()
        self.configure('B')
        self.call_once('on_close', reset)
        cache.reset_backend()

        self.assertEqual(cache.get('key'), 'C')
        self.assert_only_open(cache)

    def test_reset_backend_with_reset_while_loading(self):
        """Testing ForwardingCacheBackend with reset while loading"""
        def reset():
            self.configure('B')
            tasks.extend(self.start(lambda: (cache.reset_backend(),
                                             cache.get('key'))))

        for is_first in (False, True):
            for is_loaded in (False, True):
                tasks = []
                FakeBackend.made = []
                self.configure('A')
                cache = ForwardingCacheBackend(TARGET)

                if not is_first:
                    cache.get('key')

                lock = ReportingLock(cache)

                if is_loaded:
                    lock.on_release = reset
                else:
                    self.call_once('on_init', reset)

                if is_first:
                    cache.get('key')
                else:
                    cache.reset_backend()

                self.assertEqual([task.result() for task in tasks],
                                 [(None, 'B')])
                self.assertEqual(cache.get('key'), 'B')
                self.assert_only_open(cache)

    def test_reset_backend_with_16_resets(self):
        """Testing ForwardingCacheBackend with 16 simultaneous resets"""
        def reset():
            self.configure('B')
            tasks.extend(self.start(cache.reset_backend, 15))

        tasks = []
        cache = self.load()
        ReportingLock(cache)
        self.call_once('on_init', reset)
        cache.reset_backend()

        for task in tasks:
            task.result()

        self.assertEqual(cache.get('key'), 'B')
        self.assertEqual(len(FakeBackend.made), 3)
        self.assert_only_open(cache)

    def test_reset_backend_with_error_in_close(self):
        """Testing ForwardingCacheBackend with error while closing"""
        def fail(backend):
            raise ValueError('cannot close')

        cache = self.load()
        self.configure('B')
        FakeBackend.on_close = fail
        cache.reset_backend()

        self.assertEqual(cache.get('key'), 'B')
        self.assert_only_open(cache)
        self.assertEqual(len(self.log.buffer), 1)
        self.assertIn(TARGET, self.log.buffer[0].getMessage())

    def test_reset_backend_with_broken_configuration(self):
        """Testing ForwardingCacheBackend with broken configuration"""
        def fail(backend):
            failed.append(FakeBackend.made.pop())
            raise ValueError('cannot connect')

        failed = []
        forwarders = [self.load(), self.load()]
        FakeBackend.on_init = fail

        for resets in (1, 2):
            forwarders[0].reset_backend()
            self.assert_values(forwarders * 3, 'A')

            self.assertEqual(len(failed), 2 * resets)
            self.assertEqual(len(self.log.buffer), 2 * resets)
            self.assertIn(TARGET, self.log.buffer[-1].getMessage())

        self.assert_only_open(*forwarders)

        FakeBackend.on_init = None
        self.configure('B')
        forwarders[0].reset_backend()
        self.assert_values(forwarders, 'B')
        self.assert_only_open(*forwarders)

    def test_reset_backend_with_other_forwarders(self):
        """Testing ForwardingCacheBackend with other forwarders"""
        self.configure('other', alias='forwarded_backend')
        other = ForwardingCacheBackend()
        other_backend = other.backend
        forwarders = [self.load() for i in range(3)]

        self.configure('B')
        forwarders[0].reset_backend()

        self.assert_values(forwarders, 'B')
        self.assertIs(other.backend, other_backend)
        self.assertEqual(len(FakeBackend.made), 7)
        self.assert_only_open(other, *forwarders)

    def test_reset_backend_with_eight_threads(self):
        """Testing ForwardingCacheBackend with reset and eight threads"""
        def access():
            cache = get_cache(FORWARDER)
            loaded.put(cache.get('key'))
            has_reset.wait(TIMEOUT)

            return [cache.get('key') for i in range(5)]

        loaded = Queue()
        has_reset = threading.Event()
        tasks = [Task(access) for i in range(8)]
        self.assertEqual([loaded.get(timeout=TIMEOUT) for task in tasks],
                         ['A'] * 8)

        self.configure('B')
        Task(lambda: get_cache(FORWARDER).reset_backend()).result()
        has_reset.set()

        self.assertEqual([task.result() for task in tasks], [['B'] * 5] * 8)
        self.assertEqual([len(backend.closes)
                          for backend in FakeBackend.made[:8]], [1] * 8)

    def test_reset_backend_with_context(self):
        """Testing ForwardingCacheBackend with reset and async context"""
        def reset():
            context = contextvars.copy_context()
            values = [context.run(lambda: get_cache(FORWARDER).get('key'))]
            self.configure('B')
            get_cache(FORWARDER).reset_backend()
            values.append(context.run(lambda: get_cache(FORWARDER).get('key')))

            return values

        if contextvars is None:
            raise unittest.SkipTest('needs Python 3.7 (contextvars)')

        self.assertEqual(Task(reset).result(), ['A', 'B'])

    def test_reset_backend_leaves_nothing_behind(self):
        """Testing ForwardingCacheBackend leaves nothing behind"""
        def get_alive():
            gc.collect()

            return [backend() for backend in backends if backend()]

        backends = []
        FakeBackend.on_init = lambda backend: backends.append(
            weakref.ref(FakeBackend.made.pop()))
        gc.collect()
        receivers = len(signals.request_finished.receivers)
        cache = self.load()

        for i in range(20):
            cache.reset_backend()
            cache.get('key')

        self.assertEqual(len(backends), 21)
        self.assertEqual(get_alive(), [cache.backend])
        self.assertEqual(len(signals.request_finished.receivers), receivers)

        cache = [self.load() for i in range(1000)]
        del cache
        self.assertEqual(len(backends), 1021)
        self.assertEqual(get_alive(), [])

    def test_with_eight_first_accesses(self):
        """Testing ForwardingCacheBackend with eight first accesses"""
        tasks = []
        cache = ForwardingCacheBackend(TARGET)
        ReportingLock(cache)
        self.call_once('on_init', lambda: tasks.extend(
            self.start(lambda: cache.get('key'), 7)))

        self.assertEqual(cache.get('key'), 'A')
        self.assertEqual([task.result() for task in tasks], ['A'] * 7)
        self.assertEqual(len(FakeBackend.made), 1)
        self.assert_only_open(cache)

    def test_with_error_in_first_load(self):
        """Testing ForwardingCacheBackend with error in the first load"""
        def fail(backend):
            raise ValueError('cannot connect')

        cache = ForwardingCacheBackend(TARGET)
        FakeBackend.on_init = fail

        for i in range(2):
            self.assertRaises(ValueError, lambda: cache.get('key'))

        del settings.CACHES[TARGET]
        self.assertRaises(django_cache.InvalidCacheBackendError,
                          lambda: cache.get('key'))
        cache.reset_backend()

        # No reset is needed once it's mended.
        FakeBackend.on_init = None
        self.configure('B')
        self.assertEqual(cache.get('key'), 'B')

    def test_with_interrupt(self):
        """Testing ForwardingCacheBackend with interrupt while loading"""
        for error in (KeyboardInterrupt, SystemExit):
            def interrupt(backend):
                FakeBackend.made.pop()
                raise error()

            FakeBackend.made = []
            self.configure('A')
            first = ForwardingCacheBackend(TARGET)
            loaded, other = self.load(), self.load()

            self.configure('B')
            FakeBackend.on_init = interrupt
            self.assertRaises(error, lambda: first.get('key'))
            self.assertRaises(error, loaded.reset_backend)
            self.assertRaises(error, lambda: other.get('key'))

            FakeBackend.on_init = None
            self.assert_values([first, loaded, other], 'B')
            self.assert_only_open(first, loaded, other)
            self.assertEqual(self.log.buffer, [])

    def test_with_odd_backend(self):
        """Testing ForwardingCacheBackend with odd backend"""
        self.configure('A', backend=OddBackend)
        cache = self.load()

        self.assertEqual(cache.dynamic, 'found')
        self.assertFalse(hasattr(cache, 'static'))
        self.assertIn('A', cache)
        cache.close()
        self.assertEqual([backend.closes for backend in FakeBackend.made],
                         [[{}]])

    def test_with_attribute_error(self):
        """Testing ForwardingCacheBackend with AttributeError in backend"""
        loaded = self.load()
        FakeBackend.on_init = lambda backend: backend.missing_in_constructor

        for cache, name, message in (
                (ForwardingCacheBackend(TARGET), 'get', 'constructor'),
                (ForwardingCacheBackend(TARGET), 'backend', 'constructor'),
                (loaded, 'broken', 'property')):
            try:
                self.fail(getattr(cache, name))
            except AttributeError as e:
                self.assertIn('missing_in_%s' % message, '%s' % e)

    def test_with_use_in_constructor(self):
        """Testing ForwardingCacheBackend with use in constructor"""
        values = []
        cache = ForwardingCacheBackend(TARGET)
        FakeBackend.on_init = lambda backend: values.append(cache.get('key'))

        # There's nothing to get in the first load.
        self.assertRaises(RuntimeError, Task(lambda: cache.get('key')).result)
        self.assertEqual(values, [])

        FakeBackend.on_init = None
        self.assertEqual(cache.get('key'), 'A')

        self.configure('B')
        self.call_once('on_init', lambda: values.append(cache.get('key')))
        Task(cache.reset_backend).result()
        self.assertEqual(values, ['A'])
        self.assertEqual(cache.get('key'), 'B')

    def test_with_reset_in_constructor(self):
        """Testing ForwardingCacheBackend with reset in constructor"""
        cache = ForwardingCacheBackend(TARGET)

        for location in ('B', 'C'):
            self.call_once('on_init', lambda: (self.configure(location),
                                               cache.reset_backend()))
            cache.reset_backend()
            Task(lambda: cache.get('key')).result()
            self.assertEqual(cache.get('key'), location)
            self.assert_only_open(cache)

    def test_close(self):
        """Testing ForwardingCacheBackend.close"""
        kwargs = {
            'sender': None,
            'signal': signals.request_finished,
        }
        cache = ForwardingCacheBackend(TARGET)
        cache.close(**kwargs)
        self.assertEqual(FakeBackend.made, [])

        cache.get('key')
        cache.close(**kwargs)
        cache.close()
        self.assertEqual(cache.backend.closes, [kwargs, {}])

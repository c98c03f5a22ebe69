"""Unit tests for djblets.cache.forwarding_backend.

The races are tested without any luck: a backend's constructor (or its close
method) is parked, the other threads are sent to where they have to wait, and
only then does the parked one go on. A thread that doesn't come back fails its
test. There are no sleeps to wait for the right moment, other than those
between looks at what the threads are doing.

Most tests construct their own forwarders. That's what Django 1.6 does for each
``get_cache()``, and what later versions do for each thread.
"""

from __future__ import unicode_literals

import copy
import gc
import logging
import os
import socket
import subprocess
import sys
import threading
import time
import traceback
import unittest
import weakref

import django
from django.conf import settings
from django.core import signals
from django.core.cache import InvalidCacheBackendError
from django.core.cache.backends.base import BaseCache
from django.core.cache.backends.locmem import LocMemCache
from django.core.exceptions import ImproperlyConfigured

from djblets.cache import forwarding_backend
from djblets.cache.forwarding_backend import (DEFAULT_FORWARD_CACHE_ALIAS,
                                              ForwardingCacheBackend)

try:
    from django.core.cache import caches
except ImportError:
    # Django < 1.7.
    caches = None

try:
    import contextvars
except ImportError:
    # Python < 3.7.
    contextvars = None


#: How long to wait for a thread, in seconds. This is only ever waited for when
#: a test is about to fail.
TIMEOUT = float(os.environ.get('FORWARDING_TESTS_TIMEOUT', 10))

#: The alias that the forwarders in these tests forward to.
TARGET = 'forwarding-test-target'

#: The alias of a forwarder to that.
FORWARDER = 'forwarding-test-forwarder'

FORWARDER_BACKEND = \
    'djblets.cache.forwarding_backend.ForwardingCacheBackend'


class FakeBackend(BaseCache):
    """A backend that records what's done to it, and can be parked."""

    #: All instances that were made in a test, in order.
    made = []

    #: A function to call in the constructor, with the instance.
    on_init = None

    #: A function to call when closing, with the instance.
    on_close = None

    def __init__(self, location, params):
        super(FakeBackend, self).__init__(params)

        self.location = location
        self.params = params
        self.closes = []
        self.made.append(self)

        if FakeBackend.on_init:
            FakeBackend.on_init(self)

    def get(self, key, default=None, version=None):
        return self.location

    def __contains__(self, key):
        return key == self.location

    def close(self, **kwargs):
        self.closes.append(kwargs)

        if FakeBackend.on_close:
            FakeBackend.on_close(self)


class EmptyBackend(FakeBackend):
    """A backend that's false."""

    def __len__(self):
        return 0


class AttributeErrorBackend(FakeBackend):
    """A backend with an error in its constructor."""

    def __init__(self, location, params):
        super(AttributeErrorBackend, self).__init__(location, params)

        self.there_is_no_such_attribute


class BrokenPropertyBackend(FakeBackend):
    """A backend with an error in a property."""

    lookups = 0

    @property
    def broken(self):
        self.lookups += 1
        raise AttributeError('this is the original error')


class DynamicBackend(FakeBackend):
    """A backend with attributes that aren't found the usual way."""

    def __getattr__(self, name):
        if name == 'dynamic':
            return 'found %s' % name

        raise AttributeError(name)


class Gate(object):
    """Parks whoever passes through it, until it's opened.

    This can be used as a hook in :py:class:`FakeBackend`.
    """

    def __init__(self, after=None):
        self._reached = threading.Event()
        self._opened = threading.Event()
        self._after = after

    def __call__(self, *args):
        if not self._reached.is_set():
            self._reached.set()
            assert self._opened.wait(TIMEOUT), 'The gate was never opened.'

            if self._after:
                self._after(*args)

    def wait_until_reached(self):
        assert self._reached.wait(TIMEOUT), 'The gate was never reached.'

    def open(self):
        self._opened.set()


class Task(threading.Thread):
    """A thread that keeps the result or the error of a function."""

    def __init__(self, func, *args):
        super(Task, self).__init__()

        self.daemon = True
        self.func = func
        self.args = args
        self.error = None
        self.value = None
        self.start()

    def run(self):
        try:
            self.value = self.func(*self.args)
        except BaseException as e:
            self.error = e

    def wait_until_waiting(self):
        """Wait until this is waiting in the forwarding backend.

        It's waiting once it's found at the same line there on each look, as
        anything else it may be doing there only takes microseconds.
        """
        filenames = (
            forwarding_backend.__file__.replace('.pyc', '.py'),
            threading.__file__.replace('.pyc', '.py'),
        )
        deadline = time.time() + TIMEOUT
        last = None
        looks = 0

        while looks < 10:
            assert time.time() < deadline, 'The thread is not waiting.'
            assert self.is_alive(), 'The thread did not wait.'

            frame = sys._current_frames().get(self.ident)
            place = frame and (frame.f_code, frame.f_lasti)

            if place and place == last and \
               frame.f_code.co_filename in filenames:
                looks += 1
            else:
                looks = 0

            last = place
            del frame
            time.sleep(0.002)

    def result(self):
        """Return what the function returned, or raise what it raised."""
        self.join(TIMEOUT)

        if self.is_alive():
            frame = sys._current_frames().get(self.ident)
            raise AssertionError(
                'The thread is stuck:\n%s'
                % ''.join(traceback.format_stack(frame)))

        if self.error is not None:
            raise self.error

        return self.value


class LogHandler(logging.Handler):
    """Keeps log records."""

    def __init__(self):
        logging.Handler.__init__(self)
        self.records = []

    def emit(self, record):
        self.records.append(record)


def get_receivers(signal):
    """Return the number of receivers of a signal that are still there."""
    gc.collect()

    return len([
        receiver
        for receiver in signal.receivers
        if not isinstance(receiver[1], weakref.ReferenceType) or receiver[1]()
    ])


class ForwardingCacheBackendTestCase(unittest.TestCase):
    """Base class for the tests of ForwardingCacheBackend."""

    def setUp(self):
        super(ForwardingCacheBackendTestCase, self).setUp()

        # Unlike tearDown, this is also called when a setUp skips the test.
        self.addCleanup(self.restore)

        self._old_caches = settings.CACHES
        self._old_entries = dict(settings.CACHES)

        FakeBackend.made = []
        FakeBackend.on_init = None
        FakeBackend.on_close = None

        self.configure('A')
        settings.CACHES[FORWARDER] = {
            'BACKEND': FORWARDER_BACKEND,
            'LOCATION': TARGET,
        }

        self.log = LogHandler()
        logging.getLogger().addHandler(self.log)

        # Handlers only get what loggers don't filter out.
        self._old_level = logging.getLogger().level
        logging.getLogger().setLevel(logging.DEBUG)

    def restore(self):
        """Restore everything that was changed by a test."""
        logging.getLogger().setLevel(self._old_level)
        logging.getLogger().removeHandler(self.log)

        settings.CACHES = self._old_caches
        settings.CACHES.clear()
        settings.CACHES.update(self._old_entries)

        FakeBackend.made = []
        FakeBackend.on_init = None
        FakeBackend.on_close = None

        self.forget_django_caches()

    def forget_django_caches(self):
        """Have Django's own handler forget what it made in this thread."""
        for alias in (TARGET, FORWARDER, DEFAULT_FORWARD_CACHE_ALIAS,
                      'default'):
            if hasattr(caches, '_connections'):
                if hasattr(caches._connections, alias):
                    delattr(caches._connections, alias)
            elif caches is not None:
                getattr(caches._caches, 'caches', {}).pop(alias, None)

        if hasattr(caches, '_connections'):
            caches._settings = caches.settings = settings.CACHES

    def configure(self, location, backend=FakeBackend, alias=TARGET, **config):
        """Replace the configuration of a backend.

        Args:
            location (unicode):
                The new location.

            backend (type or unicode, optional):
                The backend's class, or the path of one.

            alias (unicode, optional):
                The alias to configure.

            **config (dict):
                Further configuration.
        """
        if isinstance(backend, type):
            backend = '%s.%s' % (backend.__module__, backend.__name__)

        settings.CACHES[alias] = dict({
            'BACKEND': backend,
            'LOCATION': location,
        }, **config)

    def get_around(self, alias, change):
        """Get a key in eight threads, before and after a change.

        Args:
            alias (unicode):
                The alias of the cache, which each thread gets for itself.

            change (callable):
                What changes the configuration, while the threads wait.

        Returns:
            list of tuple:
            The value from before and a list of the values from afterwards, for
            each thread.
        """
        loaded = threading.Semaphore(0)
        go_on = threading.Event()

        def work():
            try:
                cache = get_django_cache(alias)
                before = cache.get('key')
            finally:
                # If this fails, then not by having the test wait forever.
                loaded.release()

            assert go_on.wait(TIMEOUT)

            return before, [cache.get('key') for i in range(5)]

        threads = [Task(work) for i in range(8)]

        for thread in threads:
            loaded.acquire()

        try:
            change()
        finally:
            go_on.set()

        return [thread.result() for thread in threads]

    def get_logged(self):
        """Return what's been logged by the forwarding backend as errors."""
        return [
            record.getMessage()
            for record in self.log.records
            if (record.levelno >= logging.ERROR and
                record.name == 'djblets.cache.forwarding_backend')
        ]

    def assert_closed_once(self, *backends):
        """Assert that backends were each closed once."""
        for backend in backends:
            self.assertEqual(
                len(backend.closes), 1,
                'The backend for "%s" was closed %d times.'
                % (backend.location, len(backend.closes)))

    def assert_open(self, *backends):
        """Assert that backends were never closed."""
        for backend in backends:
            self.assertEqual(backend.closes, [])


class ResetTests(ForwardingCacheBackendTestCase):
    """Unit tests for ForwardingCacheBackend.reset_backend."""

    def test_with_new_configuration(self):
        """Testing ForwardingCacheBackend.reset_backend with new configuration
        """
        cache = ForwardingCacheBackend(TARGET)
        self.assertEqual(cache.get('key'), 'A')

        self.configure('B')
        cache.reset_backend()
        self.assertEqual(cache.get('key'), 'B')

    def test_with_same_configuration(self):
        """Testing ForwardingCacheBackend.reset_backend with same configuration
        """
        cache = ForwardingCacheBackend(TARGET)
        old = cache.backend

        cache.reset_backend()
        self.assertEqual(cache.get('key'), 'A')
        self.assertIsNot(cache.backend, old)
        self.assertEqual(len(FakeBackend.made), 2)

    def test_with_configuration_edited_in_place(self):
        """Testing ForwardingCacheBackend.reset_backend with configuration
        edited in place
        """
        settings.CACHES[TARGET]['OPTIONS'] = {'MAX_ENTRIES': 10}
        cache = ForwardingCacheBackend(TARGET)
        self.assertEqual(cache._max_entries, 10)

        settings.CACHES[TARGET]['OPTIONS']['MAX_ENTRIES'] = 20
        cache.reset_backend()
        self.assertEqual(cache._max_entries, 20)

    def test_with_new_settings_dictionary(self):
        """Testing ForwardingCacheBackend.reset_backend with settings.CACHES
        bound to a new dictionary
        """
        cache = ForwardingCacheBackend(TARGET)
        self.assertEqual(cache.get('key'), 'A')

        settings.CACHES = copy.deepcopy(settings.CACHES)
        self.configure('B')
        cache.reset_backend()
        self.assertEqual(cache.get('key'), 'B')

    def test_with_reset_at_every_line_of_access(self):
        """Testing ForwardingCacheBackend.reset_backend at every line of an
        access in another thread
        """
        filename = forwarding_backend.__file__.replace('.pyc', '.py')
        cache = ForwardingCacheBackend(TARGET)
        cache.get('key')

        def trace(frame, event, arg):
            if frame.f_code.co_filename != filename:
                return None

            if event == 'line':
                self.line += 1

                if self.line == self.reset_line:
                    # The thread is over when this returns, unless the access
                    # holds a lock.
                    Task(cache.reset_backend).result()

            return trace

        def access():
            sys.settrace(trace)

            try:
                return cache.get('key')
            finally:
                sys.settrace(None)

        self.reset_line = 0
        old_trace = sys.gettrace()

        try:
            while True:
                # The accesses that find news have more lines, and may hold a
                # lock. The other tests take care of those.
                cache.get('key')
                cache.get('key')
                self.reset_line += 1
                self.line = 0
                self.assertEqual(access(), 'A')

                if self.line < self.reset_line:
                    break
        finally:
            sys.settrace(old_trace)

        self.assertTrue(self.reset_line > 2)

    def test_with_access_while_closing(self):
        """Testing ForwardingCacheBackend.reset_backend puts the new backend in
        place before it closes the old one
        """
        cache = ForwardingCacheBackend(TARGET)
        old = cache.backend
        self.configure('B')

        FakeBackend.on_close = gate = Gate()
        reset = Task(cache.reset_backend)
        gate.wait_until_reached()

        try:
            access = Task(lambda: (cache.get('key'), cache.backend))
            value, backend = access.result()
        finally:
            gate.open()

        reset.result()
        self.assertEqual(value, 'B')
        self.assertIsNot(backend, old)
        self.assert_closed_once(old)
        self.assert_open(backend)

    def test_with_closing(self):
        """Testing ForwardingCacheBackend.reset_backend closes every old
        backend once
        """
        cache = ForwardingCacheBackend(TARGET)
        cache.get('key')

        for i in range(5):
            cache.reset_backend()
            cache.get('key')

        self.assertEqual(len(FakeBackend.made), 6)
        self.assert_closed_once(*FakeBackend.made[:-1])
        self.assert_open(cache.backend)
        self.assertIs(cache.backend, FakeBackend.made[-1])

    def test_with_simultaneous_resets(self):
        """Testing ForwardingCacheBackend.reset_backend with 16 simultaneous
        resets loads twice at most
        """
        cache = ForwardingCacheBackend(TARGET)
        cache.get('key')
        FakeBackend.made = []

        FakeBackend.on_init = gate = Gate()
        resets = [Task(cache.reset_backend)]
        gate.wait_until_reached()

        try:
            self.configure('B')
            resets += [Task(cache.reset_backend) for i in range(15)]

            for reset in resets[1:]:
                reset.wait_until_waiting()
        finally:
            gate.open()

        for reset in resets:
            reset.result()

        self.assertEqual(len(FakeBackend.made), 2)
        self.assertEqual(cache.get('key'), 'B')
        self.assert_closed_once(FakeBackend.made[0])
        self.assert_open(FakeBackend.made[1])

    def _test_reset_during_load(self, cache, load, change):
        """Test that a reset isn't lost when another thread is loading.

        Args:
            cache (ForwardingCacheBackend):
                The cache.

            load (callable):
                The function that loads in the other thread.

            change (callable):
                The function that changes the configuration to "B".
        """
        FakeBackend.on_init = gate = Gate()
        other = Task(load)
        gate.wait_until_reached()

        try:
            change()
            reset = Task(cache.reset_backend)
            reset.wait_until_waiting()
        finally:
            gate.open()

        other.result()
        reset.result()
        self.assertEqual(cache.get('key'), 'B')
        self.assertEqual(FakeBackend.made[-1].location, 'B')
        self.assert_closed_once(*FakeBackend.made[:-1])
        self.assert_open(FakeBackend.made[-1])

    def test_with_other_reset_loading(self):
        """Testing ForwardingCacheBackend.reset_backend while another reset is
        loading
        """
        cache = ForwardingCacheBackend(TARGET)
        cache.get('key')
        self._test_reset_during_load(
            cache, cache.reset_backend, lambda: self.configure('B'))

    def test_with_other_reset_loading_and_edit_in_place(self):
        """Testing ForwardingCacheBackend.reset_backend while another reset is
        loading, after editing the configuration in place
        """
        cache = ForwardingCacheBackend(TARGET)
        cache.get('key')
        self._test_reset_during_load(
            cache, cache.reset_backend,
            lambda: settings.CACHES[TARGET].update({'LOCATION': 'B'}))

    def test_with_first_access_loading(self):
        """Testing ForwardingCacheBackend.reset_backend while the first access
        is loading
        """
        cache = ForwardingCacheBackend(TARGET)
        FakeBackend.on_init = gate = Gate()
        access = Task(lambda: cache.get('key'))
        gate.wait_until_reached()

        try:
            self.configure('B')
            reset = Task(cache.reset_backend)

            # Releases that lose this reset don't wait.
            while reset.is_alive():
                try:
                    reset.wait_until_waiting()
                    break
                except AssertionError:
                    if reset.is_alive():
                        raise
        finally:
            gate.open()

        access.result()
        reset.result()
        self.assertEqual(cache.get('key'), 'B')
        self.assert_closed_once(FakeBackend.made[0])
        self.assert_open(FakeBackend.made[-1])

    def test_with_error_in_close(self):
        """Testing ForwardingCacheBackend.reset_backend with error in closing
        the old backend
        """
        def fail(backend):
            raise ValueError('cannot close')

        cache = ForwardingCacheBackend(TARGET)
        old = cache.backend
        self.configure('B')

        FakeBackend.on_close = fail
        cache.reset_backend()
        self.assertEqual(cache.get('key'), 'B')
        self.assert_closed_once(old)
        self.assertEqual(len(self.get_logged()), 1)
        self.assertIn(TARGET, self.get_logged()[0])

    def test_with_interrupt_in_close(self):
        """Testing ForwardingCacheBackend.reset_backend with KeyboardInterrupt
        and SystemExit in closing the old backend
        """
        for error in (KeyboardInterrupt, SystemExit):
            def interrupt(backend):
                raise error()

            cache = ForwardingCacheBackend(TARGET)
            cache.get('key')

            FakeBackend.on_close = interrupt
            self.assertRaises(error, cache.reset_backend)

            FakeBackend.on_close = None
            cache.reset_backend()
            self.assertEqual(cache.get('key'), 'A')

    def test_with_other_handle(self):
        """Testing ForwardingCacheBackend.reset_backend reaches every other
        forwarder to the same alias
        """
        forwarders = [ForwardingCacheBackend(TARGET) for i in range(3)]
        self.assertEqual([cache.get('key') for cache in forwarders],
                         ['A', 'A', 'A'])

        self.configure('B')
        forwarders[0].reset_backend()
        self.assertEqual([cache.get('key') for cache in forwarders],
                         ['B', 'B', 'B'])
        self.assert_closed_once(*FakeBackend.made[:3])
        self.assert_open(*FakeBackend.made[3:])
        self.assertEqual(len(FakeBackend.made), 6)

    def test_with_other_alias(self):
        """Testing ForwardingCacheBackend.reset_backend leaves forwarders to
        other aliases alone
        """
        self.configure('other', alias=FORWARDER)
        cache = ForwardingCacheBackend(TARGET)
        other = ForwardingCacheBackend(FORWARDER)
        backend = other.backend

        cache.reset_backend()
        self.assertIs(other.backend, backend)

    def test_with_eight_threads(self):
        """Testing ForwardingCacheBackend.reset_backend reaches eight threads
        that go on living
        """
        def change():
            self.configure('B')
            get_django_cache(FORWARDER).reset_backend()

        self.assertEqual(self.get_around(FORWARDER, change),
                         [('A', ['B'] * 5)] * 8)

        # Everything that was opened for the old configuration is closed.
        self.assert_closed_once(*[
            backend
            for backend in FakeBackend.made
            if backend.location == 'A'
        ])

        # From Django 1.7 on, each thread has a target of its own.
        self.assertEqual(
            len([backend for backend in FakeBackend.made
                 if backend.location == 'B']),
            9)

    def test_with_context(self):
        """Testing ForwardingCacheBackend.reset_backend reaches an async
        context that goes on living
        """
        if contextvars is None or not hasattr(caches, '_connections'):
            raise unittest.SkipTest('This needs contextvars and Django 3.2+')

        context = contextvars.copy_context()
        self.assertEqual(
            context.run(lambda: caches[FORWARDER].get('key')), 'A')

        self.configure('B')
        caches[FORWARDER].reset_backend()
        self.assertEqual(
            context.run(lambda: caches[FORWARDER].get('key')), 'B')

    def test_with_sync_to_async(self):
        """Testing ForwardingCacheBackend.reset_backend reaches the thread of
        sync_to_async
        """
        if contextvars is None or not hasattr(caches, '_connections'):
            raise unittest.SkipTest('This needs contextvars and Django 3.2+')

        import asyncio
        from asgiref.sync import sync_to_async

        def access():
            return caches[FORWARDER].get('key')

        loop = asyncio.new_event_loop()

        try:
            self.assertEqual(
                loop.run_until_complete(sync_to_async(access)()), 'A')

            self.configure('B')
            caches[FORWARDER].reset_backend()
            self.assertEqual(
                loop.run_until_complete(sync_to_async(access)()), 'B')
            self.assertEqual(
                loop.run_until_complete(caches[FORWARDER].aget('key')), 'B')
        except AttributeError:
            # Django < 4.0 has no async methods.
            if django.VERSION >= (4, 0):
                raise
        finally:
            loop.close()

    def test_with_django_cache(self):
        """Testing ForwardingCacheBackend.reset_backend with caches[alias] used
        directly in the same thread
        """
        if caches is None:
            raise unittest.SkipTest('This needs Django 1.7+')

        self.assertEqual(caches[TARGET].get('key'), 'A')
        self.assertEqual(caches[FORWARDER].get('key'), 'A')
        old = caches[TARGET]

        settings.CACHES = copy.deepcopy(settings.CACHES)
        self.configure('B')
        caches[FORWARDER].reset_backend()
        self.assertEqual(caches[FORWARDER].get('key'), 'B')
        self.assertEqual(caches[TARGET].get('key'), 'B')
        self.assert_closed_once(old)

    def test_with_receivers(self):
        """Testing ForwardingCacheBackend.reset_backend adds no receivers and
        keeps no backends
        """
        cache = get_django_cache(FORWARDER)
        cache.get('key')
        backends = []

        FakeBackend.on_init = \
            lambda backend: backends.append(weakref.ref(backend))
        finished = get_receivers(signals.request_finished)
        started = get_receivers(signals.request_started)

        for i in range(1000):
            cache.reset_backend()
            cache.get('key')
            del FakeBackend.made[:]

        self.assertEqual(get_receivers(signals.request_finished), finished)
        self.assertEqual(get_receivers(signals.request_started), started)
        self.assertEqual(len(backends), 1000)
        self.assertEqual([backend() for backend in backends if backend()],
                         [cache.backend])

    def test_with_process_forked_while_loading(self):
        """Testing ForwardingCacheBackend.reset_backend in a process that's
        forked while another thread is loading
        """
        if not hasattr(os, 'fork'):
            raise unittest.SkipTest('This needs os.fork')

        cache = ForwardingCacheBackend(TARGET)
        cache.get('key')
        FakeBackend.on_init = gate = Gate()
        reset = Task(cache.reset_backend)
        gate.wait_until_reached()

        self.configure('B')

        try:
            pid = os.fork()

            if pid == 0:
                # This is the child process. It must never return to nose.
                status = 1

                try:
                    FakeBackend.on_init = None
                    in_child = Task(cache.reset_backend)
                    in_child.join(TIMEOUT)

                    if not in_child.is_alive() and cache.get('key') == 'B':
                        status = 0
                finally:
                    os._exit(status)

            self.assertEqual(os.waitpid(pid, 0)[1], 0)
        finally:
            gate.open()

        reset.result()


class FailureTests(ForwardingCacheBackendTestCase):
    """Unit tests for ForwardingCacheBackend with backends that can't load."""

    def test_reset_with_error(self):
        """Testing ForwardingCacheBackend.reset_backend with broken
        configuration
        """
        cache = ForwardingCacheBackend(TARGET)
        old = cache.backend

        self.configure('B', backend='no.such.Backend')

        try:
            cache.reset_backend()
            self.fail('InvalidCacheBackendError was not raised.')
        except InvalidCacheBackendError as e:
            self.assertIn(TARGET, '%s' % e)
            self.assertIn('no.such.Backend', '%s' % e)

        self.assertEqual(len(self.get_logged()), 1)
        self.assertIn(TARGET, self.get_logged()[0])

        # Neither the next access nor any other logs this again.
        self.assertEqual(cache.get('key'), 'A')
        self.assertEqual(cache.get('key'), 'A')
        self.assertIs(cache.backend, old)
        self.assert_open(old)
        self.assertEqual(len(self.get_logged()), 1)

        # The next reset tries again.
        self.configure('C')
        cache.reset_backend()
        self.assertEqual(cache.get('key'), 'C')
        self.assert_closed_once(old)

    def test_reset_with_missing_alias(self):
        """Testing ForwardingCacheBackend.reset_backend with configuration
        gone
        """
        cache = ForwardingCacheBackend(TARGET)
        old = cache.backend

        del settings.CACHES[TARGET]
        self.assertRaises(InvalidCacheBackendError, cache.reset_backend)
        self.assertEqual(cache.get('key'), 'A')
        self.assertIs(cache.backend, old)

    def test_access_with_error(self):
        """Testing ForwardingCacheBackend with access after a reset elsewhere
        and broken configuration
        """
        forwarders = [ForwardingCacheBackend(TARGET) for i in range(3)]
        olds = [cache.backend for cache in forwarders]

        self.configure('B', backend='no.such.Backend')
        self.assertRaises(InvalidCacheBackendError,
                          forwarders[0].reset_backend)

        for i in range(3):
            self.assertEqual([cache.get('key') for cache in forwarders],
                             ['A', 'A', 'A'])

        # This is logged once for each reset.
        self.assertEqual(len(self.get_logged()), 1)
        self.assertRaises(InvalidCacheBackendError,
                          forwarders[0].reset_backend)
        self.assertEqual([cache.get('key') for cache in forwarders],
                         ['A', 'A', 'A'])
        self.assertEqual(len(self.get_logged()), 2)
        self.assert_open(*olds)

        self.configure('C')
        forwarders[0].reset_backend()
        self.assertEqual([cache.get('key') for cache in forwarders],
                         ['C', 'C', 'C'])
        self.assert_closed_once(*olds)

    def test_access_with_error_and_no_reset(self):
        """Testing ForwardingCacheBackend with configuration broken and
        repaired without a reset
        """
        cache = ForwardingCacheBackend(TARGET)
        old = cache.backend

        for i in range(3):
            # Storing the same again is not worth another try.
            self.configure('B', backend='no.such.Backend')
            self.assertEqual(cache.get('key'), 'A')

        self.assertEqual(len(self.get_logged()), 1)
        self.assert_open(old)

        self.configure('C')
        self.assertEqual(cache.get('key'), 'C')
        self.assert_closed_once(old)

    def test_first_access_with_error(self):
        """Testing ForwardingCacheBackend with broken configuration and nothing
        loaded
        """
        self.configure('A', backend='no.such.Backend')
        cache = ForwardingCacheBackend(TARGET)

        for i in range(2):
            try:
                cache.get('key')
                self.fail('InvalidCacheBackendError was not raised.')
            except InvalidCacheBackendError as e:
                self.assertIn(TARGET, '%s' % e)

        # This needs no reset to be mended.
        self.configure('B')
        self.assertEqual(cache.get('key'), 'B')

    def test_first_access_with_error_and_waiting_threads(self):
        """Testing ForwardingCacheBackend with threads waiting for a first load
        that fails
        """
        def fail(backend):
            raise ValueError('no connection')

        cache = ForwardingCacheBackend(TARGET)
        FakeBackend.on_init = gate = Gate(after=fail)
        threads = [Task(lambda: cache.get('key'))]
        gate.wait_until_reached()

        try:
            threads += [Task(lambda: cache.get('key')) for i in range(7)]

            for thread in threads[1:]:
                thread.wait_until_waiting()
        finally:
            gate.open()

        for thread in threads:
            self.assertRaises(ValueError, thread.result)

        self.assertEqual(len(FakeBackend.made), 1)

        # Those who come later try again.
        self.assertEqual(cache.get('key'), 'A')
        self.assertEqual(len(FakeBackend.made), 2)

    def test_with_interrupt(self):
        """Testing ForwardingCacheBackend with KeyboardInterrupt and SystemExit
        in a backend's constructor
        """
        for error in (KeyboardInterrupt, SystemExit):
            def interrupt(backend):
                raise error()

            cache = ForwardingCacheBackend(TARGET)
            other = ForwardingCacheBackend(TARGET)

            FakeBackend.on_init = interrupt
            self.assertRaises(error, lambda: cache.get('key'))

            FakeBackend.on_init = None
            self.assertEqual(cache.get('key'), 'A')
            self.assertEqual(other.get('key'), 'A')

            FakeBackend.on_init = interrupt
            self.assertRaises(error, cache.reset_backend)
            self.assertRaises(error, lambda: other.get)

            FakeBackend.on_init = None
            self.assertEqual(cache.get('key'), 'A')
            self.assertEqual(other.get('key'), 'A')
            self.assertEqual(self.get_logged(), [])

    def test_with_attribute_error(self):
        """Testing ForwardingCacheBackend with AttributeError in a backend's
        constructor
        """
        self.configure('A', backend=AttributeErrorBackend)

        for name in ('get', 'backend', 'default_timeout'):
            cache = ForwardingCacheBackend(TARGET)
            FakeBackend.made = []

            try:
                getattr(cache, name)
                self.fail('AttributeError was not raised.')
            except AttributeError as e:
                self.assertIn('there_is_no_such_attribute', '%s' % e)

            self.assertEqual(len(FakeBackend.made), 1)

    def test_with_attribute_error_in_property(self):
        """Testing ForwardingCacheBackend with AttributeError in a backend's
        property
        """
        self.configure('A', backend=BrokenPropertyBackend)
        cache = ForwardingCacheBackend(TARGET)

        try:
            cache.broken
            self.fail('AttributeError was not raised.')
        except AttributeError as e:
            self.assertEqual('%s' % e, 'this is the original error')

        self.assertEqual(cache.backend.lookups, 1)

    def test_with_used_in_constructor(self):
        """Testing ForwardingCacheBackend with backend using it in its
        constructor
        """
        cache = ForwardingCacheBackend(TARGET)
        FakeBackend.on_init = lambda backend: cache.get('key')
        access = Task(lambda: cache.get('key'))

        try:
            access.result()
            self.fail('ImproperlyConfigured was not raised.')
        except ImproperlyConfigured as e:
            self.assertIn(TARGET, '%s' % e)

    def test_with_used_in_constructor_and_old_backend(self):
        """Testing ForwardingCacheBackend with backend using it in its
        constructor, and an old backend
        """
        values = []
        cache = ForwardingCacheBackend(TARGET)
        cache.get('key')

        self.configure('B')
        FakeBackend.on_init = \
            lambda backend: values.append(cache.get('key'))
        Task(cache.reset_backend).result()

        self.assertEqual(values, ['A'])
        self.assertEqual(cache.get('key'), 'B')

    def test_with_other_handle_used_in_constructor(self):
        """Testing ForwardingCacheBackend with backend using another forwarder
        to its alias in its constructor
        """
        FakeBackend.on_init = \
            lambda backend: ForwardingCacheBackend(TARGET).get('key')
        access = Task(lambda: ForwardingCacheBackend(TARGET).get)

        try:
            access.result()
            self.fail('ImproperlyConfigured was not raised.')
        except ImproperlyConfigured as e:
            self.assertIn(TARGET, '%s' % e)

    def test_with_reset_in_constructor(self):
        """Testing ForwardingCacheBackend with backend resetting it in its
        constructor
        """
        cache = ForwardingCacheBackend(TARGET)
        cache.get('key')

        def reset(backend):
            FakeBackend.on_init = None
            self.configure('B')
            cache.reset_backend()

        FakeBackend.on_init = reset
        Task(cache.reset_backend).result()
        self.assertEqual(cache.get('key'), 'B')
        self.assert_closed_once(*FakeBackend.made[:-1])
        self.assert_open(FakeBackend.made[-1])

    def test_with_alias_forwarding_to_itself(self):
        """Testing ForwardingCacheBackend with alias forwarding to itself"""
        self.configure(TARGET, backend=FORWARDER_BACKEND)
        cache = ForwardingCacheBackend(TARGET)

        try:
            cache.get('key')
            self.fail('ImproperlyConfigured was not raised.')
        except ImproperlyConfigured as e:
            self.assertIn('%s -> %s' % (TARGET, TARGET), '%s' % e)

    def test_with_aliases_forwarding_to_each_other(self):
        """Testing ForwardingCacheBackend with aliases forwarding to each other
        """
        self.configure(FORWARDER, backend=FORWARDER_BACKEND)
        cache = ForwardingCacheBackend(TARGET)

        try:
            cache.get('key')
            self.fail('ImproperlyConfigured was not raised.')
        except ImproperlyConfigured as e:
            self.assertIn('%s -> %s -> %s' % (TARGET, FORWARDER, TARGET),
                          '%s' % e)


class AccessTests(ForwardingCacheBackendTestCase):
    """Unit tests for accesses through ForwardingCacheBackend."""

    def test_default_alias(self):
        """Testing ForwardingCacheBackend with default alias"""
        self.assertEqual(DEFAULT_FORWARD_CACHE_ALIAS, 'forwarded_backend')
        self.configure('D', alias='forwarded_backend')

        self.assertEqual(ForwardingCacheBackend().get('key'), 'D')

    def test_with_no_location(self):
        """Testing ForwardingCacheBackend with no LOCATION in its configuration
        """
        self.configure('D', alias='forwarded_backend')
        del settings.CACHES[FORWARDER]['LOCATION']

        self.assertEqual(get_django_cache(FORWARDER).get('key'), 'D')

    def test_with_simultaneous_first_accesses(self):
        """Testing ForwardingCacheBackend with 8 simultaneous first accesses
        loads once
        """
        cache = ForwardingCacheBackend(TARGET)
        FakeBackend.on_init = gate = Gate()
        threads = [Task(lambda: cache.get('key'))]
        gate.wait_until_reached()

        try:
            threads += [Task(lambda: cache.get('key')) for i in range(7)]

            for thread in threads[1:]:
                thread.wait_until_waiting()
        finally:
            gate.open()

        self.assertEqual([thread.result() for thread in threads], ['A'] * 8)
        self.assertEqual(len(FakeBackend.made), 1)
        self.assert_open(FakeBackend.made[0])

    def test_while_loading(self):
        """Testing ForwardingCacheBackend with access while another thread is
        loading
        """
        cache = ForwardingCacheBackend(TARGET)
        old = cache.backend
        self.configure('B')

        FakeBackend.on_init = gate = Gate()
        reset = Task(cache.reset_backend)
        gate.wait_until_reached()

        try:
            access = Task(lambda: (cache.get('key'), cache.backend))
            self.assertEqual(access.result(), ('A', old))
            self.assert_open(old)
        finally:
            gate.open()

        reset.result()
        self.assertEqual(cache.get('key'), 'B')

    def test_with_false_backend(self):
        """Testing ForwardingCacheBackend with backend that has a length of 0
        """
        self.configure('A', backend=EmptyBackend)
        cache = ForwardingCacheBackend(TARGET)
        cache.get('key')
        cache.get('key')
        self.assertIn('A', cache)
        self.assertEqual(len(FakeBackend.made), 1)

        cache.close()
        self.assert_closed_once(FakeBackend.made[0])

        cache.reset_backend()
        self.assertEqual(len(FakeBackend.made), 2)

    def test_with_getattr_of_backend(self):
        """Testing ForwardingCacheBackend with backend that has a __getattr__
        """
        self.configure('A', backend=DynamicBackend)
        cache = ForwardingCacheBackend(TARGET)

        self.assertEqual(cache.dynamic, 'found dynamic')
        self.assertFalse(hasattr(cache, 'static'))

    def test_with_second_forwarder(self):
        """Testing ForwardingCacheBackend with forwarding to a second forwarder
        """
        cache = ForwardingCacheBackend(FORWARDER)
        self.assertEqual(cache.get('key'), 'A')

        self.configure('B')
        cache.reset_backend()
        self.assertEqual(cache.get('key'), 'B')

        self.configure('C')
        ForwardingCacheBackend(TARGET).reset_backend()
        self.assertEqual(cache.get('key'), 'C')
        self.assert_closed_once(*[
            backend
            for backend in FakeBackend.made
            if backend.location in ('A', 'B')
        ])

    def test_contains(self):
        """Testing ForwardingCacheBackend.__contains__"""
        cache = ForwardingCacheBackend(TARGET)
        self.assertTrue('A' in cache)
        self.assertFalse('B' in cache)

    def test_close_with_nothing_loaded(self):
        """Testing ForwardingCacheBackend.close with nothing loaded"""
        cache = ForwardingCacheBackend(TARGET)
        cache.close()
        cache.close(signal=signals.request_finished, sender=None)
        self.assertEqual(FakeBackend.made, [])

    def test_close(self):
        """Testing ForwardingCacheBackend.close as a signal receiver"""
        cache = ForwardingCacheBackend(TARGET)
        cache.get('key')
        cache.close(signal=signals.request_finished, sender=None)
        self.assertEqual(FakeBackend.made[0].closes, [{
            'signal': signals.request_finished,
            'sender': None,
        }])

        # It's still the backend to use.
        self.assertEqual(cache.get('key'), 'A')
        self.assertEqual(len(FakeBackend.made), 1)

    def test_close_at_end_of_request(self):
        """Testing ForwardingCacheBackend.close at the end of a request"""
        cache = get_django_cache(FORWARDER)
        signals.request_finished.send(sender=None)
        self.assertEqual(FakeBackend.made, [])

        cache.get('key')
        signals.request_finished.send(sender=None)
        self.assertEqual(len(FakeBackend.made[0].closes), 1)

        cache.reset_backend()
        cache.get('key')
        signals.request_finished.send(sender=None)
        self.assertEqual(len(FakeBackend.made[0].closes), 2)
        self.assertEqual(len(FakeBackend.made[1].closes), 1)

    def test_with_short_lived_forwarders(self):
        """Testing ForwardingCacheBackend with a thousand forwarders and
        threads leaves nothing behind
        """
        FakeBackend.made = Discard()
        backends = []
        forwarders = []

        FakeBackend.on_init = \
            lambda backend: backends.append(weakref.ref(backend))

        def work():
            cache = get_django_cache(FORWARDER)
            cache.get('key')
            forwarders.append(weakref.ref(cache))

        work()
        finished = get_receivers(signals.request_finished)
        started = get_receivers(signals.request_started)

        for i in range(1000):
            Task(work).result()

        gc.collect()
        alive = 1 if caches is not None else 0
        self.assertEqual(len([ref for ref in forwarders if ref()]), alive)
        self.assertEqual(len([ref for ref in backends if ref()]), alive)
        self.assertEqual(get_receivers(signals.request_finished), finished)
        self.assertEqual(get_receivers(signals.request_started), started)

    def test_options(self):
        """Testing ForwardingCacheBackend with options of its own"""
        self.configure('A', TIMEOUT=300, VERSION=1, KEY_PREFIX='target',
                       OPTIONS={'MAX_ENTRIES': 10, 'CULL_FREQUENCY': 4})
        cache = ForwardingCacheBackend(TARGET, {
            'TIMEOUT': 60,
            'VERSION': 2,
            'KEY_PREFIX': 'forwarder',
            'KEY_FUNCTION': make_other_key,
            'OPTIONS': {'MAX_ENTRIES': 20},
        })

        for i in range(2):
            self.assertEqual(cache.default_timeout, 60)
            self.assertEqual(cache.version, 2)
            self.assertEqual(cache.key_prefix, 'forwarder')
            self.assertEqual(cache.make_key('key'), 'forwarder/2/key')
            self.assertEqual(cache._max_entries, 20)
            self.assertEqual(cache._cull_frequency, 4)
            self.assertEqual(cache.location, 'A')

            cache.reset_backend()

    def test_options_with_nothing_overridden(self):
        """Testing ForwardingCacheBackend with no options of its own"""
        self.configure('A', TIMEOUT=300, VERSION=3, KEY_PREFIX='target',
                       OPTIONS={'timeout': 5})
        cache = ForwardingCacheBackend(TARGET, {'OPTIONS': {'ignore': True}})

        self.assertEqual(cache.params, {
            'KEY_PREFIX': 'target',
            'OPTIONS': {'ignore': True, 'timeout': 5},
            'TIMEOUT': 300,
            'VERSION': 3,
        })
        self.assertEqual(settings.CACHES[TARGET]['OPTIONS'], {'timeout': 5})

    def test_options_with_other_spelling(self):
        """Testing ForwardingCacheBackend with options that are spelled in
        another way than the backend's own
        """
        self.configure('A', timeout=300, max_entries=10)
        cache = ForwardingCacheBackend(TARGET, {
            'TIMEOUT': 60,
            'OPTIONS': {'MAX_ENTRIES': 20},
        })
        self.assertEqual(cache.default_timeout, 60)
        self.assertEqual(cache._max_entries, 20)

        self.configure('A', TIMEOUT=300)
        self.assertEqual(
            ForwardingCacheBackend(TARGET, timeout=60).default_timeout, 60)

    def test_options_with_django(self):
        """Testing ForwardingCacheBackend with options in its configuration"""
        settings.CACHES[FORWARDER]['TIMEOUT'] = 60
        self.assertEqual(get_django_cache(FORWARDER).default_timeout, 60)

    def test_options_with_get_cache(self):
        """Testing ForwardingCacheBackend with options for get_cache"""
        if caches is not None:
            raise unittest.SkipTest('This needs Django < 1.7')

        from django.core.cache import get_cache
        from django.middleware.cache import CacheMiddleware

        self.assertEqual(get_cache(FORWARDER, timeout=60).default_timeout, 60)
        self.assertEqual(get_cache(FORWARDER).default_timeout, 300)
        self.assertEqual(
            CacheMiddleware(cache_timeout=60,
                            cache_alias=FORWARDER).cache_timeout,
            60)

    def test_setattr(self):
        """Testing ForwardingCacheBackend.__setattr__"""
        cache = ForwardingCacheBackend(TARGET)
        cache.default_timeout = 5
        cache.key_func = make_other_key
        self.assertEqual(cache.backend.default_timeout, 5)
        self.assertEqual(cache.default_timeout, 5)
        self.assertEqual(cache.make_key('key'), '/1/key')

        cache.reset_backend()
        self.assertEqual(len(FakeBackend.made), 2)
        self.assertEqual(cache.backend.default_timeout, 5)
        self.assertEqual(cache.default_timeout, 5)
        self.assertEqual(cache.make_key('key'), '/1/key')

        # What's set on the backend isn't hidden by what was set before.
        cache.backend.default_timeout = 6
        self.assertEqual(cache.default_timeout, 6)

    def test_setattr_with_method(self):
        """Testing ForwardingCacheBackend.__setattr__ with method"""
        cache = ForwardingCacheBackend(TARGET)
        cache.get = lambda key: 'replaced'
        self.assertEqual(cache.get('key'), 'replaced')

        del cache.get
        self.assertEqual(cache.get('key'), 'A')

    def test_setattr_while_loading(self):
        """Testing ForwardingCacheBackend.__setattr__ while another thread is
        loading
        """
        cache = ForwardingCacheBackend(TARGET)
        cache.get('key')

        FakeBackend.on_init = gate = Gate()
        reset = Task(cache.reset_backend)
        gate.wait_until_reached()

        try:
            Task(setattr, cache, str('default_timeout'), 5).result()
        finally:
            gate.open()

        reset.result()
        self.assertEqual(cache.default_timeout, 5)
        self.assertEqual(cache.backend.default_timeout, 5)

    def test_delattr(self):
        """Testing ForwardingCacheBackend.__delattr__"""
        cache = ForwardingCacheBackend(TARGET)
        cache.mark = 1
        del cache.mark
        self.assertFalse(hasattr(cache, 'mark'))
        self.assertFalse(hasattr(cache.backend, 'mark'))
        self.assertRaises(AttributeError, delattr, cache, str('mark'))

        del cache.default_timeout
        cache.reset_backend()
        self.assertFalse(hasattr(cache, 'default_timeout'))

    def test_dir(self):
        """Testing ForwardingCacheBackend.__dir__"""
        names = dir(ForwardingCacheBackend(TARGET))
        self.assertIn('incr_version', names)
        self.assertIn('location', names)
        self.assertIn('reset_backend', names)

    def test_isinstance(self):
        """Testing ForwardingCacheBackend with isinstance"""
        cache = ForwardingCacheBackend(TARGET)
        self.assertTrue(isinstance(cache, ForwardingCacheBackend))
        self.assertTrue(isinstance(cache, BaseCache))
        self.assertTrue(isinstance(cache, FakeBackend))
        self.assertFalse(isinstance(cache, LocMemCache))
        self.assertTrue(type(cache) is ForwardingCacheBackend)

    def test_with_real_backend(self):
        """Testing ForwardingCacheBackend with Django's local memory backend"""
        self.configure('forwarding-test', backend=LocMemCache)
        cache = get_django_cache(FORWARDER)
        cache.clear()

        self.assertTrue(cache.add('key', 1))
        self.assertFalse(cache.add('key', 2))
        self.assertEqual(cache.incr('key'), 2)
        self.assertEqual(cache.decr('key'), 1)
        self.assertTrue(getattr(cache, 'has_key')('key'))
        self.assertTrue('key' in cache)
        cache.set('key', 'other version', version=2)
        self.assertEqual(cache.get('key', version=2), 'other version')
        self.assertEqual(cache.get('key'), 1)
        self.assertEqual(cache.incr_version('key', version=2), 3)
        cache.set_many({'a': 1, 'b': 2})
        self.assertEqual(cache.get_many(['a', 'b', 'c']), {'a': 1, 'b': 2})
        cache.delete_many(['a', 'b'])
        self.assertEqual(cache.get_many(['a', 'b']), {})
        cache.delete('key')
        self.assertEqual(cache.get('key', 'default'), 'default')


class ConfigurationTests(ForwardingCacheBackendTestCase):
    """Unit tests for configurations that change without a reset."""

    def test_with_replaced_entry(self):
        """Testing ForwardingCacheBackend with entry in settings.CACHES
        replaced
        """
        forwarders = [ForwardingCacheBackend(TARGET) for i in range(3)]
        olds = [cache.backend for cache in forwarders]

        self.configure('B')
        self.assertEqual([cache.get('key') for cache in forwarders],
                         ['B', 'B', 'B'])
        self.assert_closed_once(*olds)

    def test_with_equal_entry(self):
        """Testing ForwardingCacheBackend with entry in settings.CACHES
        replaced by an equal one
        """
        cache = ForwardingCacheBackend(TARGET)
        old = cache.backend

        for i in range(3):
            self.configure('A')
            signals.request_started.send(sender=None)
            self.assertEqual(cache.get('key'), 'A')

        self.assertIs(cache.backend, old)
        self.assert_open(old)

    def test_with_new_settings_dictionary(self):
        """Testing ForwardingCacheBackend with settings.CACHES bound to a new
        dictionary
        """
        cache = ForwardingCacheBackend(TARGET)
        old = cache.backend

        settings.CACHES = copy.deepcopy(settings.CACHES)
        signals.request_started.send(sender=None)
        self.assertIs(cache.backend, old)

        settings.CACHES = copy.deepcopy(settings.CACHES)
        self.configure('B')
        signals.request_started.send(sender=None)
        self.assertEqual(cache.get('key'), 'B')
        self.assert_closed_once(old)

    def test_with_edit_in_place(self):
        """Testing ForwardingCacheBackend with configuration edited in place"""
        self.configure('A', OPTIONS={'MAX_ENTRIES': 10})
        forwarders = [ForwardingCacheBackend(TARGET) for i in range(2)]
        self.assertEqual([cache._max_entries for cache in forwarders],
                         [10, 10])

        settings.CACHES[TARGET]['OPTIONS']['MAX_ENTRIES'] = 20
        late = ForwardingCacheBackend(TARGET)
        self.assertEqual(late._max_entries, 20)

        signals.request_started.send(sender=None)
        self.assertEqual([cache._max_entries for cache in forwarders],
                         [20, 20])

    def test_with_edit_undone(self):
        """Testing ForwardingCacheBackend with configuration edited in place
        and back between two requests
        """
        cache = ForwardingCacheBackend(TARGET)
        cache.get('key')
        signals.request_started.send(sender=None)
        cache.get('key')

        settings.CACHES[TARGET]['LOCATION'] = 'B'
        other = ForwardingCacheBackend(TARGET)
        self.assertEqual(other.get('key'), 'B')
        settings.CACHES[TARGET]['LOCATION'] = 'A'

        signals.request_started.send(sender=None)
        self.assertEqual(cache.get('key'), 'A')
        self.assertEqual(other.get('key'), 'A')

    def test_with_eight_threads(self):
        """Testing ForwardingCacheBackend with entry in settings.CACHES
        replaced and eight threads that go on living
        """
        self.assertEqual(
            self.get_around(FORWARDER, lambda: self.configure('B')),
            [('A', ['B'] * 5)] * 8)

    def test_with_override_settings(self):
        """Testing ForwardingCacheBackend with override_settings"""
        if caches is None:
            raise unittest.SkipTest('This needs Django 1.7+')

        from django.test.utils import override_settings

        new_caches = copy.deepcopy(settings.CACHES)
        new_caches[TARGET]['LOCATION'] = 'B'
        self.assertEqual(caches[FORWARDER].get('key'), 'A')

        with override_settings(CACHES=new_caches):
            self.assertEqual(caches[FORWARDER].get('key'), 'B')

        self.assertEqual(caches[FORWARDER].get('key'), 'A')


class SiteConfigTests(ForwardingCacheBackendTestCase):
    """Unit tests for changing the backend through djblets.siteconfig."""

    def setUp(self):
        super(SiteConfigTests, self).setUp()

        try:
            from djblets.siteconfig.models import SiteConfiguration

            SiteConfiguration._meta.get_field('settings')
        except Exception as e:
            raise unittest.SkipTest('This needs djblets.siteconfig: %s' % e)

        # A site that's been looked up before needs no database.
        from django.contrib.sites import models as sites_models

        self._site_cache = sites_models.SITE_CACHE
        self._old_site_cache = dict(self._site_cache)
        site = sites_models.Site(pk=settings.SITE_ID, domain='example.com',
                                 name='example.com')
        self._site_cache[settings.SITE_ID] = site

        self.siteconfig = SiteConfiguration(site=site, version='1.0')
        self.configure('D', alias=DEFAULT_FORWARD_CACHE_ALIAS)
        settings.CACHES['default'] = {
            'BACKEND': FORWARDER_BACKEND,
            'LOCATION': DEFAULT_FORWARD_CACHE_ALIAS,
        }
        self.forget_django_caches()

    def tearDown(self):
        super(SiteConfigTests, self).tearDown()

        self._site_cache.clear()
        self._site_cache.update(self._old_site_cache)

    def apply_backend(self, location, backend=None):
        """Apply a backend that's stored in the site configuration."""
        from djblets.siteconfig.django_settings import (
            apply_django_settings,
            cache_settings_map)

        self.siteconfig.settings['cache_backend'] = {
            DEFAULT_FORWARD_CACHE_ALIAS: {
                'BACKEND': backend or '%s.FakeBackend' % __name__,
                'LOCATION': location,
            },
        }
        apply_django_settings(self.siteconfig, cache_settings_map)

    def test_with_eight_threads(self):
        """Testing ForwardingCacheBackend with change through siteconfig and
        eight threads that go on living
        """
        self.assertEqual(
            self.get_around('default', lambda: self.apply_backend('E')),
            [('D', ['E'] * 5)] * 8)

    def test_with_broken_backend(self):
        """Testing ForwardingCacheBackend with broken backend in siteconfig,
        and its repair
        """
        cache = get_django_cache('default')
        self.assertEqual(cache.get('key'), 'D')

        try:
            self.apply_backend('E', backend='no.such.Backend')
        except InvalidCacheBackendError:
            # Djblets < 6.0 lets this through.
            pass

        self.assertEqual(cache.get('key'), 'D')
        signals.request_finished.send(sender=None)
        self.assertEqual(cache.get('key'), 'D')
        self.assertNotEqual(self.get_logged(), [])

        self.apply_backend('F')
        self.assertEqual(cache.get('key'), 'F')
        self.assertEqual(Task(lambda: get_django_cache('default').get('key'))
                         .result(), 'F')


class MemcachedTests(ForwardingCacheBackendTestCase):
    """Tests with a real memcached."""

    def setUp(self):
        super(MemcachedTests, self).setUp()

        program = find_program('memcached')

        if not program:
            raise unittest.SkipTest('This needs memcached')

        self.backend_path = \
            'django.core.cache.backends.memcached.%s' % (
                'PyMemcacheCache' if django.VERSION >= (3, 2)
                else 'MemcachedCache')

        try:
            __import__('pymemcache' if django.VERSION >= (3, 2)
                       else 'memcache')
        except ImportError as e:
            raise unittest.SkipTest('This needs a memcached client: %s' % e)

        with_port = socket.socket()
        with_port.bind(('127.0.0.1', 0))
        self.port = with_port.getsockname()[1]
        with_port.close()

        arguments = [program, '-l', '127.0.0.1', '-p', '%d' % self.port,
                     '-U', '0']

        if hasattr(os, 'getuid') and os.getuid() == 0:
            arguments += ['-u', 'root']

        self.server = subprocess.Popen(arguments)
        self.addCleanup(self.server.wait)
        self.addCleanup(self.server.kill)
        deadline = time.time() + TIMEOUT

        while True:
            try:
                # This is kept open. If it wasn't, the server would still count
                # it for a moment.
                self.connection = socket.create_connection(
                    ('127.0.0.1', self.port), TIMEOUT)
                break
            except (OSError, socket.error):
                if time.time() > deadline:
                    raise

                time.sleep(0.02)

        self.addCleanup(self.connection.close)

        self.configure('127.0.0.1:%d' % self.port, backend=self.backend_path)

    def get_connections(self):
        """Return the number of connections that the server has."""
        stats = b''
        self.connection.sendall(b'stats\r\n')

        while not stats.endswith(b'END\r\n'):
            stats += self.connection.recv(4096)

        return int(stats.split(b'STAT curr_connections ')[1].split()[0])

    def test_connections(self):
        """Testing ForwardingCacheBackend with connections to memcached after a
        thousand resets under threads
        """
        cache = get_django_cache(FORWARDER)
        cache.set('key', 'value')
        done = threading.Event()

        def work():
            own_cache = get_django_cache(FORWARDER)
            count = 0

            while not done.is_set() or not count:
                self.assertEqual(own_cache.get('key'), 'value')
                count += 1

            own_cache.close()
            return count

        before = self.get_connections()
        threads = [Task(work) for i in range(4)]

        for i in range(1000):
            cache.reset_backend()

        done.set()

        for thread in threads:
            self.assertTrue(thread.result() > 0)

        del thread, threads
        self.assertEqual(cache.get('key'), 'value')
        gc.collect()

        # The server only notices closed connections after a moment.
        deadline = time.time() + TIMEOUT

        while True:
            after = self.get_connections()

            if after <= before or time.time() > deadline:
                break

            time.sleep(0.02)

        self.assertEqual(after, before)


class Discard(object):
    """A list that keeps nothing."""

    def append(self, item):
        pass


def find_program(name):
    """Return the path of a program, or None."""
    for path in os.environ.get('PATH', os.defpath).split(os.pathsep):
        path = os.path.join(path, name)

        if os.access(path, os.X_OK) and not os.path.isdir(path):
            return path

    return None


def get_django_cache(alias):
    """Return a cache as Django's own code and its users get it.

    Args:
        alias (unicode):
            The alias of the cache.

    Returns:
        django.core.cache.backends.base.BaseCache:
        The cache.
    """
    if caches is not None:
        return caches[alias]

    from django.core.cache import get_cache

    return get_cache(alias)


def make_other_key(key, key_prefix, version):
    """Return a key in a format that's different from Django's own."""
    return '%s/%s/%s' % (key_prefix, version, key)

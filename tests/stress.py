"""Puts a Djblets under stress: many threads, servers that die, many resets.

This is run by run_suite.py. On a release without the fix, it has to fail.
"""

from __future__ import print_function

import ctypes
import gc
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import unittest

import django
from django.conf import settings
from django.core import cache as django_cache
from django.core.cache import cache
from django.core.signals import request_finished


TARGET = 'forwarded_backend'

#: How many threads use the cache at a time, for how many seconds, and after
#: how many switches nothing may be left of them.
THREADS = 16
SECONDS, SWITCHES = ((20, 10000) if 'FORWARDING_TESTS_LONG' in os.environ
                     else (0.5, 50))

#: How long to wait for what should come at once, in seconds.
TIMEOUT = 60

BACKENDS = 'django.core.cache.backends.'

#: The servers' commands, Django's backends for them, and their locations.
SERVERS = {
    'memcached': (
        'memcached -l 127.0.0.1 -p %d -U 0 -u root',
        'memcached.%s' % ('PyMemcacheCache' if django.VERSION >= (3, 2)
                          else 'MemcachedCache'),
        '127.0.0.1:%d'),
    'redis-server': (
        'redis-server --bind 127.0.0.1 --port %d --save ',
        'redis.RedisCache' if django.VERSION >= (4, 0) else None,
        'redis://127.0.0.1:%d'),
}


class StressTests(unittest.TestCase):
    """Tests of a Djblets under stress."""

    def setUp(self):
        super(StressTests, self).setUp()

        self.addCleanup(settings.CACHES.__setitem__, TARGET,
                        settings.CACHES[TARGET])

        # Threads are to meet in all places.
        if hasattr(sys, 'setswitchinterval'):
            self.addCleanup(sys.setswitchinterval, sys.getswitchinterval())
            sys.setswitchinterval(0.0001)
        else:
            self.addCleanup(sys.setcheckinterval, sys.getcheckinterval())
            sys.setcheckinterval(10)

    def use(self, program=None):
        """Start two servers, or use locmem, and fill both."""
        self.processes = []
        self.configs = [
            self.start(program) if program else {
                'BACKEND': BACKENDS + 'locmem.LocMemCache', 'LOCATION': name}
            for name in 'AB'
        ]

        #: The last switch that was started, the last one that was done, and
        #: the last one to a server that was killed then.
        self.started = self.done = self.killed = -1
        self.accesses = 0
        self.problems = []

        for i in range(2):
            self.switch()
            cache.set('server', i, 86400)

        self.access()
        self.assertEqual(self.problems, [])

    def start(self, program):
        """Start a server until the test is over, and return its settings."""
        command, backend, location = SERVERS[program]

        if not backend:
            raise unittest.SkipTest('There is no such backend in this Django.')

        unused = socket.socket()
        unused.bind(('127.0.0.1', 0))
        port = unused.getsockname()[1]
        unused.close()

        try:
            process = subprocess.Popen(
                (command % port).split(' '), stdout=open(os.devnull, 'w'),
                # The kernel kills it when this process ends, however it does.
                preexec_fn=lambda: ctypes.CDLL(None).prctl(1, signal.SIGKILL))
        except OSError:
            raise unittest.SkipTest('needs: %s' % program)

        self.processes.append(process)
        self.addCleanup(process.wait)
        self.addCleanup(lambda: process.poll() is None and process.kill())

        for i in range(TIMEOUT * 50):
            try:
                socket.create_connection(('127.0.0.1', port)).close()
                break
            except (OSError, socket.error):
                time.sleep(0.02)

        return {'BACKEND': BACKENDS + backend, 'LOCATION': location % port}

    def switch(self):
        """Switch to the other server."""
        self.started += 1

        # The number of the switch can be seen in the backend.
        settings.CACHES[TARGET] = dict(self.configs[self.started % 2],
                                       TIMEOUT=1000 + self.started)
        cache.reset_backend()
        self.done = self.started

    def access(self):
        """Use the cache, and keep what's wrong with it."""
        done = self.done

        try:
            number = cache.default_timeout - 1000
            server = cache.get('server')

            # From here on, what's in use is where Django looks for it.
            if django.VERSION >= (3, 2):
                backend = django_cache.caches[TARGET]
                number = min(number, backend.default_timeout - 1000)

            if number < done or (done == self.started and server != done % 2):
                raise ValueError('At switch %d, it has %d and server %r.'
                                 % (done, number, server))

            self.accesses += 1
        except Exception as e:
            if done > self.killed:
                self.problems.append(repr(e))

    def run_threads(self, func, work=lambda: None):
        """Run a function in threads while work is done."""
        threads = [threading.Thread(target=func) for i in range(THREADS)]

        for thread in threads:
            thread.daemon = True
            thread.start()

        try:
            work()
        finally:
            self.is_over = True

            for thread in threads:
                thread.join(TIMEOUT)

        self.assertFalse(any(thread.is_alive() for thread in threads),
                         'Threads are stuck.')

    def check_switches(self, program=None):
        """Check that all threads follow when the server is switched."""
        def _access():
            while not self.is_over:
                self.access()

        def _switch():
            ends = time.time() + SECONDS

            while time.time() < ends or self.done < 20:
                self.switch()
                time.sleep(0.002)
                cache.reset_backend()

            if program:
                # Nothing may be left of a server that's gone.
                self.killed = self.done
                self.processes[self.done % 2].kill()
                self.processes[self.done % 2].wait()
                self.switch()

            self.accesses = 0
            time.sleep(SECONDS / 2.0)

        self.use(program)
        self.is_over = False
        self.run_threads(_access, _switch)
        self.assertEqual(self.problems[:10], [])
        self.assertTrue(self.accesses)

    def measure(self):
        """Return the numbers of descriptors, backends and receivers."""
        request_finished.send(sender=None)
        gc.collect()

        return (
            os.path.isdir('/proc/self') and len(os.listdir('/proc/self/fd')),
            sum(type(item).__module__.startswith(BACKENDS[:-1])
                for item in gc.get_objects()),
            len(request_finished.receivers))

    def test_locmem(self):
        """Testing switches under load with locmem"""
        self.check_switches()

    def test_memcached(self):
        """Testing switches under load with memcached, and one killed"""
        self.check_switches('memcached')

    def test_redis(self):
        """Testing switches under load with Redis, and one killed"""
        self.check_switches('redis-server')

    def test_growth(self):
        """Testing that nothing is left of many threads and resets"""
        self.use('memcached')
        sizes = []

        for count in (SWITCHES // 10, SWITCHES):
            for i in range(count):
                self.switch()
                self.run_threads(self.access)

            sizes.append(self.measure())

        self.assertEqual(self.problems, [])
        self.assertEqual(*sizes)

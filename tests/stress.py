"""Puts a Djblets under stress: many threads, servers that die, many resets.

This is run in an environment, by Python 2.7 or any later one, and needs what
Djblets does, and nose or pynose. Arguments that aren't its own go to nose.
"""

from __future__ import print_function

import argparse
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

from run_suite import configure_django

try:
    from shutil import which
except ImportError:
    # Python 2.7.
    from distutils.spawn import find_executable as which


TARGET = 'forwarded_backend'
BACKENDS = 'django.core.cache.backends.'

#: How long to wait for what should come at once, in seconds.
TIMEOUT = 60

options = None

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

    def use(self, program):
        """Start two servers, or use locmem, and configure the first one."""
        self.configs = []
        self.processes = []

        for name in 'AB':
            self.configs.append(self.start(program) if program else {
                'BACKEND': BACKENDS + 'locmem.LocMemCache', 'LOCATION': name})

        #: How many switches have been started, and how many are done.
        self.started = self.done = -1
        self.accesses = 0
        self.problems = []
        self.is_over = False

        #: The last switch to a server that was killed then.
        self.killed = -1

        for i in range(2):
            self.switch()
            self.get_cache().set('server', i, 86400)

        self.assertEqual(self.access(), None)

    def start(self, program):
        """Start a server until the test is over, and return its settings."""
        command, backend, location = SERVERS[program]
        path = which(program)

        if not path or not backend:
            raise unittest.SkipTest('This needs %s.' % (
                program if backend else 'a newer Django'))

        unused = socket.socket()
        unused.bind(('127.0.0.1', 0))
        port = unused.getsockname()[1]
        unused.close()
        process = subprocess.Popen(
            [path] + (command % port).split(' ')[1:],
            stdout=open(os.devnull, 'w'),
            # The kernel kills it when this process ends, however it does.
            preexec_fn=lambda: ctypes.CDLL(None).prctl(1, signal.SIGKILL))
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

    def get_cache(self):
        """Return the forwarder, as Django has it for this thread."""
        from django.core.cache import cache

        return cache

    def switch(self):
        """Switch to the other server."""
        from django.conf import settings

        self.started += 1

        # The number of the switch can be seen in the backend.
        settings.CACHES[TARGET] = dict(self.configs[self.started % 2],
                                       TIMEOUT=1000 + self.started)
        self.get_cache().reset_backend()
        self.done = self.started

    def access(self):
        """Use the cache, and return what's wrong with it, if anything is."""
        try:
            cache = self.get_cache()
            done = self.done
            number = cache.default_timeout - 1000

            if number < done:
                return 'It is at switch %d, not %d.' % (number, done)

            done = self.done
            server = cache.get('server')

            if done == self.started and server != done % 2:
                return 'It has server %r, not %d.' % (server, done % 2)
        except Exception as e:
            return repr(e)

    def access_once(self):
        """Use the cache, and keep what's wrong with it."""
        done = self.done
        problem = self.access()

        if not problem:
            self.accesses += 1
        elif done > self.killed:
            self.problems.append(problem)

    def access_often(self):
        """Use the cache until the test is over."""
        while not self.is_over:
            self.access_once()

    def run_threads(self, func, work=lambda: None):
        """Run a function in threads while work is done."""
        threads = [threading.Thread(target=func)
                   for i in range(options.threads)]

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
        self.use(program)
        ends = time.time() + (TIMEOUT if options.broken else options.seconds)

        def _switch():
            while time.time() < ends and not (options.broken and
                                              self.problems):
                self.switch()
                time.sleep(0.002)
                self.get_cache().reset_backend()

            if program:
                # Nothing may be left of a server that's gone.
                self.killed = self.done
                self.processes[self.done % 2].kill()
                self.processes[self.done % 2].wait()
                self.switch()

            accesses = self.accesses
            time.sleep(options.seconds / 4)
            # In a release, all threads may be behind for good.
            self.assertTrue(options.broken or self.accesses > accesses)

        self.run_threads(self.access_often, _switch)

        if options.broken:
            self.assertTrue(self.problems, 'The defects do not show.')
        else:
            self.assertEqual(self.problems, [])
            self.assertTrue(self.done > 10)

    def check_growth(self, work, amount):
        """Check that nothing gets more with the amount of work."""
        self.use('memcached' if which('memcached') else None)

        for count in (options.count // 10, options.count):
            before = self.measure()

            for i in range(0, count, amount):
                if i // amount % 10 == 0:
                    self.switch()

                work()
                self.access_once()

        self.assertEqual(self.problems, [])
        self.assertEqual(self.measure(), before)

    def measure(self):
        """Return the numbers of descriptors, backends and receivers."""
        from django.core.signals import request_finished

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

    def test_threads(self):
        """Testing thousands of threads"""
        self.check_growth(lambda: self.run_threads(self.access_once),
                          options.threads)

    def test_resets(self):
        """Testing thousands of resets"""
        self.check_growth(self.switch, 1)


def main():
    """Run the tests, and return the exit status."""
    global options

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--threads', type=int, default=16,
                        help='how many threads use the cache at a time')
    parser.add_argument('--seconds', type=float, default=1.0,
                        help='how long to go on with what has no end')
    parser.add_argument('--count', type=int, default=10000,
                        help='after how many threads and resets to count')
    parser.add_argument('--broken', action='store_true',
                        help='the switch has to fail, as in a release')
    options, nose_args = parser.parse_known_args()

    configure_django()

    import nose

    # Threads are to meet in all places.
    if hasattr(sys, 'setswitchinterval'):
        sys.setswitchinterval(0.0001)
    else:
        sys.setcheckinterval(10)

    return 0 if nose.run(argv=[sys.argv[0], 'stress'] + nose_args + (
        ['-m', '^test_locmem$'] if options.broken else [])) else 1


if __name__ == '__main__':
    # nose doesn't look for the tests in __main__.
    import stress

    sys.exit(stress.main())

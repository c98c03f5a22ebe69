"""Measures one variant of the cache, in a process of its own.

This runs on the variant's Python, 2.7 or 3, and answers each line it reads.
"""

from __future__ import print_function

import gc
import json
import os
import signal
import sys
import time
from contextlib import contextmanager
from functools import partial
from threading import Event, Semaphore, Thread


KEY, VALUE = 'key', 'value'
clock = getattr(time, 'perf_counter', time.time)


def configure(target, location, tree):
    """Configure Django for a target, with the forwarder if there's one."""
    import django
    from django.conf import settings

    name = {
        'dummy': 'dummy.DummyCache',
        'locmem': 'locmem.LocMemCache',
        'memcached': ('memcached.PyMemcacheCache' if django.VERSION >= (3, 2)
                      else 'memcached.MemcachedCache'),
        'redis': 'redis.RedisCache',
    }[target]
    backend = {'BACKEND': 'django.core.cache.backends.' + name,
               'LOCATION': location}
    forwarder = {'BACKEND': 'djblets.cache.forwarding_backend.'
                            'ForwardingCacheBackend',
                 'LOCATION': 'forwarded_backend'}
    settings.configure(CACHES={'default': forwarder if tree else backend,
                               'forwarded_backend': backend})


@contextmanager
def run_threads(count, func):
    """Start threads that all have begun, and wait for them afterwards."""
    begun = Semaphore(0)
    threads = [Thread(target=func, args=(begun,)) for _ in range(count)]

    for thread in threads:
        thread.start()

    for thread in threads:
        begun.acquire()

    yield

    for thread in threads:
        thread.join()


def get_memory():
    """Return the bytes that this process uses, once freed ones are freed."""
    gc.collect()

    with open('/proc/self/statm') as fp:
        return int(fp.read().split()[1]) * os.sysconf('SC_PAGE_SIZE')


class Worker(object):
    """What can be measured on a target, each as often as told."""

    def __init__(self, target, location, tree):
        """Initialize the rows."""
        from django.core import cache

        self.location, self.tree, self.shown = location, tree, cache.cache
        self.shown.set(KEY, VALUE, 3600)
        assert target == 'dummy' or self.shown.get(KEY) == VALUE
        self.find = lambda: cache.cache
        self.find_unused = lambda: cache.get_cache('default')
        has_proxy = hasattr(cache, 'caches')

        if has_proxy:
            # Each thread has its own.
            self.find = self.find_unused = lambda: cache.caches['default']

        # Memory that was used before may be used again, so this comes first.
        self.rows = [('memory of a thread', self.use_memory)]
        ways = [('get', self.find), ('get through cache', lambda: self.shown)]
        self.rows += [(name + text, partial(self.get, count, find))
                      for count, text in ((1, ''), (16, ', 16 threads'))
                      for name, find in ways[:1 + has_proxy]]
        self.rows += [
            ('first access', self.access_first),
            ('reset and get', partial(self.reset, 0)),
            ('reset and get, 16 readers', partial(self.reset, 16))]

    def get(self, count, find, loops):
        """Get in threads."""
        def _run(begun):
            cache = find()
            cache.get(KEY)
            begun.release()
            go.wait()
            start = clock()

            for _ in range(loops // count):
                cache.get(KEY)

            runs.append((start, clock()))

        go, runs = Event(), []

        with run_threads(count, _run):
            go.set()

        starts, ends = zip(*runs)

        return (max(ends) - min(starts)) / loops

    def access_first(self, loops):
        """Get from a backend that nobody has used yet."""
        def _run(begun):
            start = clock()
            self.find_unused().get(KEY)
            times.append(clock() - start)
            begun.release()

        times = []

        for _ in range(loops):
            with run_threads(1, _run):
                pass

        return sum(times) / loops

    def reset(self, readers, loops):
        """Reset and get, while other threads get."""
        def _read(begun):
            self.shown.get(KEY)
            begun.release()

            while not ended.is_set():
                try:
                    self.shown.get(KEY)
                except Exception:
                    self.errors += 1

        ended = Event()
        cache = self.find()
        count = taken = 0

        with run_threads(readers, _read):
            start = clock()

            # Readers take turns with this, so that time counts, and not loops.
            while taken < self.seconds:
                if self.tree:
                    cache.reset_backend()
                else:
                    # The least that a reset has to do.
                    replaced, cache = cache, type(cache)(self.location, {})
                    replaced.close()

                cache.get(KEY)
                count += 1
                taken = clock() - start

            ended.set()

        return taken / count

    def use_memory(self, loops):
        """Return the bytes of a thread that has used the cache."""
        def _run(begun):
            self.shown.get(KEY)
            begun.release()
            done.wait()

        done = Event()

        # The first ones use up what the process has left over so far.
        with run_threads(100, _run):
            before = get_memory()

            with run_threads(100, _run):
                after = get_memory()
                done.set()

        return (after - before) / 100.0

    def measure(self, name, loops, seconds):
        """Return a value, the number of errors, and of loops for the next."""
        rows = dict(self.rows)
        self.seconds = seconds * (20 if 'readers' in name else 1)

        if not loops and name.startswith(('get', 'first')):
            # Each value is of as much work as takes one thread this time.
            run, loops = rows[name.partition(',')[0]], 16
            seconds *= 5 if '16' in name else 1

            while min(run(loops) for _ in range(3)) * loops < seconds:
                loops *= 2

        self.errors = 0

        # Without that, a thread is done before the next one's turn.
        if hasattr(sys, 'setswitchinterval'):
            sys.setswitchinterval(0.0005 if '16 threads' in name else 0.005)

        return rows[name](loops), self.errors, loops


if __name__ == '__main__':
    # The script's own directory has modules for another Python.
    sys.path[0] = sys.argv[3]
    configure(*sys.argv[1:])
    worker = Worker(*sys.argv[1:])
    print(json.dumps([name for name, _ in worker.rows]))

    for line in iter(sys.stdin.readline, ''):
        # What hangs ends here.
        signal.alarm(120)
        print(json.dumps(worker.measure(*json.loads(line))))
        signal.alarm(0)

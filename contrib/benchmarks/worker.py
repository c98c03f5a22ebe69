"""Measures one variant on one target, in a process of its own.

This is run by the *target's* Python (2.7 or 3). The first argument is where
pyperf is. On the standard output, it first lists its rows. Then it measures
one row for each line of the standard input, and answers with what pyperf makes
of it. In between, it's other workers' turn.
"""

from __future__ import print_function

import gc
import io
import json
import os
import sys
import threading
from importlib import import_module
from itertools import repeat

# Last, so that nothing that comes with it is taken for the environment's.
sys.path.append(sys.argv.pop(1))

import pyperf  # noqa: E402


ALIAS = 'forwarded_backend'

KEY = 'key'
VALUE = 'value'

THREADS = (1, 4, 16)

# Enough for the size of a page to make no difference.
MEMORY_THREADS = 100


def get_backend_name(target):
    """Return the name of a target's class.

    Args:
        target (str):
            The target.

    Returns:
        str:
        The full name.
    """
    import django

    return 'django.core.cache.backends.' + {
        'dummy': 'dummy.DummyCache',
        'locmem': 'locmem.LocMemCache',
        'memcached': ('memcached.PyMemcacheCache'
                      if django.VERSION >= (3, 2)
                      else 'memcached.MemcachedCache'),
        'redis': 'redis.RedisCache',
    }[target]


def configure_django(target, location, has_module):
    """Configure Django.

    Args:
        target (str):
            The target.

        location (str):
            The target's location.

        has_module (bool):
            Whether the target is forwarded to.
    """
    from django.conf import settings

    caches = {
        'default': {
            'BACKEND': get_backend_name(target),
            'LOCATION': location,
        },
    }

    if has_module:
        caches[ALIAS] = caches['default']
        caches['default'] = {
            'BACKEND': 'djblets.cache.forwarding_backend.'
                       'ForwardingCacheBackend',
            'LOCATION': ALIAS,
        }

    settings.configure(
        CACHES=caches,
        DATABASES={
            'default': {
                'ENGINE': 'django.db.backends.sqlite3',
                'NAME': ':memory:',
            },
        },
        SECRET_KEY='for-benchmarks-only',
        USE_TZ=True)


def run_threads(count, func):
    """Run a function in threads, until all have ended.

    Args:
        count (int):
            The number of threads.

        func (callable):
            The function.

    Raises:
        Exception:
            It was raised in one of the threads.
    """
    errors = []

    def _run():
        try:
            func()
        except Exception as e:
            errors.append(e)

    threads = [threading.Thread(target=_run) for _ in range(count)]

    for thread in threads:
        thread.start()

    for thread in threads:
        thread.join()

    if errors:
        raise errors[0]


class Gate(object):
    """Where threads wait until all of them are there."""

    def __init__(self, count):
        """Initialize the gate.

        Args:
            count (int):
                The number of threads to wait for.
        """
        self.lock = threading.Lock()
        self.missing = count
        self.opened = threading.Event()

    def wait(self):
        """Wait for the others. Only the last doesn't have to."""
        with self.lock:
            self.missing -= 1

            if not self.missing:
                self.opened.set()

        # Python 2.7 polls if there's a timeout.
        self.opened.wait()


class Benchmarks(object):
    """The rows that can be measured on a target."""

    def __init__(self, options):
        """Initialize the rows.

        Args:
            options (argparse.Namespace):
                The options from the command line.
        """
        from django.core import cache as django_cache

        self.cache = django_cache.cache
        self.caches = getattr(django_cache, 'caches', None)
        self.location = options.location
        self.has_module = options.module is not None
        self.target = options.target
        self.min_time = options.min_time
        self.expected = None if self.target == 'dummy' else VALUE
        self.errors = 0

        self.cache.set(KEY, VALUE, 3600)
        self.check(self.cache)

        #: The rows by name: what measures it, its arguments, and how often it
        #: does what's measured in each loop.
        self.rows = {}
        self.names = []

        # This comes first, as memory that was used before can be used again.
        self.add_row('memory per thread', None)

        for threads in THREADS:
            self.add_row('get on the backend, %s' % self.count(threads),
                         self.time_gets, self.find_backend, threads,
                         inner_loops=threads)

        if self.caches is not None:
            for threads in THREADS:
                self.add_row('get through cache, %s' % self.count(threads),
                             self.time_gets, lambda: self.cache, threads,
                             inner_loops=threads)

        self.add_row('first get of a new thread', self.time_first_gets)

        if self.target == 'locmem':
            self.add_row('request_started', self.time_request_started)
            self.add_row('attribute', self.time_attributes)
            self.add_row('get after an equal entry is put into CACHES',
                         self.time_equal_entries)

        if self.target != 'dummy':
            for threads in THREADS:
                self.add_row('reset and get, while %s'
                             % self.count(threads, 'gets', 'get'),
                             self.time_resets, threads)

    @staticmethod
    def count(threads, singular='', plural=''):
        """Return words for a number of threads.

        Args:
            threads (int):
                The number.

            singular (str, optional):
                A verb for one thread.

            plural (str, optional):
                The verb for more than one.

        Returns:
            str:
            The words.
        """
        if threads == 1:
            return ('1 thread %s' % singular).strip()

        return ('%d threads %s' % (threads, plural)).strip()

    def add_row(self, name, func, *args, **kwargs):
        """Add a row.

        Args:
            name (str):
                The name.

            func (callable):
                What measures it, given the number of loops.

            *args (tuple):
                Further arguments for this.

            **kwargs (dict):
                Keyword arguments for pyperf.
        """
        name = '%s: %s' % (self.target, name)
        self.names.append(name)
        self.rows[name] = (func, args, kwargs)

    def find_backend(self):
        """Return what Django has for this thread.

        Returns:
            object:
            The backend itself, without a proxy around it. On Django 1.6,
            there's one for all threads.
        """
        return self.cache if self.caches is None else self.caches['default']

    def check(self, cache):
        """Check that a cache works.

        Args:
            cache (object):
                The cache.

        Raises:
            ValueError:
                It doesn't.
        """
        value = cache.get(KEY)

        if value != self.expected:
            raise ValueError('%s: %r is in the cache rather than %r'
                             % (self.target, value, self.expected))

    def measure(self, runner, name):
        """Measure a row.

        Args:
            runner (pyperf.Runner):
                What measures.

            name (str):
                The name of the row.

        Returns:
            pyperf.Benchmark:
            What was measured.
        """
        func, args, kwargs = self.rows[name]

        if func is None:
            return pyperf.Benchmark([
                pyperf.Run([self.get_memory_per_thread()],
                           metadata={'name': name, 'unit': 'byte'},
                           collect_metadata=False),
            ])

        # Threads have to be given the time to get in each other's way.
        runner.args.min_time = self.min_time * kwargs.get('inner_loops', 1)
        self.errors = 0
        benchmark = runner.bench_time_func(name, func, *args, **kwargs)

        if func == self.time_resets:
            metadata = {'errors': self.errors}

            if self.has_module and self.target == 'locmem':
                metadata['followers'] = self.find_followers()

            benchmark.update_metadata(metadata)

        return benchmark

    def get_memory_per_thread(self):
        """Return how much a thread adds to this process.

        Returns:
            float:
            The bytes, including those for the thread itself.
        """
        measured = threading.Event()
        threads = []

        def _start_threads():
            gate = Gate(MEMORY_THREADS + 1)

            def _run():
                self.check(self.cache)
                gate.wait()
                measured.wait()

            for _ in range(MEMORY_THREADS):
                threads.append(threading.Thread(target=_run))
                threads[-1].start()

            gate.wait()
            gc.collect()

            return get_resident_size()

        # The first ones use up whatever the process has left over so far.
        before = _start_threads()
        after = _start_threads()
        measured.set()

        for thread in threads:
            thread.join()

        return float(after - before) / MEMORY_THREADS

    def time_gets(self, loops, find_cache, count):
        """Time gets in threads.

        Args:
            loops (int):
                The number of gets in each thread.

            find_cache (callable):
                Returns a thread's cache.

            count (int):
                The number of threads.

        Returns:
            float:
            The seconds, from the first get to the last.
        """
        gate = Gate(count)
        started = []
        ended = []

        def _run():
            cache = find_cache()
            self.check(cache)
            gate.wait()
            started.append(pyperf.perf_counter())

            for _ in repeat(None, loops):
                cache.get(KEY)

            ended.append(pyperf.perf_counter())
            self.check(cache)

        run_threads(count, _run)

        return max(ended) - min(started)

    def time_first_gets(self, loops):
        """Time the first gets of new threads.

        Args:
            loops (int):
                The number of threads, which come one after another.

        Returns:
            float:
            The seconds.
        """
        seconds = []

        def _run():
            cache = self.cache
            start = pyperf.perf_counter()
            cache.get(KEY)
            seconds.append(pyperf.perf_counter() - start)

        for _ in repeat(None, loops):
            run_threads(1, _run)

        return sum(seconds)

    def time_request_started(self, loops):
        """Time the signal that a request starts.

        Args:
            loops (int):
                The number of requests.

        Returns:
            float:
            The seconds.
        """
        from django.core.signals import request_started

        # As on every site, its receivers are there.
        import_module('django.db')

        start = pyperf.perf_counter()

        for _ in repeat(None, loops):
            request_started.send(sender=None)

        return pyperf.perf_counter() - start

    def time_attributes(self, loops):
        """Time accesses to what's not a method that requests use.

        Args:
            loops (int):
                The number of accesses.

        Returns:
            float:
            The seconds.
        """
        backend = self.find_backend()
        start = pyperf.perf_counter()

        for _ in repeat(None, loops):
            backend.default_timeout

        return pyperf.perf_counter() - start

    def time_equal_entries(self, loops):
        """Time gets after the entry is replaced by an equal one.

        Djblets' own settings do that each time that they're loaded.

        Args:
            loops (int):
                The number of gets, and of entries.

        Returns:
            float:
            The seconds.
        """
        from django.conf import settings

        alias = ALIAS if self.has_module else 'default'
        entries = settings.CACHES
        backend = self.find_backend()
        start = pyperf.perf_counter()

        for _ in repeat(None, loops):
            entries[alias] = dict(entries[alias])
            backend.get(KEY)

        return pyperf.perf_counter() - start

    def time_resets(self, loops, count):
        """Time resets, each with a get, while other threads get.

        Without the module, a new target is built and the old one is closed,
        which is the least that a reset has to do.

        Args:
            loops (int):
                The number of resets.

            count (int):
                The number of other threads.

        Returns:
            float:
            The seconds.
        """
        gate = Gate(count + 1)
        ended = threading.Event()
        errors = []

        def _run():
            self.cache.get(KEY)
            gate.wait()

            while not ended.is_set():
                try:
                    self.cache.get(KEY)
                except Exception as e:
                    errors.append(e)

        threads = [threading.Thread(target=_run) for _ in range(count)]

        for thread in threads:
            thread.start()

        try:
            backend = self.find_backend()
            backend.get(KEY)
            gate.wait()
            start = pyperf.perf_counter()

            if self.has_module:
                for _ in repeat(None, loops):
                    backend.reset_backend()
                    backend.get(KEY)
            else:
                for _ in repeat(None, loops):
                    replaced = backend
                    backend = type(replaced)(self.location, {})
                    replaced.close()
                    backend.get(KEY)

            seconds = pyperf.perf_counter() - start
        finally:
            ended.set()

            for thread in threads:
                thread.join()

        self.errors += len(errors)

        return seconds

    def find_followers(self):
        """Return who uses the new target after a reset.

        Returns:
            str:
            ``all``, ``caller`` or ``nobody``.
        """
        from django.conf import settings

        accessed = threading.Event()
        was_reset = threading.Event()
        seen = []

        def _run():
            self.cache.get(KEY)
            accessed.set()
            was_reset.wait()
            seen.append(self.cache.get(KEY))

        thread = threading.Thread(target=_run)
        thread.start()
        accessed.wait()

        backend = self.find_backend()
        entry = settings.CACHES[ALIAS]
        settings.CACHES[ALIAS] = dict(entry, LOCATION='elsewhere')

        try:
            backend.reset_backend()
            seen.insert(0, backend.get(KEY))
        finally:
            was_reset.set()
            thread.join()
            settings.CACHES[ALIAS] = entry
            backend.reset_backend()

        if seen == [None, None]:
            return 'all'

        return 'caller' if seen[0] is None else 'nobody'


def get_resident_size():
    """Return how much memory this process uses.

    Returns:
        int:
        The bytes.
    """
    with open('/proc/self/statm') as fp:
        return int(fp.read().split()[1]) * os.sysconf('SC_PAGE_SIZE')


def main():
    """Measure what the standard input asks for."""
    # The real standard output is for the answers alone.
    answers = io.open(os.dup(1), 'w' if sys.version_info[0] > 2 else 'wb')
    os.dup2(2, 1)

    runner = pyperf.Runner()
    runner.argparser.add_argument('--module')
    runner.argparser.add_argument('--target', required=True)
    runner.argparser.add_argument('--location', required=True)
    options = runner.parse_args()

    if options.module:
        sys.path.insert(0, options.module)

    configure_django(options.target, options.location,
                     options.module is not None)
    benchmarks = Benchmarks(options)
    json.dump(benchmarks.names, answers)
    answers.write('\n')
    answers.flush()

    for line in iter(sys.stdin.readline, ''):
        name, runner.args.loops = json.loads(line)
        benchmarks.measure(runner, name).dump(answers)


if __name__ == '__main__':
    main()

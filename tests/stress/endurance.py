"""Thousands of short threads, and thousands of resets."""

from __future__ import unicode_literals

import gc
import os

from stress.configuration import Configuration
from stress.servers import Memcached
from stress.workers import Task, finish_tasks


#: Which part of the work it takes until everything has the size that it stays
#: at.
WARM_UP = 10

#: How much memory may come and go, in bytes. 10,000 backends that are kept
#: take several times that. The threads of some Pythons leave a little behind
#: themselves.
MEMORY_LIMIT = 6 * 1024 * 1024

#: The modules whose objects must not get more.
MODULES = ('django.core.cache', 'djblets', 'memcache', 'pymemcache',
           'stress.backends')


def start_short_threads(run):
    """Use the cache in thousands of short threads.

    Args:
        run (stress.run.Run):
            The run.
    """
    configuration = Configuration(run, run.start_servers(Memcached))

    def _use_in_threads(count):
        for i in range(0, count, run.threads):
            # A prompt switch every now and then gives them something to load.
            if i % (run.threads * 10) == 0:
                configuration.switch(run.tally)

            finish_tasks(run, 'a short thread', [
                Task(_use) for i in range(min(run.threads, count - i))
            ])

    def _use(tally):
        configuration.check_number(tally)
        configuration.check_server(tally)

    run.tally.threads = run.count
    _check_growth(run, 'threads', _use_in_threads)


def reset_often(run):
    """Reset thousands of times, alternating between two servers.

    Args:
        run (stress.run.Run):
            The run.
    """
    configuration = Configuration(run, run.start_servers(Memcached))

    def _reset(count):
        for i in range(count):
            configuration.switch(run.tally, in_place=i % 2)
            configuration.check_number(run.tally)
            configuration.check_server(run.tally)

    _check_growth(run, 'resets', _reset)


def _check_growth(run, what, work):
    """Check that nothing grows with the amount of work.

    Args:
        run (stress.run.Run):
            The run.

        what (unicode):
            What it's the amount of.

        work (callable):
            What does the work, given how many times.
    """
    work(run.count // WARM_UP)
    before = _measure()
    work(run.count - run.count // WARM_UP)
    memory, objects, descriptors = [
        now - then for now, then in zip(_measure(), before)
    ]
    run.check_connections(None, 0)
    run.tally.figures.append(
        '%s %d to %d: memory %+d KiB, backends %+d, descriptors %+d'
        % (what, run.count // WARM_UP + 1, run.count, memory // 1024, objects,
           descriptors))

    if memory > MEMORY_LIMIT:
        run.tally.add_error('memory grows')

    if objects > 0:
        run.tally.add_error('objects grow')

    if descriptors > 0:
        run.tally.add_error('descriptors grow')


def _measure():
    """Return what's in use by this process.

    Returns:
        tuple:
        The memory in bytes, the number of backends and clients, and the number
        of file descriptors.
    """
    from django.core.signals import request_finished

    # This closes the main thread's connection.
    request_finished.send(sender=None)
    gc.collect()

    with open('/proc/self/statm') as fp:
        pages = int(fp.read().split()[1])

    objects = sum((type(item).__module__ or '').startswith(MODULES)
                  for item in gc.get_objects())

    return (pages * os.sysconf(str('SC_PAGE_SIZE')), objects,
            len(os.listdir('/proc/self/fd')))


def get_cases():
    """Return the cases.

    Returns:
        list of callable:
        The functions that run them.
    """
    return [start_short_threads, reset_often]

"""Resets all the time, alternating between two servers."""

from __future__ import unicode_literals

import time

from stress.configuration import Configuration, make_backend
from stress.servers import Memcached, Redis
from stress.workers import Crew, Task, finish_tasks


#: How often an access looks at what takes no time but the forwarder's own.
CHECKS = 4

#: The time between two resets of a thread, in seconds. There are two threads.
RESET_INTERVAL = 0.004


def switch_memcached(run):
    """Switch between two memcacheds.

    Args:
        run (stress.run.Run):
            The run.
    """
    switch(run, Memcached)


def switch_redis(run):
    """Switch between two Redises.

    Args:
        run (stress.run.Run):
            The run.
    """
    switch(run, Redis)


def switch(run, server_class):
    """Switch between two servers, while threads use the cache.

    Args:
        run (stress.run.Run):
            The run.

        server_class (type):
            The class of the servers.
    """
    from django.core.signals import request_finished, request_started

    configuration = Configuration(run, run.start_servers(server_class))
    cache = configuration.cache
    hits = []

    def _access(tally, i):
        if i % 4 == 0:
            request_started.send(sender=None)

        for check in range(CHECKS):
            configuration.check_number(tally)

        configuration.check_server(tally)
        tally.operations += 3

        # Unless there was a switch since, what was stored is there.
        number = configuration.reset_number
        key = 'stored-%d' % id(tally)
        cache.set(key, i)
        value = cache.get(key)

        if configuration.set_number == number and value != i:
            tally.add_error('not what was stored')

        cache.incr('hits')
        hits.append(1)

        if i % 4 == 3:
            request_finished.send(sender=None)

    def _reset(tally):
        deadline = time.time() + run.seconds

        while time.time() < deadline or not tally.resets:
            # Configurations are replaced, as Djblets' siteconfig does it, or
            # else edited.
            configuration.switch(tally, in_place=tally.resets % 2)
            time.sleep(RESET_INTERVAL)

    crew = Crew(run, configuration, _access)
    resetters = [Task(_reset) for i in range(2)]
    time.sleep(run.seconds)
    finish_tasks(run, 'resets', resetters)
    crew.wait_for_accesses(1)
    crew.finish()

    # Each of the increments has to have reached just one of the servers.
    stored_hits = sum(int(make_backend(server.get_config()).get('hits'))
                      for server in configuration.servers)

    if stored_hits != len(hits):
        run.tally.add_error('increments lost')
        run.tally.notes.append('%d of %d increments were stored'
                               % (stored_hits, len(hits)))


def get_cases():
    """Return the cases.

    Returns:
        list of callable:
        The functions that run them.
    """
    import django

    return [switch_memcached] + (
        [switch_redis] if django.VERSION >= (4, 0) else [])

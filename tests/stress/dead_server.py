"""The old server dies, or is stopped, in the middle of a switch."""

from __future__ import unicode_literals

from stress.configuration import Configuration
from stress.servers import Memcached, Redis, Server
from stress.workers import Crew, run_in_threads


def kill_memcached(run):
    """Kill a memcached in the middle of a switch from it.

    Args:
        run (stress.run.Run):
            The run.
    """
    switch_from_dead_server(run, Memcached, Server.kill)


def suspend_memcached(run):
    """Suspend a memcached in the middle of a switch from it.

    Args:
        run (stress.run.Run):
            The run.
    """
    switch_from_dead_server(run, Memcached, Server.suspend)


def kill_redis(run):
    """Kill a Redis in the middle of a switch from it.

    Args:
        run (stress.run.Run):
            The run.
    """
    switch_from_dead_server(run, Redis, Server.kill)


def suspend_redis(run):
    """Suspend a Redis in the middle of a switch from it.

    Args:
        run (stress.run.Run):
            The run.
    """
    switch_from_dead_server(run, Redis, Server.suspend)


def switch_from_dead_server(run, server_class, strike):
    """Switch from a server that fails while the new backend is made.

    Args:
        run (stress.run.Run):
            The run.

        server_class (type):
            The class of the servers.

        strike (callable):
            What makes a server fail.
    """
    from stress import backends

    configuration = Configuration(run, run.start_servers(server_class))
    old_server = configuration.get_server(0)

    def _access(tally, i):
        configuration.check_number(tally)
        configuration.check_server(tally)

    def _strike():
        if not old_server.is_out_of_order:
            configuration.unreachable.add(0)
            strike(old_server)

    crew = Crew(run, configuration, _access)
    crew.wait_for_accesses(2)
    backends.hook = _strike
    run_in_threads(run, 'a switch from a dead server',
                   lambda tally: configuration.switch(tally, hooked=True))
    backends.hook = None

    if not old_server.is_out_of_order:
        # Nothing was loaded by the reset, so that this isn't in the middle.
        _strike()

    # From now on, no access may have anything to do with that server.
    crew.wait_for_accesses(10)
    crew.finish()


def get_cases():
    """Return the cases.

    Returns:
        list of callable:
        The functions that run them.
    """
    import django

    return [kill_memcached, suspend_memcached] + (
        [kill_redis, suspend_redis] if django.VERSION >= (4, 0) else [])

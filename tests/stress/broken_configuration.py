"""A new configuration is broken, and a later one is good."""

from __future__ import unicode_literals

import socket

from stress.configuration import Configuration, make_backend
from stress.servers import Memcached, get_unused_port
from stress.workers import Crew, run_in_threads


#: How many times a broken configuration and a good one follow.
ROUNDS = 5


def configure_missing_module(run):
    """Configure a backend whose module isn't there.

    Args:
        run (stress.run.Run):
            The run.
    """
    _break(run, BACKEND='stress.there_is_no_such_module.Cache',
           LOCATION='127.0.0.1:1')


def configure_raising_constructor(run):
    """Configure a backend whose constructor cannot connect to its server.

    Args:
        run (stress.run.Run):
            The run.
    """
    from stress import backends

    port = get_unused_port()

    def _connect():
        socket.create_connection(('127.0.0.1', port), run.timeout).close()

    backends.hook = _connect
    _break(run, BACKEND='stress.backends.HookedMemcachedCache',
           LOCATION='127.0.0.1:%d' % port)


def _break(run, **broken_config):
    """Have one configuration after the other broken.

    Args:
        run (stress.run.Run):
            The run.

        **broken_config (dict):
            The configuration that's broken.
    """
    configuration = Configuration(run, run.start_servers(Memcached))

    def _access(tally, i):
        configuration.check_number(tally)
        configuration.check_server(tally)

    def _set_broken(tally):
        configuration.set_broken(**broken_config)

    crew = Crew(run, configuration, _access)
    crew.wait_for_accesses(1)

    for i in range(ROUNDS):
        run_in_threads(run, 'a reset for what is broken', _set_broken)

        # The old one serves on.
        crew.wait_for_accesses(3)
        run_in_threads(run, 'a reset for what is good', configuration.switch)
        crew.wait_for_accesses(3)

    crew.finish()


def configure_unreachable_server(run):
    """Configure a server that nothing listens on.

    A memcached backend is made without connecting, so that this is one that
    takes over, and raises or returns nothing, as the client does.

    Args:
        run (stress.run.Run):
            The run.
    """
    configuration = Configuration(run, run.start_servers(Memcached))
    good = configuration.get_server(0)
    broken = configuration.get_server(1)

    def _access(tally, i):
        configuration.check_number(tally)
        configuration.check_server(tally)

    configuration.unreachable.update(range(1, 2 * ROUNDS, 2))
    broken.kill()
    crew = Crew(run, configuration, _access)
    crew.wait_for_accesses(1)

    for i in range(ROUNDS):
        for what in ('unreachable', 'good'):
            run_in_threads(run, 'a reset for what is %s' % what,
                           configuration.switch)
            crew.wait_for_accesses(3)

    if int(make_backend(good.get_config()).get('server')) != good.port:
        run.tally.add_error('the good server has failed')

    crew.finish()


def get_cases():
    """Return the cases.

    Returns:
        list of callable:
        The functions that run them.
    """
    return [
        configure_missing_module,
        configure_raising_constructor,
        configure_unreachable_server,
    ]

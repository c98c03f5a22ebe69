"""The configuration of the cache, and what accesses to it have to see."""

from __future__ import unicode_literals

import importlib
import logging
import socket
import threading


#: The alias that the forwarder in these runs forwards to.
ALIAS = 'forwarded_backend'

#: The time-out of configuration number 0. The others are numbered by it, too,
#: so that an access can tell which one it has.
FIRST_TIMEOUT = 1000


def configure_django():
    """Configure Django with a forwarder as its default cache."""
    import django
    from django.conf import settings

    if settings.configured:
        return

    settings.configure(
        CACHES={
            'default': {
                'BACKEND': 'djblets.cache.forwarding_backend.'
                           'ForwardingCacheBackend',
                'LOCATION': ALIAS,
            },
        },
        LOGGING_CONFIG=None,
        SECRET_KEY='for-tests-only')

    if hasattr(django, 'setup'):
        django.setup()

    # Python 2 complains about every logger that has no handler.
    logging.getLogger().addHandler(logging.NullHandler())

    # What's forked during a load must not have to wait for an import.
    for name in ('django.db', 'stress.backends'):
        importlib.import_module(name)


def make_backend(config):
    """Return a cache backend that nothing is in front of.

    Args:
        config (dict):
            The configuration.

    Returns:
        django.core.cache.backends.base.BaseCache:
        The backend.
    """
    from stress import backends

    params = dict(config)
    path = params.pop('BACKEND').rpartition('.')
    module = __import__(path[0], fromlist=[str(path[2])])
    hook, backends.hook = backends.hook, None

    try:
        return getattr(module, path[2])(params.pop('LOCATION'), params)
    finally:
        backends.hook = hook


def is_from_client(e):
    """Return whether an exception is a client's, about a connection.

    Args:
        e (Exception):
            The exception.

    Returns:
        bool:
        Whether it is.
    """
    return (isinstance(e, (EnvironmentError, socket.error)) or
            type(e).__module__.split('.')[0] in ('memcache', 'pymemcache',
                                                 'redis'))


class Configuration(object):
    """A configuration that's changed time and again.

    Each has a number. An access that begins after a reset has returned must
    not see any that's older than the reset's.
    """

    def __init__(self, run, servers, hooked=False):
        """Initialize the configuration with the first server.

        Args:
            run (stress.run.Run):
                The run.

            servers (list of stress.servers.Server):
                The servers to alternate between.

            hooked (bool, optional):
                Whether the constructor of the first backend has a hook.
        """
        configure_django()

        from django.core.cache import cache

        self.run = run
        self.cache = cache
        self.servers = servers
        self.lock = threading.Lock()

        #: The number of the newest configuration that was set.
        self.set_number = -1

        #: The newest number that a reset has returned for.
        self.reset_number = -1

        #: The numbers of the configurations whose server doesn't answer.
        self.unreachable = set()

        for server in servers:
            backend = make_backend(server.get_config())
            backend.set('server', '%d' % server.port, 3600)
            backend.set('hits', 0, 3600)
            backend.close()

        self.reset_number = self.set(hooked)

    def set(self, hooked=False, in_place=False):
        """Set the next configuration, without a reset.

        Args:
            hooked (bool, optional):
                Whether the constructor of the backend has a hook.

            in_place (bool, optional):
                Whether the old one is to be edited.

        Returns:
            int:
            The number of the configuration.
        """
        from django.conf import settings

        with self.lock:
            # Accesses might see the new one right after it's set.
            self.set_number += 1
            config = self.get_server(self.set_number).get_config(hooked)
            config['TIMEOUT'] = FIRST_TIMEOUT + self.set_number

            if in_place:
                settings.CACHES[ALIAS].update(config)
            else:
                settings.CACHES[ALIAS] = config

            return self.set_number

    def set_broken(self, **config):
        """Set a configuration that cannot be loaded, and reset for that.

        Args:
            **config (dict):
                The configuration.
        """
        from django.conf import settings

        settings.CACHES[ALIAS] = config
        self.run.tally.resets += 1

        try:
            self.cache.reset_backend()
        except Exception:
            # Whether there's any is up to the release.
            pass

    def get_server(self, number):
        """Return the server of a configuration.

        Args:
            number (int):
                The number of the configuration.

        Returns:
            stress.servers.Server:
            The server.
        """
        return self.servers[number % len(self.servers)]

    def reset(self, tally, number):
        """Have the cache reset for a configuration that was set.

        Args:
            tally (stress.tally.Tally):
                What to count this in.

            number (int):
                The number of the configuration.
        """
        tally.resets += 1

        try:
            self.cache.reset_backend()
        except Exception:
            tally.add_error()

        with self.lock:
            self.reset_number = max(self.reset_number, number)

    def switch(self, tally, hooked=False, in_place=False):
        """Switch to the next server.

        Args:
            tally (stress.tally.Tally):
                What to count this in.

            hooked (bool, optional):
                Whether the constructor of the backend has a hook.

            in_place (bool, optional):
                Whether the configuration is to be edited.
        """
        self.reset(tally, self.set(hooked, in_place))

    def check_number(self, tally):
        """Check the number of the configuration that the cache has.

        Args:
            tally (stress.tally.Tally):
                What to count this in.
        """
        oldest = self.reset_number
        tally.operations += 1

        if self.cache.default_timeout - FIRST_TIMEOUT < oldest:
            tally.stale += 1

    def check_server(self, tally):
        """Check the server that the cache is on.

        Args:
            tally (stress.tally.Tally):
                What to count this in.
        """
        oldest = self.reset_number
        tally.operations += 1

        try:
            value = self.cache.get('server')
        except Exception as e:
            if (is_from_client(e) and
                    self.unreachable.intersection(self.get_since(oldest))):
                return

            raise

        since = self.get_since(oldest)

        if value is None:
            # That's how python-memcached says that there's no server.
            if not self.unreachable.intersection(since):
                tally.add_error('no value')
        elif int(value) not in [self.get_server(number).port
                                for number in since]:
            tally.stale += 1

    def get_since(self, oldest):
        """Return the configurations that there were since an access began.

        Args:
            oldest (int):
                The newest number that a reset had returned for by then.

        Returns:
            list of int:
            The numbers.
        """
        return list(range(oldest, self.set_number + 1))

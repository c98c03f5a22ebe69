"""Real cache servers, on loopback."""

from __future__ import unicode_literals

import ctypes
import os
import signal
import socket
import subprocess
import time


#: The option of Linux' prctl() for a signal to get when the parent dies.
PR_SET_PDEATHSIG = 1


def die_with_parent():
    """Have this process killed when its parent ends, however that ends."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def get_unused_port():
    """Return a port on loopback that nothing listens on.

    Returns:
        int:
        The port.
    """
    unused = socket.socket()
    unused.bind(('127.0.0.1', 0))
    port = unused.getsockname()[1]
    unused.close()

    return port


class Server(object):
    """A server that's running until it's stopped, or this process ends."""

    #: The name of a command that makes the server tell about itself, how the
    #: answer ends, and what comes before the number of its connections.
    stats_command = None
    stats_end = None
    stats_name = None

    def __init__(self, timeout):
        """Start the server.

        Args:
            timeout (float):
                The longest to wait for anything, in seconds.

        Raises:
            RuntimeError:
                The server could not be started.
        """
        self.port = get_unused_port()
        self.timeout = timeout

        #: Whether it was killed or suspended, and doesn't answer.
        self.is_out_of_order = False

        with open(os.devnull, 'r+b') as devnull:
            self.process = subprocess.Popen(
                self.get_command(), stdin=devnull, stdout=devnull,
                stderr=devnull, close_fds=True, preexec_fn=die_with_parent)

        # This connection stays, as the server goes on counting one that's
        # closed for a moment.
        self.connection = self.connect()
        self.connections_before = self.count_connections_now()

    @property
    def pid(self):
        """The ID of the process."""
        return self.process.pid

    def connect(self):
        """Return a connection to the server, once it's there.

        Returns:
            socket.socket:
            The connection.
        """
        deadline = time.time() + self.timeout

        while True:
            try:
                return socket.create_connection(('127.0.0.1', self.port),
                                                self.timeout)
            except (OSError, socket.error):
                if self.process.poll() is not None or time.time() > deadline:
                    self.stop()

                    raise RuntimeError('%s could not be started'
                                       % self.get_command()[0])

                time.sleep(0.02)

    def count_connections_now(self):
        """Return the number of connections that the server has.

        Returns:
            int:
            The number, with those that the server has for itself.
        """
        self.connection.sendall(self.stats_command)
        stats = b''

        while not stats.endswith(self.stats_end):
            data = self.connection.recv(4096)

            if not data:
                raise RuntimeError('%s has closed the connection'
                                   % self.get_command()[0])

            stats += data

        return int(stats.split(self.stats_name)[1].split()[0])

    def count_connections(self):
        """Return the number of connections that there are to the server.

        Returns:
            int:
            The number, without our own.
        """
        return self.count_connections_now() - self.connections_before

    def kill(self):
        """Kill the server."""
        self.is_out_of_order = True
        self.process.kill()
        self.process.wait()

    def suspend(self):
        """Have the server take no notice of anything."""
        self.is_out_of_order = True
        os.kill(self.pid, signal.SIGSTOP)

    def stop(self):
        """Stop the server, if it's still running."""
        if self.process.poll() is None:
            self.kill()


class Memcached(Server):
    """A memcached."""

    stats_command = b'stats\r\n'
    stats_end = b'END\r\n'
    stats_name = b'STAT curr_connections '

    def get_command(self):
        """Return the command that runs the server.

        Returns:
            list of unicode:
            The command.
        """
        command = ['memcached', '-l', '127.0.0.1', '-p', '%d' % self.port,
                   '-U', '0', '-c', '4096', '-m', '16', '-t', '1']

        if os.getuid() == 0:
            command += ['-u', 'root']

        return command

    def get_config(self, hooked=False):
        """Return the configuration of a cache on the server.

        Args:
            hooked (bool, optional):
                Whether :py:data:`stress.backends.hook` is to be called by the
                constructor.

        Returns:
            dict:
            The configuration.
        """
        import django

        if hooked:
            path = 'stress.backends.HookedMemcachedCache'
        elif django.VERSION >= (3, 2):
            path = 'django.core.cache.backends.memcached.PyMemcacheCache'
        else:
            path = 'django.core.cache.backends.memcached.MemcachedCache'

        config = {
            'BACKEND': path,
            'LOCATION': '127.0.0.1:%d' % self.port,
        }

        if django.VERSION >= (3, 2):
            # python-memcached, before that, has a time-out of its own.
            config['OPTIONS'] = {
                'connect_timeout': 3,
                'timeout': 3,
            }

        return config


class Redis(Server):
    """A Redis."""

    stats_command = b'INFO clients\r\n'
    stats_end = b'\r\n\r\n'
    stats_name = b'connected_clients:'

    def get_command(self):
        """Return the command that runs the server.

        Returns:
            list of unicode:
            The command.
        """
        return ['redis-server', '--bind', '127.0.0.1', '--port',
                '%d' % self.port, '--save', '', '--appendonly', 'no',
                '--maxclients', '4096']

    def get_config(self, hooked=False):
        """Return the configuration of a cache on the server.

        Args:
            hooked (bool, optional):
                Whether :py:data:`stress.backends.hook` is to be called by the
                constructor.

        Returns:
            dict:
            The configuration.
        """
        return {
            'BACKEND': ('stress.backends.HookedRedisCache' if hooked
                        else 'django.core.cache.backends.redis.RedisCache'),
            'LOCATION': 'redis://127.0.0.1:%d' % self.port,
            'OPTIONS': {
                'socket_connect_timeout': 3,
                'socket_timeout': 3,
            },
        }

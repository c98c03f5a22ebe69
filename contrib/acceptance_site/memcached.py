"""memcached servers, and what they count."""

import os
from urllib.parse import unquote

from pymemcache.client.base import Client

from acceptance_site import processes


# The counters of commands, one for each kind.
COMMANDS = (b'cmd_get', b'cmd_set', b'cmd_touch', b'delete_hits',
            b'delete_misses', b'incr_hits', b'incr_misses', b'decr_hits',
            b'decr_misses')


class Memcached:
    """A memcached server on the loopback interface.

    This is a context manager, which starts and stops the server.
    """

    def __init__(self, command, log):
        """Initialize the server, without starting it.

        Args:
            command (str):
                The path of memcached.

            log (pathlib.Path):
                Where its output is added.
        """
        self.command = command
        self.log = log
        self.port = processes.get_free_port()
        self.location = '127.0.0.1:%d' % self.port

    def __enter__(self):
        argv = [self.command, '-l', '127.0.0.1', '-p', self.port, '-U', '0',
                '-m', '64']

        if os.getuid() == 0:
            # It refuses to run as root without being told so.
            argv += ['-u', 'root']

        self.process = processes.start(argv, self.log)

        try:
            self.client = Client(('127.0.0.1', self.port), timeout=10,
                                 connect_timeout=10)
            processes.wait_until(self.client.stats, self.process, self.log,
                                 timeout=10)
        except BaseException:
            processes.stop(self.process)
            raise

        return self

    def __exit__(self, *args):
        self.client.close()
        processes.stop(self.process)

    def _get_stat(self, name):
        return int(self.client.stats()[name])

    def flush(self):
        """Forget everything that's cached."""
        self.client.flush_all(noreply=False)

    def get_keys(self):
        """Return the keys of all that's cached.

        Returns:
            list of str:
            The keys.
        """
        answer = self.client.raw_command(b'lru_crawler metadump all',
                                         b'END\r\n')

        return [unquote(line.split()[0][len('key='):])
                for line in answer.decode().splitlines()]

    def get_client_ports(self):
        """Return where the open connections come from.

        Returns:
            list of int:
            The local ports of the clients, other than this one.
        """
        own_port = self.client.sock.getsockname()[1]
        ports = [int(address.decode().rpartition(':')[2])
                 for name, address in self.client.stats('conns').items()
                 if name.endswith(b':addr')]

        return [port for port in ports if port not in (own_port, self.port)]

    @property
    def total_connections(self):
        """The connections that were ever opened to the server."""
        return self._get_stat(b'total_connections')

    @property
    def total_commands(self):
        """The commands that were ever sent to the server."""
        stats = self.client.stats()

        return sum(int(stats[name]) for name in COMMANDS)

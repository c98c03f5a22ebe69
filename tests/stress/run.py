"""A run of one case."""

from __future__ import unicode_literals

import gc
import os

from stress.tally import Tally
from stress.workers import wait_until


class Run(object):
    """What a case is run with."""

    def __init__(self, seconds, threads, count, timeout):
        """Initialize the run.

        Args:
            seconds (float):
                How long to go on with what can go on for any time.

            threads (int):
                The number of threads that use the cache.

            count (int):
                The number of threads, and of resets, that are to leave nothing
                behind.

            timeout (float):
                The longest to wait for anything, in seconds.
        """
        self.seconds = seconds
        self.threads = threads
        self.count = count
        self.timeout = timeout
        self.tally = Tally()
        self.servers = []

        #: How many connections are kept when their threads have ended, even
        #: with nothing in front of the backend.
        self.connections_kept = 0

    def start_servers(self, server_class, count=2):
        """Start servers.

        Args:
            server_class (type):
                The class of the servers.

            count (int, optional):
                The number of servers.

        Returns:
            list of stress.servers.Server:
            The servers. They're stopped when the case has ended.
        """
        for i in range(count):
            self.servers.append(server_class(self.timeout))

        self.sockets_before = self.count_sockets()

        return list(self.servers)

    def stop_servers(self):
        """Stop all servers."""
        for server in self.servers:
            server.stop()

    def count_sockets(self):
        """Return the number of sockets that this process has.

        Returns:
            int:
            The number.
        """
        count = 0

        for fd in os.listdir('/proc/self/fd'):
            try:
                if os.readlink('/proc/self/fd/%s' % fd).startswith('socket:'):
                    count += 1
            except OSError:
                # This was what the directory was listed with.
                pass

        return count

    def check_connections(self, server, needed):
        """Count connections that nobody needs, here and on the servers.

        Args:
            server (stress.servers.Server):
                The server that connections are needed to.

            needed (int):
                How many are needed.
        """
        counts = []

        # Those that are referred to in cycles are closed with them.
        gc.collect()

        def _agree():
            here = self.count_sockets() - self.sockets_before
            counts[:] = [
                None if other.is_out_of_order else other.count_connections()
                for other in self.servers
            ]

            if None in counts:
                # The rest must be to the one that can't be asked.
                i = counts.index(None)
                counts[i] = 0
                counts[i] = here - sum(counts)

            # A server takes a moment to notice that one was closed.
            return sum(counts) == here

        if not wait_until(_agree, self.timeout):
            self.tally.add_error('connections differ on the servers')

        for other, count in zip(self.servers, counts):
            self.tally.left_open += abs(
                count - (needed if other is server else 0))

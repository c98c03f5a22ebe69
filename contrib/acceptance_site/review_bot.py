"""Review Bot's worker, and the Redis server that it gets its tasks from."""

import os
import socket

from acceptance_site import processes


#: The tools that are run, by the names of their status updates.
TOOLS = ('Pyflakes', 'pycodestyle')


class Redis:
    """A Redis server on the loopback interface, which stores nothing.

    This is a context manager, which starts and stops the server.
    """

    def __init__(self, command, log, directory):
        """Initialize the server, without starting it.

        Args:
            command (str):
                The path of redis-server.

            log (pathlib.Path):
                Where its output is added.

            directory (pathlib.Path):
                The directory for its files.
        """
        self.command = command
        self.log = log
        self.directory = directory
        self.port = processes.get_free_port()
        self.url = 'redis://127.0.0.1:%d/0' % self.port

    def __enter__(self):
        self.process = processes.start(
            [self.command, '--bind', '127.0.0.1', '--port', self.port,
             '--save', '', '--appendonly', 'no', '--dir', self.directory],
            self.log)

        try:
            processes.wait_until(self._is_up, self.process, self.log,
                                 timeout=10)
        except BaseException:
            processes.stop(self.process)
            raise

        return self

    def __exit__(self, *args):
        processes.stop(self.process)

    def _is_up(self):
        with socket.create_connection(('127.0.0.1', self.port), 5) as sock:
            sock.sendall(b'PING\r\n')

            return sock.recv(16).startswith(b'+PONG')


class ReviewBot:
    """Review Bot's worker.

    This is a context manager, which starts and stops the worker.
    """

    def __init__(self, bin_dir, redis, directory, log):
        """Initialize the worker, without starting it.

        Args:
            bin_dir (pathlib.Path):
                The directory with ``reviewbot`` and the linters.

            redis (Redis):
                The server with its tasks.

            directory (pathlib.Path):
                The directory for its files.

            log (pathlib.Path):
                Where its output goes.
        """
        self.bin_dir = bin_dir
        self.redis = redis
        self.directory = directory
        self.log = log

    def __enter__(self):
        config = self.directory / 'reviewbot.py'
        config.write_text('cookie_dir = %r\n'
                          % str(self.directory / 'cookies'))
        self.log.unlink(missing_ok=True)
        self.process = processes.start(
            [self.bin_dir / 'reviewbot', '--broker', self.redis.url,
             '--pool', 'solo', '--hostname', 'acceptance@127.0.0.1'],
            self.log,
            env=dict(os.environ,
                     HOME=str(self.directory / 'home'),
                     PATH=os.pathsep.join([str(self.bin_dir),
                                           os.environ['PATH']]),
                     PYTHONDONTWRITEBYTECODE='1',
                     REVIEWBOT_CONFIG_FILE=str(config)))

        try:
            processes.wait_until(self._is_ready, self.process, self.log,
                                 timeout=60)
        except BaseException:
            processes.stop(self.process)
            raise

        return self

    def __exit__(self, *args):
        processes.stop(self.process)

    def _is_ready(self):
        return ' ready.' in self.log.read_text(errors='replace')

    def wait_for(self, client, review_request_id, timeout=120):
        """Wait until each tool is done with a review request.

        Args:
            client (object):
                The client of the server's API.

            review_request_id (int):
                The ID of the review request.

            timeout (float, optional):
                The seconds to wait.

        Returns:
            dict:
            The state of each tool's status update, by the tool's name.

        Raises:
            acceptance_site.processes.ProcessError:
                The worker ended, or took too long.
        """
        states = {}

        def _is_done():
            states.update(
                (item['summary'], item['state'])
                for item in client.get('review-requests/%d/status-updates/'
                                       % review_request_id)['status_updates'])

            return (set(TOOLS).issubset(states) and
                    'pending' not in states.values())

        processes.wait_until(_is_done, self.process, self.log, timeout)

        return states

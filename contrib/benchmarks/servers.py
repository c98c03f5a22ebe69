"""memcached and Redis, on the loopback interface."""

import contextlib
import os
import shutil
import socket

from djblets_backport.errors import BackportError

from acceptance_site import processes


def find_server(target):
    """Return the server that a target needs.

    Args:
        target (str):
            The target.

    Returns:
        str:
        The path of the server, or ``None`` if the target needs none.

    Raises:
        djblets_backport.errors.BackportError:
            There's none on this machine.
    """
    name = {'memcached': 'memcached', 'redis': 'redis-server'}.get(target)

    if name is None:
        return None

    path = shutil.which(name)

    if path is None:
        raise BackportError('no %s was found on the PATH' % name)

    return path


@contextlib.contextmanager
def run_server(target, log):
    """Run the server that a target needs, if any.

    Args:
        target (str):
            The target.

        log (pathlib.Path):
            Where the server's output is added.

    Context:
        The location of the target, for its configuration (str).
    """
    server = find_server(target)

    if server is None:
        yield 'benchmark'

        return

    port = processes.get_free_port()

    if target == 'memcached':
        location = '127.0.0.1:%d' % port
        argv = [server, '-l', '127.0.0.1', '-p', port, '-U', '0', '-m', '64']

        if os.getuid() == 0:
            # It refuses to run as root without being told so.
            argv += ['-u', 'root']
    else:
        location = 'redis://127.0.0.1:%d' % port
        argv = [server, '--bind', '127.0.0.1', '--port', port, '--save', '',
                '--appendonly', 'no']

    def _is_up():
        socket.create_connection(('127.0.0.1', port), 5).close()

        return True

    process = processes.start(argv, log)

    try:
        processes.wait_until(_is_up, process, log, timeout=10)
        yield location
    finally:
        processes.stop(process)

"""Commands and servers that are started, waited for and stopped by process id.

All of them are in sessions of their own. A Ctrl-C on the terminal reaches only
the acceptance run, which then stops what it started, in order.
"""

import atexit
import os
import signal
import socket
import subprocess
import time

from djblets_backport.errors import BackportError


class ProcessError(BackportError):
    """A command or server that failed, with the end of its output."""


# What's running. Only an interruption in just the wrong place leaves anything
# in here when the program ends.
_running = set()


def get_end(path, lines=12):
    """Return the end of a file of output.

    Args:
        path (pathlib.Path):
            The file.

        lines (int, optional):
            The number of lines.

    Returns:
        str:
        The last lines, indented.
    """
    text = path.read_text(errors='replace').rstrip().splitlines()

    return ''.join('\n    %s' % line for line in text[-lines:])


def run(argv, log, timeout, env=None, cwd=None):
    """Run a command to its end.

    Args:
        argv (list of str):
            The command.

        log (pathlib.Path):
            Where its output is added.

        timeout (float):
            The seconds it may take.

        env (dict, optional):
            Its environment.

        cwd (pathlib.Path, optional):
            The directory to run it in.

    Raises:
        ProcessError:
            The command failed, or took too long.
    """
    process = start(argv, log, env, cwd)

    try:
        status = process.wait(timeout)
    except subprocess.TimeoutExpired:
        raise ProcessError('%s took more than %d seconds; see %s'
                           % (argv[0], timeout, log))
    finally:
        stop(process)

    if status != 0:
        raise ProcessError('%s ended with status %d; the end of %s:%s'
                           % (argv[0], status, log, get_end(log)))


def start(argv, log, env=None, cwd=None):
    """Start a server.

    Args:
        argv (list of str):
            The command.

        log (pathlib.Path):
            Where its output is added.

        env (dict, optional):
            Its environment.

        cwd (pathlib.Path, optional):
            The directory to run it in.

    Returns:
        subprocess.Popen:
        The process.
    """
    with open(log, 'ab') as fp:
        process = subprocess.Popen(
            [str(arg) for arg in argv], stdin=subprocess.DEVNULL, stdout=fp,
            stderr=subprocess.STDOUT, env=env, cwd=cwd,
            start_new_session=True)

    _running.add(process)

    return process


def stop(process, timeout=15):
    """Stop a process that was started here, and what it started.

    Args:
        process (subprocess.Popen):
            The process.

        timeout (float, optional):
            The seconds until it's killed.
    """
    if process.poll() is None:
        process.terminate()

        try:
            process.wait(timeout)
        except subprocess.TimeoutExpired:
            pass

    try:
        # It leads a group of its own, which may have outlived it.
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass

    process.wait(timeout)
    _running.discard(process)


@atexit.register
def _stop_all():
    """Stop all that's still running."""
    for process in list(_running):
        stop(process)


def get_free_port():
    """Return a port that nothing listens on.

    Returns:
        int:
        The port, on the loopback interface.
    """
    with socket.socket() as sock:
        sock.bind(('127.0.0.1', 0))

        return sock.getsockname()[1]


def wait_until(condition, process, log, timeout):
    """Wait until a server does what it should.

    Args:
        condition (callable):
            Returns whether it does. An ``OSError`` means that it doesn't.

        process (subprocess.Popen):
            The server's process.

        log (pathlib.Path):
            The server's output.

        timeout (float):
            The seconds to wait.

    Raises:
        ProcessError:
            The server ended, or took too long.
    """
    deadline = time.monotonic() + timeout

    while True:
        try:
            if condition():
                return
        except OSError:
            pass

        if process.poll() is not None:
            raise ProcessError('%s ended with status %d; the end of %s:%s'
                               % (process.args[0], process.returncode, log,
                                  get_end(log)))
        elif time.monotonic() > deadline:
            raise ProcessError('%s was not ready after %d seconds; the end '
                               'of %s:%s'
                               % (process.args[0], timeout, log,
                                  get_end(log)))

        time.sleep(0.05)

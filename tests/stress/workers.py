"""Threads and processes that use the cache, and are waited for."""

from __future__ import unicode_literals

import json
import os
import select
import signal
import threading
import time

from stress.servers import die_with_parent
from stress.tally import Tally


class Task(threading.Thread):
    """A thread that does one thing."""

    def __init__(self, func, *args):
        """Start the thread.

        Args:
            func (callable):
                What it does, given a tally.

            *args (tuple):
                Further arguments.
        """
        super(Task, self).__init__()

        # One that's stuck must not keep the process from ending.
        self.daemon = True
        self.func = func
        self.args = args
        self.tally = Tally()
        self.start()

    def run(self):
        """Do it."""
        try:
            self.func(self.tally, *self.args)
        except Exception:
            self.tally.add_error()


def wait_until(condition, timeout):
    """Wait until a condition is true.

    Args:
        condition (callable):
            What returns whether it is.

        timeout (float):
            The longest to wait, in seconds.

    Returns:
        bool:
        Whether it got true in time.
    """
    deadline = time.time() + timeout

    while not condition():
        if time.time() > deadline:
            return False

        time.sleep(0.005)

    return True


def finish_tasks(run, what, tasks):
    """Wait for threads to end, and add up what they counted.

    Args:
        run (stress.run.Run):
            The run.

        what (unicode):
            What they do.

        tasks (list of Task):
            The threads.
    """
    deadline = time.time() + run.timeout

    for task in tasks:
        task.join(max(deadline - time.time(), 0.01))

        if task.is_alive():
            run.tally.add_deadlock('a thread in "%s"' % what)

        run.tally.add(task.tally.to_dict())


def run_in_threads(run, what, func, count=1):
    """Do something in threads, all at a time, and wait for them.

    Args:
        run (stress.run.Run):
            The run.

        what (unicode):
            What they do.

        func (callable):
            The function that does it, given a tally.

        count (int, optional):
            The number of threads.
    """
    finish_tasks(run, what, [Task(func) for i in range(count)])


def run_in_processes(run, what, func, count=1, seconds=0):
    """Do something in forked processes, all at a time, and wait for them.

    One that doesn't end in time is killed.

    Args:
        run (stress.run.Run):
            The run.

        what (unicode):
            What they do.

        func (callable):
            The function that does it, given a tally.

        count (int, optional):
            The number of processes.

        seconds (float, optional):
            How long they take when all is well.
    """
    children = []
    running = set()
    deadline = time.time() + seconds + run.timeout

    try:
        for i in range(count):
            read_fd, write_fd = os.pipe()
            pid = os.fork()

            if pid == 0:
                _run_in_child(func, write_fd)

            os.close(write_fd)
            children.append((pid, read_fd))
            running.add(pid)

        for pid, fd in children:
            data = _read_until(fd, deadline)

            if data is None:
                run.tally.add_deadlock('a process in "%s"' % what)
                continue

            running.remove(pid)

            if data:
                run.tally.add(json.loads(data.decode('utf-8')))
            else:
                run.tally.add_error('a process died')
    finally:
        for pid, fd in children:
            os.close(fd)

            # gevent has seen to the others already.
            if pid in running:
                os.kill(pid, signal.SIGKILL)

            os.waitpid(pid, 0)


def _run_in_child(func, fd):
    """Do something in this process, write the tally, and end.

    Args:
        func (callable):
            The function that does it, given a tally.

        fd (int):
            The pipe to write to.
    """
    try:
        die_with_parent()
        tally = Tally()

        try:
            func(tally)
        except BaseException:
            tally.add_error()

        os.write(fd, json.dumps(tally.to_dict()).encode('utf-8'))
    finally:
        os._exit(0)


def _read_until(fd, deadline):
    """Read a pipe to its end.

    Args:
        fd (int):
            The pipe.

        deadline (float):
            When to give up.

    Returns:
        bytes:
        What was read, or None if it didn't end in time.
    """
    data = b''

    while True:
        timeout = max(deadline - time.time(), 0.01)

        if not select.select([fd], [], [], timeout)[0]:
            return None

        chunk = os.read(fd, 65536)

        if not chunk:
            return data

        data += chunk


class Crew(object):
    """Threads that use the cache until they're told to stop.

    When they are, each uses the cache once more, and stays alive until it's
    released, so that their connections can be counted.
    """

    def __init__(self, run, configuration, access):
        """Start the threads.

        Args:
            run (stress.run.Run):
                The run.

            configuration (stress.configuration.Configuration):
                The configuration of the cache.

            access (callable):
                What uses the cache, given a tally and the number of the
                access.
        """
        self.run = run
        self.configuration = configuration
        self.access = access
        self.stopping = False
        self.released = threading.Event()
        self.counts = [0] * run.threads
        self.arrived = [False] * run.threads
        self.members = [Task(self._work, i) for i in range(run.threads)]
        run.tally.threads = max(run.tally.threads, run.threads)

    def _work(self, tally, i):
        """Use the cache, as one of the threads.

        Args:
            tally (stress.tally.Tally):
                What to count in.

            i (int):
                The number of the thread.
        """
        while not self.stopping:
            self._access(tally, self.access, self.counts[i])
            self.counts[i] += 1

            # Greenlets only take turns where they wait for something.
            time.sleep(0)

        self._access(tally, self.configuration.check_number)
        self._access(tally, self.configuration.check_server)
        self.arrived[i] = True
        self.released.wait()

    def _access(self, tally, func, *args):
        """Use the cache once, counting any error.

        Args:
            tally (stress.tally.Tally):
                What to count in.

            func (callable):
                What uses it.

            *args (tuple):
                Further arguments.
        """
        try:
            func(tally, *args)
        except Exception:
            tally.add_error()

    def wait_for_accesses(self, count):
        """Wait until each of the threads has used the cache some more.

        Args:
            count (int):
                How many times it has to have been used.
        """
        # The accesses that are under way may have begun before.
        wanted = [before + count + 1 for before in self.counts]

        if not wait_until(
                lambda: all(have >= want
                            for have, want in zip(self.counts, wanted)),
                self.run.timeout):
            self.run.tally.add_deadlock('threads that use the cache')

    def finish(self):
        """End the threads, counting their connections before and after."""
        tally = self.run.tally
        self.stopping = True

        if not wait_until(lambda: all(self.arrived), self.run.timeout):
            for arrived in self.arrived:
                if not arrived:
                    tally.add_deadlock('a thread that uses the cache')

        server = self.configuration.get_server(self.configuration.set_number)
        self.run.check_connections(server, sum(self.arrived))
        self.released.set()

        # Those that are stuck were counted above.
        deadlocks = tally.deadlocks
        finish_tasks(self.run, 'the crew', self.members)
        tally.deadlocks = deadlocks
        self.members = None
        self.run.check_connections(server, self.run.connections_kept)

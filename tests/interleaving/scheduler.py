"""Runs threads one at a time, as a schedule has it.

A trace function stops a thread before each line of the module under test (or
before each bytecode instruction), and the scheduler decides there whether that
thread goes on or another one does. Nothing is left to chance or to the clock,
so that a schedule that's run again does the same again.

A line's other effects, such as those of what it calls in other files, are of
one piece with that line.
"""

from __future__ import unicode_literals

import sys
import threading
import time
import weakref

try:
    from _thread import start_new_thread
except ImportError:
    # Python 2.
    from thread import start_new_thread

from interleaving.schedules import format_schedule


#: The decision points in a schedule beyond which it's taken for endless.
MAX_POINTS = 20000

#: The seconds without an end to any schedule that are taken for a hang.
WATCHDOG_SECONDS = 60

#: What the scheduler calls the thread that it's called by.
MAIN = -1


class SchedulingError(Exception):
    """A schedule could not be run, which says nothing of the module."""


def _letter(index):
    """Return the letter of a thread in schedules."""
    return chr(ord('A') + index)


class _Abandoned(BaseException):
    """Ends a thread of a schedule that can't go on."""


class ScheduledLock(object):
    """A lock that the scheduler knows of, reentrant or not."""

    def __init__(self, scheduler, reentrant):
        """Initialize the lock.

        Args:
            scheduler (Scheduler):
                The scheduler of the threads that use it.

            reentrant (bool):
                Whether its owner may acquire it again.
        """
        self.scheduler = scheduler
        self.reentrant = reentrant
        self.owner = None
        self.depth = 0

    def acquire(self, blocking=True, timeout=-1):
        """Acquire the lock.

        Args:
            blocking (bool, optional):
                Whether to wait for it.

            timeout (float, optional):
                Not supported, as a schedule has no clock.

        Returns:
            bool:
            ``True`` if it was acquired.
        """
        if timeout != -1:
            raise SchedulingError('A lock with a timeout of %r cannot be '
                                  'scheduled'
                                  % timeout)

        scheduler = self.scheduler

        if not self.reentrant or self.owner != scheduler.current:
            while self.owner is not None:
                if not blocking:
                    return False

                scheduler.wait_for(self)

            self.owner = scheduler.current
            scheduler.find_others()

        self.depth += 1

        return True

    def release(self):
        """Release the lock."""
        if self.owner is None:
            if self.scheduler.abandoned:
                return

            raise RuntimeError('A lock is released that is not acquired')

        self.depth -= 1

        if self.depth == 0:
            self.owner = None
            self.scheduler.find_others()

    def locked(self):
        """Return whether the lock is acquired."""
        return self.owner is not None

    def __enter__(self):
        """Acquire the lock."""
        return self.acquire()

    def __exit__(self, *args):
        """Release the lock."""
        self.release()


class _Thread(object):
    """A thread of a schedule, which runs while it has the baton."""

    def __init__(self, scheduler, index, body):
        """Initialize the thread.

        Args:
            scheduler (Scheduler):
                The scheduler.

            index (int):
                The index of the thread in schedules.

            body (callable):
                What it does.
        """
        self.scheduler = scheduler
        self.index = index
        self.body = body
        self.started = False
        self.finished = False
        self.waiting_for = None
        self.baton = threading.Lock()
        self.baton.acquire()

    def is_ready(self):
        """Return whether the thread could go on."""
        return (not self.finished and
                (self.waiting_for is None or self.waiting_for.owner is None))

    def resume(self):
        """Pass the baton to this thread, which may be about to start."""
        if self.started:
            self.baton.release()
        else:
            # A threading.Thread would be waited for when it starts, which
            # takes about as long as all the rest of a schedule.
            self.started = True
            start_new_thread(self.run, ())

    def suspend(self):
        """Wait for the baton."""
        self.baton.acquire()

        if self.scheduler.abandoned:
            raise _Abandoned()
        elif not self.scheduler.stopping:
            sys.settrace(None)

    def run(self):
        """Run the body, with the lines of the module as decision points."""
        try:
            if self.scheduler.stopping:
                sys.settrace(self.scheduler.trace)

            self.body()
        except _Abandoned:
            pass
        except BaseException as e:
            self.scheduler.fail('%s: %s' % (type(e).__name__, e))
        finally:
            sys.settrace(None)
            self.finished = True
            self.scheduler.finish()


def _watch(get_scheduler):
    """Give up on a schedule that hangs, as in a lock the scheduler can't see.

    Args:
        get_scheduler (callable):
            Returns the scheduler, while there is one.
    """
    runs = None

    while True:
        time.sleep(WATCHDOG_SECONDS)
        scheduler = get_scheduler()

        if scheduler is None:
            break
        elif scheduler.runs == runs and scheduler.current != MAIN:
            scheduler.give_up()
            break

        runs = scheduler.runs
        del scheduler


class Scheduler(object):
    """Runs the threads of a schedule, one at a time.

    Attributes:
        abandoned (bool):
            Whether the threads are being ended, in a schedule that can't go
            on.

        current (int):
            The index of the thread that's running.

        deadlock (unicode):
            Why the last schedule could not go on, or ``None``.

        executed (tuple):
            The schedule that was run, so far.

        locks (list of ScheduledLock):
            The locks that the module under test has made.

        points (list of tuple):
            Where a list is set, all decision points are added to it, each as
            the thread's index, the name of the function and the line number.

        runs (int):
            How many schedules were run.

        stopping (bool):
            Whether threads are stopped at decision points.
    """

    def __init__(self, filename, left_out=(), opcodes=False):
        """Initialize the scheduler.

        Args:
            filename (unicode):
                The file of the module under test.

            left_out (list of code, optional):
                The code in that file without any decision points.

            opcodes (bool, optional):
                Whether each bytecode instruction is a decision point, rather
                than each line.

        Raises:
            SchedulingError:
                This Python can't stop at instructions.
        """
        if opcodes and sys.version_info < (3, 7):
            raise SchedulingError('Python %d.%d cannot stop at instructions; '
                                  '3.7 and later can'
                                  % sys.version_info[:2])

        self.abandoned = False
        self.current = MAIN
        self.deadlock = None
        self.executed = ()
        self.locks = []
        self.points = None
        self.stopping = False
        self.trace = self._make_trace_function(filename, left_out, opcodes)
        self._threads = []
        self.runs = 0

        watchdog = threading.Thread(target=_watch, args=(weakref.ref(self),))
        watchdog.daemon = True
        watchdog.start()

    def make_lock(self, reentrant):
        """Return a new lock for the module under test.

        Args:
            reentrant (bool):
                Whether its owner may acquire it again.

        Returns:
            ScheduledLock:
            The lock.
        """
        lock = ScheduledLock(self, reentrant)
        self.locks.append(lock)

        return lock

    def run(self, bodies, schedule=(), branching=True):
        """Run threads by a schedule, and from there on to their ends.

        Args:
            bodies (list of callable):
                What each thread does.

            schedule (tuple, optional):
                The schedule. Its last block has no end.

            branching (bool, optional):
                Whether to look for further preemptions. If not, then there
                are no decision points after the last one in the schedule.

        Returns:
            list of tuple:
            The schedules that take one other decision, where this one didn't
            prescribe any.

        Raises:
            SchedulingError:
                The schedule could not be followed.
        """
        self.abandoned = False
        self.deadlock = None
        self.executed = ()
        self._schedule = schedule
        self._branching = branching or self.points is not None
        self._branches = []
        self._remaining = MAX_POINTS
        self._stop = None
        self._error = None
        self._done = threading.Lock()
        self._done.acquire()
        self._threads = [_Thread(self, index, body)
                         for index, body in enumerate(bodies)]

        self._switch_from_stopped()
        self._done.acquire()
        self.current = MAIN
        self.runs += 1

        if self._error is not None:
            raise SchedulingError('%s (schedule %s)'
                                  % (self._error,
                                     format_schedule(self.executed)))

        self._threads = []

        return self._branches

    def point(self, function='', line=0):
        """Come by a decision point, where another thread may be run instead.

        Args:
            function (unicode, optional):
                The name of the function that's about to go on.

            line (int, optional):
                The number of the line.
        """
        if not self.stopping or self.abandoned:
            return

        self._passed += 1

        if self._passed == self._stop:
            thread = self._threads[self.current]
            block = (self.current, self._passed)
            self.executed = self.executed[:-1] + (block,)

            if not self._switch_to(self._schedule[len(self.executed)][0]):
                raise _Abandoned()

            thread.suspend()
        elif self._open and self._others:
            block = (self.current, self._passed)
            self._branches.extend(
                self.executed[:-1] + (block, (other, None))
                for other in self._others)

        if self.points is not None:
            self.points.append((self.current, function, line))

        self._remaining -= 1

        if self._remaining < 0:
            self.deadlock = 'no end after %d decision points' % MAX_POINTS
            self.abandoned = True
            raise _Abandoned()

    def wait_for(self, lock):
        """Run other threads until a lock is free.

        Args:
            lock (ScheduledLock):
                The lock, which another thread has acquired.
        """
        if self.abandoned:
            raise _Abandoned()
        elif self.current == MAIN:
            raise SchedulingError('A lock is waited for that no thread is '
                                  'going to release')

        thread = self._threads[self.current]
        thread.waiting_for = lock
        self._switch_from_stopped()
        thread.suspend()
        thread.waiting_for = None

    def find_others(self):
        """Find the threads that could be run instead of the current one.

        This is called whenever that may have changed.
        """
        self._others = [thread.index for thread in self._threads
                        if thread.index != self.current and thread.is_ready()]

    def finish(self):
        """Go on after the current thread ended."""
        if self.abandoned:
            self._end_next()
        elif all(thread.finished for thread in self._threads):
            self._done.release()
        else:
            self._switch_from_stopped()

    def fail(self, error):
        """Abandon the schedule because it can't be followed.

        Args:
            error (unicode):
                The reason.
        """
        self._error = self._error or error
        self.abandoned = True

    def give_up(self):
        """Return from a schedule that hangs, leaving its threads as is."""
        self.fail('It hangs, but not in a lock of the module')
        self._done.release()

    def _switch_from_stopped(self):
        """Switch from a thread that ended or blocked, to any that's ready."""
        self.find_others()
        ready = self._others
        position = len(self.executed)
        switched = False

        if self._stop is not None:
            self.fail('Thread %s ended or blocked after %d decision points, '
                      'before it came to number %d'
                      % (_letter(self.current), self._passed, self._stop))
        elif not ready:
            self.deadlock = ', '.join(
                '%s waits for a lock that %s has'
                % (_letter(thread.index), _letter(thread.waiting_for.owner))
                for thread in self._threads if not thread.finished)
            self.abandoned = True
        elif position < len(self._schedule):
            switched = self._switch_to(self._schedule[position][0])
        else:
            self._branches.extend(self.executed + ((other, None),)
                                  for other in ready[1:])
            switched = self._switch_to(ready[0])

        # Once switched, it's the other thread's turn to change anything.
        if not switched:
            self._end_next()

    def _end_next(self):
        """Have the next thread end, in a schedule that's abandoned."""
        for thread in self._threads:
            if thread.started and not thread.finished:
                thread.resume()
                break
        else:
            self._done.release()

    def _switch_to(self, index):
        """Begin the next block of the schedule.

        Args:
            index (int):
                The index of its thread.

        Returns:
            bool:
            ``True`` unless the thread can't go on.
        """
        position = len(self.executed)

        if index not in self._others:
            self.fail('Thread %s cannot go on' % _letter(index))
            return False

        self._stop = None

        if position < len(self._schedule):
            self._stop = self._schedule[position][1]

        # Whether anything is possible from here on.
        self._open = position >= len(self._schedule) - 1
        self.stopping = self._branching or not self._open
        self.executed += ((index, None),)
        self._passed = 0
        self.current = index
        self.find_others()
        self._threads[index].resume()

        return True

    def _make_trace_function(self, filename, left_out, opcodes):
        """Return the function that calls are traced with.

        Args:
            filename (unicode):
                The file of the module under test.

            left_out (list of code):
                The code in that file not to stop in.

            opcodes (bool):
                Whether to stop at each instruction, rather than each line.

        Returns:
            callable:
            The function.
        """
        point = self.point
        decisive = 'opcode' if opcodes else 'line'
        left_out = frozenset(id(code) for code in left_out)

        def trace_module(frame, event, arg):
            if event == decisive:
                point(frame.f_code.co_name, frame.f_lineno)

            return trace_module

        def trace(frame, event, arg):
            code = frame.f_code

            if code.co_filename == filename and id(code) not in left_out:
                if opcodes:
                    # From Python 3.13 on, this order is the one that works.
                    frame.f_trace = trace_module
                    frame.f_trace_opcodes = True

                return trace_module

        return trace

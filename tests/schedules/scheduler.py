"""Runs threads in turns, and in every order that few preemptions make.

A trace function stops a thread before each line of the module under test, and
there the schedule says whether another one is run instead. Where lines are
split, it also stops within them, first of all. There is no clock in this, so a
schedule always does the same again.
"""

from __future__ import unicode_literals

import gc
import sys
import threading
import types

try:
    from _thread import start_new_thread
except ImportError:
    from thread import start_new_thread


class ScheduledLock(object):
    """A lock that the scheduler knows of, re-entrant or not."""

    def __init__(self, scheduler, reentrant):
        self.scheduler = scheduler
        self.reentrant = reentrant
        self.owners = []

    def acquire(self, blocking=True):
        """Acquire the lock. Others run until it's free."""
        thread = self.scheduler.current

        if self.owners and not (self.reentrant and thread in self.owners):
            if not blocking:
                return False

            self.scheduler.wait_for(self)

        self.owners.append(thread)

        return True

    def release(self, *args):
        """Release the lock."""
        self.owners.pop()

    __enter__ = acquire
    __exit__ = release


class ScheduledThread(object):
    """A thread of a schedule. It runs while it has the baton."""

    def __init__(self, scheduler, index, body):
        self.scheduler = scheduler
        self.index = index
        self.body = body
        self.ended = False
        self.waits = 0
        self.waiting_for = None
        self.baton = threading.Lock()
        self.baton.acquire()

        # A threading.Thread would take longer than its whole schedule.
        start_new_thread(self.run, ())

    def is_ready(self):
        """Return whether the thread could run, unless it ended."""
        return not (self.waiting_for and self.waiting_for.owners)

    def resume(self):
        """Give the thread the baton."""
        self.scheduler.current = self
        self.baton.release()

    def suspend(self):
        """Wait for the baton."""
        self.baton.acquire()

        if self.scheduler.deadlock:
            raise SystemExit()

    def run(self):
        """Run the body, and then another thread."""
        try:
            self.suspend()
            sys.settrace(self.scheduler.trace)
            self.body()
        finally:
            self.ended = True
            self.scheduler.leave()


class Scheduler(object):
    """Runs the schedules of some threads in a module."""

    def __init__(self, source, split):
        self.code = compile(source, str('forwarding_backend.py'),
                            str('exec'), dont_inherit=True)
        self.current = None
        self._over = threading.Lock()
        self._over.acquire()

        # Python 3.7 can also stop before each instruction, as in these lines.
        self.split = split and sys.version_info >= (3, 7) and {
            i for i, line in enumerate(source.splitlines(), 1) if b'+=' in line
        }

    def load(self):
        """Return the module's names, executed anew with scheduled locks."""
        names = {str('__name__'): str('djblets.cache.forwarding_backend')}
        module = sys.modules['threading'] = types.ModuleType(str('threading'))
        module.__dict__.update(
            vars(threading),
            Lock=lambda: ScheduledLock(self, reentrant=False),
            RLock=lambda: ScheduledLock(self, reentrant=True),
            current_thread=lambda: self.current or self)

        try:
            exec(self.code, names)
        finally:
            sys.modules['threading'] = threading

        return names

    def explore(self, make_world, preemptions):
        """Run all schedules, each in a world of its own, which is yielded."""
        # A schedule has the step and the thread's index for each choice.
        self._pending = [((), preemptions)]
        self._most = preemptions

        while self._pending:
            self._schedule, self._preemptions = self._pending.pop()
            self._ahead = list(self._schedule)
            self._step = 0
            self.deadlock = False
            self.trail = []
            world = make_world()
            self.threads = [ScheduledThread(self, index, body)
                            for index, body in enumerate(world.bodies)]

            # A collection of garbage would run code in the middle of a line.
            gc.disable()
            self.leave()
            self._over.acquire()
            gc.enable()
            self.current = None

            yield world

    def wait_for(self, lock):
        """Run other threads until a lock is free."""
        thread = self.current
        thread.waiting_for = lock
        thread.waits += 1
        self.leave()
        thread.suspend()
        thread.waiting_for = None

    def leave(self):
        """Run another thread, as the current one ended or has to wait."""
        left = [thread for thread in self.threads if not thread.ended]
        ready = [thread for thread in left if thread.is_ready()]

        if not left:
            self._over.release()
        elif self.deadlock or not ready:
            self.deadlock = True
            left[0].resume()
        else:
            (self._choose(ready[1:], self._preemptions) or ready[0]).resume()

    def trace(self, frame, event, arg):
        """Come to a call, a line, or an instruction of a line to split."""
        if frame.f_code.co_filename != self.code.co_filename:
            return None
        elif self.split:
            frame.f_trace_opcodes = True

        if event == 'line' or (event == 'opcode' and
                               frame.f_lineno in self.split):
            thread = self.current

            # Where lines are split, that's what it's about, so the first stop
            # is in one of them.
            may_stop = self._preemptions and (
                not self.split or self._preemptions < self._most or
                frame.f_lineno in self.split)
            other = self._choose(
                (other for other in self.threads if may_stop and
                 not (other is thread or other.ended) and other.is_ready()),
                self._preemptions - 1)

            if other:
                self.trail.append('%s stops before line %d' % (
                    'ABC'[thread.index], frame.f_lineno))
                other.resume()
                thread.suspend()

        return self.trace

    def _choose(self, others, preemptions):
        """Return which other thread the schedule has run at this step."""
        self._step += 1

        if not self._ahead:
            self._pending += [
                (self._schedule + ((self._step, other.index),), preemptions)
                for other in others
            ]
        elif self._ahead[0][0] == self._step:
            return self.threads[self._ahead.pop(0)[1]]

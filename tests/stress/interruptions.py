"""Loads that are interrupted, by what's allowed to happen at any time.

Most of these are put in the constructor of a backend, which is where a load
takes its time.
"""

from __future__ import unicode_literals

import os
import signal
import sys
import threading
import time

from stress.configuration import Configuration
from stress.servers import Memcached
from stress.tally import Tally
from stress.workers import (Task, finish_tasks, run_in_processes,
                            run_in_threads, wait_until)


#: The number of processes that a prefork server forks.
PROCESSES = 4

#: The least number of signals to use the cache in.
SIGNALS = 50

#: The time from one signal to the next, in seconds.
SIGNAL_INTERVAL = 0.001


class Gate(object):
    """A hook that parks the thread that comes to it first."""

    def __init__(self):
        """Initialize the gate, which is closed."""
        self.lock = threading.Lock()
        self.reached = threading.Event()
        self.opened = threading.Event()

    def __call__(self):
        """Wait until the gate is opened, unless a thread is here already."""
        if self.lock.acquire(False):
            self.reached.set()
            self.opened.wait()


def _check(configuration, tally):
    """Check that the cache works, and is up to date.

    Args:
        configuration (stress.configuration.Configuration):
            The configuration of the cache.

        tally (stress.tally.Tally):
            What to count this in.
    """
    configuration.check_number(tally)
    configuration.check_server(tally)
    key = 'stored-%d-%d' % (os.getpid(), id(tally))
    configuration.cache.set(key, 'value')
    tally.operations += 2

    if configuration.cache.get(key) != 'value':
        tally.add_error('not what was stored')


def _check_and_switch(configuration, tally):
    """Check that the cache works, and can be reset.

    Args:
        configuration (stress.configuration.Configuration):
            The configuration of the cache.

        tally (stress.tally.Tally):
            What to count this in.
    """
    _check(configuration, tally)
    configuration.switch(tally)
    _check(configuration, tally)


def _finish(run, configuration):
    """Check that the cache works in all threads, after an interruption.

    Args:
        run (stress.run.Run):
            The run.

        configuration (stress.configuration.Configuration):
            The configuration of the cache.
    """
    from stress import backends

    backends.hook = None
    run.tally.threads = max(run.tally.threads, run.threads)
    run_in_threads(run, 'a switch after an interruption',
                   lambda tally: _check_and_switch(configuration, tally))
    run_in_threads(run, 'an access after an interruption',
                   lambda tally: _check(configuration, tally), run.threads)


def fork_after_load(run):
    """Fork the processes of a prefork server when it has used the cache.

    Args:
        run (stress.run.Run):
            The run.
    """
    from django.core.signals import request_finished

    configuration = Configuration(run, run.start_servers(Memcached))
    _check(configuration, run.tally)

    # This closes the connection, so that the processes don't share it.
    request_finished.send(sender=None)

    def _serve(tally):
        _check_and_switch(configuration, tally)
        run.tally = tally
        run_in_threads(run, 'an access in a forked process',
                       lambda tally: _check(configuration, tally), 4)

    run_in_processes(run, 'a forked process', _serve, PROCESSES)
    _finish(run, configuration)


def fork_with_connection(run):
    """Fork while there's a connection, which the processes switch from.

    Args:
        run (stress.run.Run):
            The run.
    """
    configuration = Configuration(run, run.start_servers(Memcached))
    _check(configuration, run.tally)

    def _serve(tally):
        configuration.switch(tally)
        _check(configuration, tally)

    run_in_processes(run, 'a forked process', _serve, PROCESSES)

    # The connection is still of use to this process.
    _check(configuration, run.tally)
    _finish(run, configuration)


def fork_during_first_load(run):
    """Fork while another thread loads, with nothing loaded before.

    Args:
        run (stress.run.Run):
            The run.
    """
    _fork_during_load(run, Configuration(run, run.start_servers(Memcached),
                                         hooked=True))


def fork_during_load(run):
    """Fork while another thread loads.

    Args:
        run (stress.run.Run):
            The run.
    """
    configuration = Configuration(run, run.start_servers(Memcached))
    _check(configuration, run.tally)

    # The processes must not share it.
    configuration.cache.close()
    configuration.set(hooked=True)
    _fork_during_load(run, configuration)


def _fork_during_load(run, configuration):
    """Fork while another thread loads.

    Args:
        run (stress.run.Run):
            The run.

        configuration (stress.configuration.Configuration):
            The configuration of the cache, which has a hook.
    """
    from stress import backends

    backends.hook = gate = Gate()
    number = configuration.set_number
    loading = Task(configuration.reset, number)

    # What has nothing to load in a reset does so at the first access.
    accessing = None

    wait_until(lambda: gate.reached.is_set() or not loading.is_alive(),
               run.timeout)

    if not gate.reached.is_set():
        accessing = Task(configuration.check_number)

        if not wait_until(gate.reached.is_set, run.timeout):
            run.tally.add_error('nothing was loaded')

    def _serve(tally):
        backends.hook = None
        configuration.switch(tally)
        _check(configuration, tally)

    run_in_processes(run, 'a process that was forked during a load', _serve)
    gate.opened.set()
    finish_tasks(run, 'a load during a fork',
                 [task for task in (loading, accessing) if task])
    _finish(run, configuration)


def die_during_first_load(run):
    """Have all threads die in mid-load, with nothing loaded before.

    Args:
        run (stress.run.Run):
            The run.
    """
    _die_during_load(run, Configuration(run, run.start_servers(Memcached),
                                        hooked=True))


def die_during_load(run):
    """Have all threads die in mid-load.

    Args:
        run (stress.run.Run):
            The run.
    """
    configuration = Configuration(run, run.start_servers(Memcached))
    _check(configuration, run.tally)
    configuration.set(hooked=True)
    _die_during_load(run, configuration)


def _die_during_load(run, configuration):
    """Have all threads die in mid-load.

    Args:
        run (stress.run.Run):
            The run.

        configuration (stress.configuration.Configuration):
            The configuration of the cache, which has a hook.
    """
    from stress import backends

    def _die():
        # This ends a thread without a word.
        sys.exit()

    def _load(tally):
        tally.resets += 1
        configuration.cache.reset_backend()
        configuration.cache.get('server')

    backends.hook = _die
    run_in_threads(run, 'a thread that dies in mid-load', _load, run.threads)
    _finish(run, configuration)


def exit_during_load(run):
    """Have SystemExit raised in a load.

    Args:
        run (stress.run.Run):
            The run.
    """
    _interrupt(run, sys.exit, SystemExit)


def interrupt_during_load(run):
    """Have a load interrupted from the keyboard.

    Args:
        run (stress.run.Run):
            The run.
    """
    def _interrupt_self():
        os.kill(os.getpid(), signal.SIGINT)

        # Python 2 gets to signals in its own time.
        wait_until(lambda: False, 1)

    _interrupt(run, _interrupt_self, KeyboardInterrupt)


def _interrupt(run, hook, expected):
    """Have something raised in a load, in the main thread.

    Args:
        run (stress.run.Run):
            The run.

        hook (callable):
            What raises it.

        expected (type):
            The class of what's raised.
    """
    from stress import backends

    configuration = Configuration(run, run.start_servers(Memcached))

    def _serve(tally):
        signal.signal(signal.SIGINT, signal.default_int_handler)

        for i in range(3):
            configuration.set(hooked=True)
            backends.hook = hook
            tally.resets += 1

            try:
                configuration.cache.reset_backend()
                configuration.cache.get('server')
                tally.add_error('not interrupted')
            except expected:
                pass

            backends.hook = None
            _check_and_switch(configuration, tally)

            # This one has to get the lock, if it's still held.
            run.tally = tally
            run_in_threads(run, 'a thread after an interruption',
                           lambda tally: _check_and_switch(configuration,
                                                           tally))

    # The main thread of a process can only be given up along with it.
    run_in_processes(run, 'a load that is interrupted', _serve)
    _finish(run, configuration)


def use_in_signal_handler(run):
    """Have a signal handler use the cache during a load.

    Args:
        run (stress.run.Run):
            The run.
    """
    def _signal_self():
        os.kill(os.getpid(), signal.SIGUSR1)
        wait_until(lambda: used, 1)

    used = []

    def _prepare(use):
        def _handle(*args):
            use()
            used.append(1)

        del used[:]
        signal.signal(signal.SIGUSR1, _handle)

    _use_during_load(run, _signal_self, _prepare)


def use_in_finalizer(run):
    """Have a finalizer use the cache during a load.

    Args:
        run (stress.run.Run):
            The run.
    """
    class Finalized(object):
        def __del__(self):
            self.use()

    def _finalize():
        del finalized[:]

    finalized = []

    def _prepare(use):
        finalized.append(Finalized())
        finalized[0].use = use

    _use_during_load(run, _finalize, _prepare)


def use_in_constructor(run):
    """Have a constructor use the cache that it's for.

    Args:
        run (stress.run.Run):
            The run.
    """
    uses = []

    def _use():
        uses[-1]()

    _use_during_load(run, _use, uses.append)


def _use_during_load(run, hook, prepare):
    """Have the thread that's loading use the cache.

    Args:
        run (stress.run.Run):
            The run.

        hook (callable):
            What has it used in the constructor.

        prepare (callable):
            A function that's called before, given what uses the cache.
    """
    from django.core.exceptions import ImproperlyConfigured

    from stress import backends

    configuration = Configuration(run, run.start_servers(Memcached),
                                  hooked=True)

    def _serve(tally):
        uses = []
        loads = []

        def _use():
            # An access without a backend makes one. It's enough if the first
            # one of these does anything.
            if len(uses) > len(loads):
                return

            uses.append(1)
            tally.operations += 1

            try:
                if int(configuration.cache.get('server')) not in [
                        server.port for server in configuration.servers]:
                    tally.add_error('not what was stored')
            except ImproperlyConfigured:
                # There's nothing that could be used in a first load.
                if loads:
                    raise
            except Exception:
                tally.add_error()

        for i in range(3):
            prepare(_use)
            backends.hook = hook
            configuration.reset(tally, configuration.set(hooked=True))
            configuration.check_number(tally)
            loads.append(1)
            backends.hook = None
            _check_and_switch(configuration, tally)

        if len(uses) != len(loads):
            tally.add_error('not used')

    run_in_processes(run, 'a use of the cache during a load', _serve)
    _finish(run, configuration)


def use_in_signal_handler_at_any_time(run):
    """Have a signal handler use the cache all the time, during resets.

    Args:
        run (stress.run.Run):
            The run.
    """
    configuration = Configuration(run, run.start_servers(Memcached))

    def _serve(tally):
        in_handler = Tally()

        def _schedule():
            signal.setitimer(signal.ITIMER_REAL, SIGNAL_INTERVAL)

        def _handle(*args):
            # Connections are not looked at. The clients don't take to being
            # interrupted with another command.
            try:
                configuration.cache.default_timeout
                in_handler.operations += 1
            except Exception:
                in_handler.add_error()

            _schedule()

        # This is not about modules that are half imported.
        _check(configuration, tally)
        signal.signal(signal.SIGALRM, _handle)
        deadline = time.time() + run.seconds
        _schedule()

        while (time.time() < deadline or
               in_handler.operations < SIGNALS) and not in_handler.errors:
            configuration.switch(tally)
            configuration.check_number(tally)

        signal.setitimer(signal.ITIMER_REAL, 0)
        tally.add(in_handler.to_dict())
        _check_and_switch(configuration, tally)

    run_in_processes(run, 'resets with signals', _serve, seconds=run.seconds)
    _finish(run, configuration)


def get_cases():
    """Return the cases.

    Returns:
        list of callable:
        The functions that run them.
    """
    return [
        fork_after_load,
        fork_with_connection,
        fork_during_first_load,
        fork_during_load,
        die_during_first_load,
        die_during_load,
        exit_during_load,
        interrupt_during_load,
        use_in_signal_handler,
        use_in_finalizer,
        use_in_constructor,
        use_in_signal_handler_at_any_time,
    ]

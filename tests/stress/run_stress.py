#!/usr/bin/env python3
"""Runs the stress scenarios on releases with and without the series.

The releases without it are the positive control: they have to show what
they're known for.
"""

import argparse
import collections
import concurrent.futures
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time


STRESS_DIR = os.path.dirname(os.path.abspath(__file__))
TESTS_DIR = os.path.dirname(STRESS_DIR)
ROOT_DIR = os.path.dirname(TESTS_DIR)

sys.path[:1] = [os.path.join(ROOT_DIR, 'contrib'), TESTS_DIR]


from djblets_backport.bootstrap import (ensure_environment,  # noqa: E402
                                        ensure_made)
from djblets_backport.errors import BackportError, NotVerified  # noqa: E402
from djblets_backport.progress import Progress, run_command  # noqa: E402
from stress.known_defects import find_faults  # noqa: E402
from stress.report import (format_faults, format_table,  # noqa: E402
                           write_xunit)
from stress.tally import Tally  # noqa: E402


#: A release to run, the environment to do it in, and whether it has the
#: series.
Release = collections.namedtuple('Release', ('version', 'environment',
                                             'patched', 'name'))

RELEASES = (
    Release('0.8.13', 'py27-django16', False, '0.8.13'),
    Release('0.8.29', 'py27-django16', False, '0.8.29'),
    Release('0.8.29', 'py27-django16', True, '0.8.29 with the series'),
    Release('6.1', 'py311-django42', False, '6.1'),
    Release('6.1', 'py311-django42', True, '6.1 with the series'),
)

#: The modules of the scenarios.
SCENARIOS = (
    'switching',
    'dead_server',
    'broken_configuration',
    'interruptions',
    'endurance',
    'gevent_greenlets',
    'eventlet_greenlets',
)

#: Those that take the longest, which are best run first. What waits for the
#: time-outs of others' deadlocks hardly needs the processor.
LONGEST = ('interruptions', 'dead_server')

#: How long to wait for anything, in seconds, with and without the series.
#: Without it, there are threads that never come.
TIMEOUT = 60
CONTROL_TIMEOUT = 5

#: How many processes there may be at a time for each processor. Most of them
#: spend most of their time waiting.
PROCESSES = 2


#: What came of a run: the release, the scenario, the tally (or None, and why),
#: what's not as it has to be, and how long it took.
Result = collections.namedtuple('Result', ('release', 'scenario', 'tally',
                                           'skipped', 'faults', 'seconds'))


def _parse_number(parse, least, most):
    """Return a function that parses a number for argparse.

    Args:
        parse (type):
            The type of the number.

        least (object):
            The least that it may be.

        most (object):
            The most that it may be.

    Returns:
        callable:
        The function.
    """
    def _parse(text):
        try:
            number = parse(text)
        except ValueError:
            number = None

        if number is None or not least <= number <= most:
            raise argparse.ArgumentTypeError(
                '"%s" is not a number from %s to %s' % (text, least, most))

        return number

    return _parse


def parse_args(argv):
    """Parse the arguments.

    Args:
        argv (list of str):
            The arguments.

    Returns:
        argparse.Namespace:
        The options.
    """
    parser = argparse.ArgumentParser(
        description='Runs stress scenarios with real servers on releases with '
                    'and without the series, and prints what came of them.',
        formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument(
        '--seconds',
        type=_parse_number(float, 0.1, 3600),
        default=os.environ.get('FORWARDING_STRESS_SECONDS', '1'),
        help='how long to go on with what can go on for any time')
    parser.add_argument(
        '--threads',
        type=_parse_number(int, 1, 500),
        default=os.environ.get('FORWARDING_STRESS_THREADS', '32'),
        help='how many threads use the cache at a time')
    parser.add_argument(
        '--count',
        type=_parse_number(int, 100, 1000000),
        default=os.environ.get('FORWARDING_STRESS_COUNT', '2000'),
        help='how many short threads there are, and how many resets, to see '
             'if anything grows')
    parser.add_argument(
        '--release',
        action='append',
        choices=sorted({release.version for release in RELEASES}),
        help='run this release only; can be given more than once')
    parser.add_argument(
        '--scenario',
        action='append',
        choices=SCENARIOS,
        help='run this scenario only; can be given more than once')
    parser.add_argument(
        '--xunit',
        metavar='FILE',
        help='write the results to this file, as nose does it')

    return parser.parse_args(argv)


def enter_environment(argv):
    """Run this in the tests' environment.

    Args:
        argv (list of str):
            The arguments.
    """
    python = ensure_environment(
        'tests', os.path.join(TESTS_DIR, 'requirements.txt'), Progress())

    if os.path.dirname(os.path.dirname(python)) != sys.prefix:
        sys.stdout.flush()
        os.execve(python, [python, os.path.abspath(__file__)] + argv,
                  get_clean_environ())


def get_clean_environ():
    """Return the variables for what's run in an environment.

    Returns:
        dict:
        The variables. Those that would let other packages in are left out.
    """
    return {
        key: value
        for key, value in os.environ.items()
        if key not in ('DJANGO_SETTINGS_MODULE', 'PYTHONHOME', 'PYTHONPATH')
    }


def ensure_greenlets(environment, python, progress):
    """Return a directory with gevent and eventlet.

    Args:
        environment (str):
            The name of the environment that they're for.

        python (str):
            The path of its Python.

        progress (djblets_backport.progress.Progress):
            What shows the progress.

    Returns:
        str:
        The path of the directory.

    Raises:
        djblets_backport.errors.NotVerified:
            They could not be installed.
    """
    path = os.path.join(STRESS_DIR, 'greenlets.txt')

    with open(path, encoding='utf-8') as fp:
        requirements = fp.read()

    def _make(target):
        os.makedirs(target)
        progress.step('Installing gevent and eventlet (%s)' % environment)
        status, output = run_command(
            [python, '-m', 'pip', '--disable-pip-version-check', 'install',
             '--target', target, '-r', path],
            progress, env=get_clean_environ(),

            # Python 2's pip puts C headers in the current directory.
            cwd=target)
        progress.end()

        if status:
            lines = [line for line in output.splitlines()
                     if line.startswith('ERROR: ')]

            raise NotVerified('gevent and eventlet could not be installed: %s'
                              % (lines or ['pip failed'])[-1])

    return ensure_made('greenlets', environment, [requirements, python], _make)


class Runner(object):
    """Runs the scenarios, each on each of the releases."""

    def __init__(self, options):
        """Initialize the runner.

        Args:
            options (argparse.Namespace):
                The options.
        """
        self.options = options
        self.progress = Progress(stream=sys.stdout)
        self.lock = threading.Lock()
        self.processes = set()
        self.stopped = False

    def prepare(self, releases):
        """Make what's needed to run releases.

        Args:
            releases (list of Release):
                The releases.

        Returns:
            tuple:
            A 2-tuple of dictionaries, both by release: the commands that run a
            scenario, and why there's none.
        """
        # In the environment that this may have to be run in.
        from djblets_backport.archive import Registry
        from djblets_backport.source import Sources
        from djblets_backport.verify import ensure_test_environment
        from running.trees import make_official_tree, make_patched_tree

        sources = Sources(Registry(), [], self.progress)
        commands = {}
        missing = {}

        for release in releases:
            try:
                python = ensure_test_environment(release.environment,
                                                 self.progress)
            except NotVerified as e:
                missing[release] = str(e)
                continue

            make_tree = (make_patched_tree if release.patched
                         else make_official_tree)
            timeout = TIMEOUT if release.patched else CONTROL_TIMEOUT
            commands[release] = [
                python, '-B', os.path.join(STRESS_DIR, 'stress_process.py'),
                '--seconds', '%g' % self.options.seconds,
                '--threads', '%d' % self.options.threads,
                '--count', '%d' % self.options.count,
                '--timeout', '%d' % timeout,
                make_tree(release.version, sources),
            ]

        return commands, missing

    def run_all(self, releases, scenarios):
        """Run scenarios on releases.

        Args:
            releases (list of Release):
                The releases.

            scenarios (list of str):
                The scenarios.

        Returns:
            list of Result:
            What came of it, ordered by scenario and release.
        """
        commands, missing = self.prepare(releases)
        results = {}
        jobs = {}

        with concurrent.futures.ThreadPoolExecutor(
                PROCESSES * (os.cpu_count() or 1)) as executor:
            try:
                for scenario in sorted(
                        scenarios, key=lambda name: name not in LONGEST):
                    for release in releases:
                        key = (scenario, release)
                        args = []
                        reason = missing.get(release)

                        if scenario.endswith('_greenlets') and not reason:
                            try:
                                args = ['--packages', ensure_greenlets(
                                    release.environment, commands[release][0],
                                    self.progress)]
                            except NotVerified as e:
                                reason = str(e)

                        if reason:
                            results[key] = Result(release, scenario, None,
                                                  reason, [], 0)
                        else:
                            future = executor.submit(
                                self.run, release, scenario,
                                commands[release] + [scenario] + args)
                            jobs[future] = key

                for future in concurrent.futures.as_completed(jobs):
                    result = results[jobs[future]] = future.result()
                    print('%s, %s: %s' % (result.release.name, result.scenario,
                                          ', '.join(result.faults) or
                                          'as it has to be'))
                    sys.stdout.flush()
            except BaseException:
                self.stop()
                raise

        return [results[scenario, release]
                for scenario in scenarios
                for release in releases]

    def run(self, release, scenario, command):
        """Run a scenario on a release.

        Args:
            release (Release):
                The release.

            scenario (str):
                The scenario.

            command (list of str):
                The command that runs it.

        Returns:
            Result:
            What came of it.
        """
        tally = Tally()
        start = time.monotonic()

        with self.lock:
            if self.stopped:
                return None

            # All that it starts is in its session, and can be killed at once.
            process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                stderr=subprocess.PIPE, encoding='utf-8',
                errors='backslashreplace', env=get_clean_environ(),
                start_new_session=True)
            self.processes.add(process)

        # This sees to its own time-outs, and ends when this process does.
        output, errors = process.communicate()

        with self.lock:
            self.processes.remove(process)

        for line in output.splitlines():
            tally.add(json.loads(line))

        if process.returncode:
            tally.add_error('exit status %d' % process.returncode)
            tally.notes.append(errors)

        faults = find_faults(release.version, release.patched, scenario, tally)

        return Result(release, scenario, tally, None, faults,
                      time.monotonic() - start)

    def stop(self):
        """Kill everything that's running."""
        with self.lock:
            self.stopped = True

            for process in self.processes:
                if process.returncode is None:
                    os.killpg(process.pid, signal.SIGKILL)


def main(argv):
    """Run the scenarios.

    Args:
        argv (list of str):
            The arguments.

    Returns:
        int:
        The exit status.
    """
    options = parse_args(argv)

    for program in ('memcached', 'redis-server'):
        if not shutil.which(program):
            raise BackportError('%s was not found on the PATH' % program)

    if options.xunit:
        # It would be a pity to find this out at the end.
        try:
            with open(options.xunit, 'a'):
                pass
        except OSError as e:
            raise BackportError('The results cannot be written: %s' % e)

    enter_environment(argv)
    start = time.monotonic()
    results = Runner(options).run_all(
        [release for release in RELEASES
         if not options.release or release.version in options.release],
        [scenario for scenario in SCENARIOS
         if not options.scenario or scenario in options.scenario])

    print(format_table(results))
    print('\n%d runs in %d seconds.' % (len(results),
                                        time.monotonic() - start))

    if options.xunit:
        write_xunit(options.xunit, results)

    if any(result.faults for result in results):
        print('\n%s' % format_faults(results))

        return 1

    return 0


if __name__ == '__main__':
    # Being told to end is no different from being interrupted.
    signal.signal(signal.SIGTERM, signal.default_int_handler)

    try:
        sys.exit(main(sys.argv[1:]))
    except BackportError as e:
        sys.stderr.write('run_stress.py: %s\n' % e)
        sys.exit(2)
    except KeyboardInterrupt:
        sys.stderr.write('run_stress.py: interrupted\n')
        sys.exit(130)

"""Everything that's run, and the sum of it."""

import collections
import concurrent.futures
import glob
import os
import subprocess
import sys

from djblets_backport import catalogue
from djblets_backport.archive import Registry
from djblets_backport.errors import BackportError, NotVerified
from djblets_backport.progress import Progress
from djblets_backport.source import Sources
from djblets_backport.verify import (ensure_test_environment, find_python,
                                     get_environment_python)

from running.control import (check_control, get_never_failing,
                             load_controls)
from running.mutants import ENVIRONMENT as MUTANT_ENVIRONMENT
from running.mutants import MUTANTS, make_mutant_tree
from running.results import Results, read_results
from running.trees import (BUILD_DIR, ROOT_DIR, TESTS, make_official_tree,
                           make_patched_tree)


SUITE = os.path.join(ROOT_DIR, 'contrib', 'djblets_backport', 'suite.py')

#: The release whose own nose suite is run, too. Its archive has the suite, but
#: not the settings for it.
OWN_SUITE_RELEASE = '0.8.13'

OWN_SUITE_ENVIRONMENT = 'py27-django16-evolution'


#: The releases to run Django's own cache tests behind, the environments to do
#: it in, and the names of the tests.
DJANGO_SUITES = (
    ('0.8.29', 'py27-django16', ['cache', 'django.contrib.sessions']),
    ('4.0', 'py38-django32', ['cache', 'sessions_tests']),
    ('6.1', 'py311-django42', ['cache', 'sessions_tests']),
    ('6.1', 'py313-django52', ['cache', 'sessions_tests']),
)

#: Those that are run even in a short run.
SHORT_DJANGO_SUITES = ('py27-django16', 'py311-django42')


#: The environments to run the module through all schedules in, and the most
#: preemptions in a schedule of two threads in a short run.
INTERLEAVINGS = (
    ('py27-django16', 2),
    ('py311-django42', 3),
)

#: The official releases in which it has to find defects.
INTERLEAVING_CONTROLS = ('0.8.13', '0.8.14')


#: A run: what it's called, the environment that it's in, a function that takes
#: that environment's Python and the path for nose's results and returns the
#: command, one that turns what came of it into what counts, and variables.
Job = collections.namedtuple('Job', ('name', 'environment', 'get_command',
                                     'check', 'environ'),
                             defaults=(None, {}))


def get_line(version):
    """Return the release line that a release is of.

    Args:
        version (str):
            The release.

    Returns:
        str:
        The line, such as 0.8, 1.0 or 6.
    """
    parts = version.split('.')

    return '.'.join(parts[:2]) if parts[0] in ('0', '1') else parts[0]


def select_releases(options):
    """Return the releases to run the suite on.

    Args:
        options (argparse.Namespace):
            The options of runtests.py.

    Returns:
        list of djblets_backport.catalogue.Release:
        The first and the last release of each content that the module had, or
        all of them for a long run.

    Raises:
        djblets_backport.errors.BackportError:
            There's no such line.
    """
    releases = list(catalogue.load().values())
    lines = sorted({get_line(release.version) for release in releases},
                   key=lambda line: [int(part) for part in line.split('.')])

    if options.line and options.line not in lines:
        raise BackportError(
            '"%s" is not a release line; they are %s'
            % (options.line, ', '.join(lines)))

    if not options.long:
        by_content = collections.OrderedDict()

        for release in releases:
            by_content.setdefault(release.blob, []).append(release)

        releases = [
            release
            for same in by_content.values()
            for release in (same[:1] + same[1:][-1:])
        ]

    return [
        release
        for release in releases
        if options.line in (None, get_line(release.version))
    ]


def get_suite_command(tree, python, xunit, *args):
    """Return the command that runs the regression suite.

    Args:
        tree (str):
            The path of the tree with Djblets.

        python (str):
            The path of the Python to run it with.

        xunit (str):
            The path for the results.

        *args (tuple of str):
            Further arguments.

    Returns:
        list of str:
        The command.
    """
    return [python, SUITE, '--site', tree, '--with-xunit', '--xunit-file',
            xunit] + list(args)


def get_release_jobs(options, nose_args, sources):
    """Return the runs of the regression suite on releases with the series.

    Args:
        options (argparse.Namespace):
            The options of runtests.py.

        nose_args (list of str):
            The arguments for nose.

        sources (djblets_backport.source.Sources):
            Where to take the releases from.

    Returns:
        list of Job:
        The runs.
    """
    return [
        Job(name='%s with the series' % release.version,
            environment=environment,
            get_command=lambda python, xunit, version=release.version:
            get_suite_command(make_patched_tree(version, sources), python,
                              xunit, *nose_args))
        for release in select_releases(options)
        for environment in catalogue.get_environments(release.version)
    ]


def get_control_jobs(options, sources):
    """Return the runs of the regression suite that have to fail.

    Args:
        options (argparse.Namespace):
            The options of runtests.py.

        sources (djblets_backport.source.Sources):
            Where to take the releases from.

    Returns:
        list of Job:
        The runs: on official releases, and on broken variants of the fixed
        module.
    """
    controls = load_controls()
    jobs = [
        Job(name='%s without the series' % control.version,
            environment=control.environment,
            get_command=lambda python, xunit, version=control.version:
            get_suite_command(make_official_tree(version, sources), python,
                              xunit, '--tests', TESTS),
            check=lambda results, control=control:
            check_control(control, results))
        for control in controls
        if options.line in (None, get_line(control.version))
    ]

    if options.line:
        return jobs

    if get_never_failing(controls) != {mutant.test for mutant in MUTANTS}:
        raise BackportError(
            'control_table.txt has tests that fail nowhere and are not in '
            'mutants.py, or the other way round: %s'
            % ', '.join(get_never_failing(controls) ^
                        {mutant.test for mutant in MUTANTS}))

    def _check_mutant(mutant, results):
        if results.failed == [mutant.test]:
            return Results([mutant.test], [], []), ''

        return (Results([], [mutant.test], []),
                '%s does not fail on the variant for it in mutants.py'
                % mutant.test)

    return jobs + [
        Job(name='broken for %s' % mutant.test,
            environment=MUTANT_ENVIRONMENT,
            get_command=lambda python, xunit, mutant=mutant:
            get_suite_command(make_mutant_tree(mutant, sources), python,
                              xunit, '--tests', '%s:%s' % (TESTS,
                                                           mutant.test)),
            check=lambda results, mutant=mutant:
            _check_mutant(mutant, results))
        for mutant in MUTANTS
    ]


def get_own_suite_jobs(options, nose_args, sources):
    """Return the runs of a release's own suite.

    Args:
        options (argparse.Namespace):
            The options of runtests.py.

        nose_args (list of str):
            The arguments for nose.

        sources (djblets_backport.source.Sources):
            Where to take the release from.

    Returns:
        list of Job:
        The runs, without and with the series.
    """
    if options.line not in (None, get_line(OWN_SUITE_RELEASE)):
        return []

    run_own_suite = os.path.join(ROOT_DIR, 'tests', 'own_suite',
                                 'run_own_suite.py')

    return [
        Job(name='%s\'s own suite, %s the series' % (OWN_SUITE_RELEASE, how),
            environment=OWN_SUITE_ENVIRONMENT,
            get_command=lambda python, xunit, make_tree=make_tree: [
                python, run_own_suite,
                make_tree(OWN_SUITE_RELEASE, sources),
                '--with-xunit', '--xunit-file', xunit,
            ] + nose_args)
        for how, make_tree in (('without', make_official_tree),
                               ('with', make_patched_tree))
    ]


def get_django_suite_jobs(options, sources):
    """Return the runs of Django's own cache tests, behind the forwarder.

    Args:
        options (argparse.Namespace):
            The options of runtests.py.

        sources (djblets_backport.source.Sources):
            Where to take the releases of Djblets from.

    Returns:
        list of Job:
        The runs.
    """
    return [
        Job(name='Django\'s cache tests behind %s with the series' % version,
            environment=environment,
            get_command=lambda python, xunit, version=version, tests=tests:
            [sys.executable,
             os.path.join(ROOT_DIR, 'tests', 'django_suite', 'in_archive.py'),
             python, make_patched_tree(version, sources), xunit] + tests)
        for version, environment, tests in DJANGO_SUITES
        if options.line in (None, get_line(version)) and
        (options.long or environment in SHORT_DJANGO_SUITES)
    ]


def get_interleaving_jobs(options, sources):
    """Return the runs of the module through all schedules of threads.

    Args:
        options (argparse.Namespace):
            The options of runtests.py.

        sources (djblets_backport.source.Sources):
            Where to take the releases from.

    Returns:
        list of Job:
        The runs.
    """
    def _get_command(python, xunit):
        for version in INTERLEAVING_CONTROLS:
            make_official_tree(version, sources)

        return [
            python, '-m', 'nose', '--with-xunit', '--xunit-file', xunit,
            os.path.join(ROOT_DIR, 'tests', 'interleaving',
                         'test_interleaving.py'),
        ]

    if options.line:
        return []

    return [
        Job(name='all schedules of the module',
            environment=environment,
            get_command=_get_command,
            environ={
                'INTERLEAVING_PREEMPTIONS':
                    '3' if options.long else str(preemptions),
                'INTERLEAVING_RELEASES': os.path.join(BUILD_DIR, 'official'),
            })
        for environment, preemptions in INTERLEAVINGS
    ]


def get_stress_jobs(options):
    """Return the runs under stress and real faults.

    Args:
        options (argparse.Namespace):
            The options of runtests.py.

    Returns:
        list of Job:
        The runs.
    """
    if options.line:
        return []

    return [
        Job(name='stress, with and without the series',
            environment=None,
            get_command=lambda python, xunit: [
                python,
                os.path.join(ROOT_DIR, 'tests', 'stress', 'run_stress.py'),
                '--xunit', xunit,
            ] + (['--seconds', '10', '--count', '10000']
                 if options.long else [])),
    ]


def get_tools_job(nose_args):
    """Return the run of the tools' own tests.

    Args:
        nose_args (list of str):
            The arguments for nose.

    Returns:
        Job:
        The run.
    """
    return Job(
        name='the tools',
        environment=None,
        get_command=lambda python, xunit: [
            sys.executable, '-m', 'nose', '--with-xunit',
            '--xunit-file', xunit,
        ] + sorted(glob.glob(os.path.join(ROOT_DIR, 'tests', 'test_*.py'))) +
        nose_args)


class Runner(object):
    """Runs the jobs, and adds up what comes of them."""

    def __init__(self):
        """Initialize the runner."""
        self.progress = Progress(stream=sys.stdout)
        self.total = [0, 0, 0]
        self.unavailable = {}

    def count(self, results):
        """Add results to the sum.

        Args:
            results (running.results.Results):
                The results.
        """
        for i, names in enumerate(results):
            self.total[i] += len(names)

    def make_environments(self, names):
        """Make the environments for which there's a Python.

        Args:
            names (list of str):
                The names of the environments.

        Returns:
            dict:
            The paths of the environments' Pythons, by name.
        """
        pythons = {None: sys.executable}

        for name in names:
            if name is None or name in pythons or name in self.unavailable:
                continue

            version = get_environment_python(name)

            try:
                find_python(version)
            except NotVerified:
                self.unavailable[name] = version
            else:
                pythons[name] = ensure_test_environment(name, self.progress)

        return pythons

    def run(self, job, python):
        """Run a job.

        Args:
            job (Job):
                The job.

            python (str):
                The path of the environment's Python.

        Returns:
            tuple:
            A 2-tuple of the results and of the output.
        """
        name = '%s %s' % (job.name, job.environment or '')
        xunit = os.path.join(BUILD_DIR, 'results', '%s.xml' % '-'.join(
            name.replace('\'', '').replace(',', '').split()))
        os.makedirs(os.path.dirname(xunit), exist_ok=True)

        if os.path.exists(xunit):
            os.unlink(xunit)

        environ = dict(os.environ, PYTHONDONTWRITEBYTECODE='1',
                       **job.environ)

        if job.environment is None:
            environ['PYTHONPATH'] = os.pathsep.join(sys.path[:2])

        # Threads that are stuck take their time, and get stuck on purpose
        # where there's no fix.
        environ['FORWARDING_TESTS_TIMEOUT'] = '5' if job.check else '30'

        process = subprocess.run(
            job.get_command(python, xunit), stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=environ,
            cwd=BUILD_DIR)
        output = process.stdout.decode('utf-8', 'replace')

        if not os.path.exists(xunit):
            return Results([], ['%s did not run' % job.name], []), output

        results = read_results(xunit)

        if job.check:
            results, output = job.check(results)
        elif process.returncode and not results.failed:
            results.failed.append('%s exited with %d'
                                  % (job.name, process.returncode))

        return results, output

    def run_all(self, jobs):
        """Run all jobs, as many at a time as there are processors.

        Args:
            jobs (list of Job):
                The jobs.
        """
        pythons = self.make_environments([job.environment for job in jobs])
        jobs = [job for job in jobs if job.environment in pythons]

        with concurrent.futures.ThreadPoolExecutor(
                os.cpu_count() or 1) as executor:
            futures = {
                executor.submit(self.run, job, pythons[job.environment]): job
                for job in jobs
            }

            for future in concurrent.futures.as_completed(futures):
                job = futures[future]
                results, output = future.result()
                self.count(results)

                print('%s%s: %d passed, %d failed, %d skipped'
                      % (job.name,
                         ' (%s)' % job.environment if job.environment else '',
                         len(results.passed), len(results.failed),
                         len(results.skipped)))

                if results.failed:
                    print(output)

                sys.stdout.flush()

    def report_unavailable(self):
        """Tell what was left out, and how to get it."""
        for version in sorted(set(self.unavailable.values())):
            names = [name for name in sorted(self.unavailable)
                     if self.unavailable[name] == version]
            print('\n*** Python %s was not found: nothing was run with %s.\n'
                  '*** Put a python%s on the PATH, or install it with pyenv '
                  '("pyenv install %s").'
                  % (version, ', '.join(names), version, version))

            # Without it, what most of this is for goes untested.
            if version == '2.7' and os.environ.get('CI'):
                self.total[1] += 1
            else:
                self.total[2] += 1


def run_all(options, nose_args):
    """Run everything that was asked for.

    Args:
        options (argparse.Namespace):
            The options of runtests.py.

        nose_args (list of str):
            The arguments for nose.

    Returns:
        int:
        The exit status.

    Raises:
        djblets_backport.errors.BackportError:
            Something that's needed could not be had.
    """
    runner = Runner()
    sources = Sources(Registry(), [], runner.progress)
    jobs = []

    if not options.tools:
        # The arguments for nose might leave out the very tests that fail.
        if not nose_args:
            # These take the longest.
            jobs += get_interleaving_jobs(options, sources)
            jobs += get_stress_jobs(options)
            jobs += get_django_suite_jobs(options, sources)
            jobs += get_control_jobs(options, sources)

        jobs += get_own_suite_jobs(options, nose_args, sources)
        jobs += get_release_jobs(options, nose_args, sources)

    if not options.line:
        jobs.insert(0, get_tools_job(nose_args))

    runner.run_all(jobs)
    runner.report_unavailable()

    print('\n%d passed, %d failed, %d skipped' % tuple(runner.total))

    return 1 if runner.total[1] or not runner.total[0] else 0

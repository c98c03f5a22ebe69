"""Runs what was asked for on the command line, and sums up what came of it."""

import argparse
import collections
import concurrent.futures
import itertools
import os
import re
import shutil
import subprocess
import sys
import tempfile
from xml.etree import ElementTree

import jobs
from trees import get_tree, make_trees

from djblets_backport import BackportError, BadInput
from djblets_backport.environments import get_build_dir, get_pythons
from djblets_backport.releases import find_release, parse_version


EXAMPLES = '''
examples:
  ./tests/runtests.py
  ./tests/runtests.py tests/test_graft.py
  ./tests/runtests.py tests/test_graft.py:GraftTests.test_siteconfig
  ./tests/runtests.py --release 6.1
  ./tests/runtests.py --release 6.1 test_close
  ./tests/runtests.py --release 0.9.4 --environment py27-django18 -m reset
  ./tests/runtests.py --control old-never-closed
  ./tests/runtests.py --schedules resets --release 0.8.13
  ./tests/runtests.py --environment py27-django16
  ./tests/runtests.py --python ~/cpython/python --environment py314-django52

With a TEST, --release or --control, other options go to nose, such as -x.
'''

#: What a skipped test's reason starts with if it's that something is missing.
NEEDS = 'needs: '

#: The test that nose has in place of what it can't import.
NOT_IMPORTED = 'nose.failure.Failure.runTest'

#: The packages of programs that have another name than those.
PACKAGES = {'gbp': 'git-buildpackage'}

#: The seconds after which a job isn't waited for any longer.
TIMEOUT = 1800

#: The cores, from which each job that's held on one gets the next.
CORES = itertools.cycle(sorted(os.sched_getaffinity(0))
                        if hasattr(os, 'sched_getaffinity') else [])


#: A test: its name, "passed", "failed" or "skipped", and what it needs.
Result = collections.namedtuple('Result', 'name kind needs', defaults=('',))


def main():
    """Run the tests, and return the exit status, 2 if none could be run."""
    parser = argparse.ArgumentParser(
        prog='runtests.py', epilog=EXAMPLES,
        description='Runs the tests of the project: all of them, or those '
                    'asked for, each in an environment made for it.',
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('tests', nargs='*', metavar='TEST', help='a file of '
                        'tests, or one test of it as nose has it; for '
                        '--release and --control, the name of a test')
    parser.add_argument('-m', metavar='REGEX',
                        help='only tests with such names')
    parser.add_argument('--release', help="the series' tests on one release")
    parser.add_argument('--control', help='the tests on a release without '
                        'the fix, or on a broken variant of it')
    parser.add_argument('--schedules', metavar='SCENARIO',
                        help='all schedules of one scenario')
    parser.add_argument('--environment', help='only what this one is for')
    parser.add_argument('--long', action='store_true', help='all releases, '
                        'more schedules and more stress')
    parser.add_argument('--python', action='append', default=[],
                        type=os.path.abspath,
                        help='an interpreter to make environments of')
    # The Python of that environment, where tox has made it and runs this.
    parser.add_argument('--made', help=argparse.SUPPRESS)
    options, options.nose = parser.parse_known_args()

    try:
        complete_options(options)

        return run_all(options)
    except (BackportError, OSError) as e:
        print('runtests.py: %s' % e, file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print('runtests.py: interrupted', file=sys.stderr)
        return 130


def complete_options(options):
    """Check the options, and set what follows from them."""
    for name in ('release', 'control', 'schedules', 'environment'):
        if getattr(options, name) == '':
            raise BadInput("--%s is '', which is nothing" % name)

    options.files = []
    names = []

    for test in options.tests:
        path, colon, name = test.partition(':')

        if not path.endswith('.py'):
            names.append(re.escape(test))
        elif os.path.exists(path):
            options.files.append(os.path.abspath(path) + colon + name)
        else:
            raise BadInput('there is no file %s' % path)

    if names and not (options.release or options.control):
        raise BadInput('give the file that %s is in, or --release or '
                       '--control for a test of the series' % names[0])

    for path in options.python:
        if not (os.path.isfile(path) and os.access(path, os.X_OK)):
            raise BadInput('there is no Python %s' % path)

    if options.release:
        find_release(options.release)

    if options.m or names:
        options.nose += ['-m', options.m or '^(%s)$' % '|'.join(names)]

    what = [bool(options.files), bool(options.control),
            bool(options.schedules)]
    options.is_narrow = any(what) or bool(options.release)

    if sum(what) > 1 or options.control and options.release:
        raise BadInput('give files, --control, --schedules or --release; the '
                       'last also goes with stress.py and --schedules')

    if options.nose and (options.schedules or not options.is_narrow):
        raise BadInput('%s goes with a file, --release or --control'
                       % ' '.join(options.nose))


def run_all(options):
    """Run what was asked for, and return the exit status."""
    todo = jobs.get_jobs(options)
    trees = collections.defaultdict(set)
    counted = []

    for job in todo:
        if job.release:
            trees[job.release].add(job.tree)

    os.makedirs(get_build_dir(), exist_ok=True)

    # Some of what is run mostly waits.
    with concurrent.futures.ThreadPoolExecutor(3) as executor:
        making = executor.submit(make_environments, todo, options)
        list(executor.map(make_trees, trees.keys(), trees.values()))
        pythons = making.result()
        running = {}

        for job in todo:
            # If there's none, it's the best one that is missed.
            environment = next(filter(pythons.get, job.environments),
                               job.environments[0])

            if pythons[environment]:
                future = executor.submit(run, job, environment,
                                         pythons[environment], options)
                running[future] = job, environment
            else:
                counted.append(Result(job.name, 'skipped', re.sub(
                    r'py(\d)(\w+)-.*', r'Python \1.\2', environment)))

        try:
            for i, future in enumerate(
                    concurrent.futures.as_completed(running), 1):
                counted += report('%d/%d' % (i, len(running)),
                                  *running[future], *future.result(), options)
        except BaseException:
            # Those that are running are interrupted as well.
            for future in running:
                future.cancel()

            raise

    if not counted:
        raise BadInput('there is no test of that name')

    controls = {job: future.result()[1]
                for future, (job, _) in running.items() if job.is_control}

    if not (options.is_narrow or options.environment):
        if len(controls) == sum(job.is_control for job in todo):
            counted += check_controls(controls)
        else:
            print('Controls were skipped, so it is not known whether each '
                  'test can fail.')

    return sum_up(counted)


def make_environments(todo, options):
    """Return the Pythons of environments, and one for each job if it can."""
    pythons = {options.environment: options.made} if options.made else {}
    choices = [iter(job.environments) for job in todo]

    # The next best ones are only made where the best ones can't be had.
    while choices:
        names = [next(names, None) for names in choices]
        wanted = sorted(set(names).difference(pythons, [None]))

        if wanted:
            pythons.update(get_pythons(wanted, progress=print,
                                       interpreters=options.python))

        choices = [choice for choice, name in zip(choices, names)
                   if name and not pythons[name]]

    return pythons


def run(job, environment, python, options):
    """Run a job, and return its output and its results."""
    output, results = run_once(job, environment, python, options)

    # What fails without the series as well is no failure of it.
    if job.baseline and any(item.kind == 'failed' for item in results):
        make_trees(job.baseline.release, [job.baseline.tree])
        _, others = run_once(job.baseline, environment, python, options)
        names = {item.name for item in results}
        results = [
            item for item in results
            if item.kind != 'failed' or item not in others
        ] + [item._replace(kind='failed') for item in others
             if item.name not in names]

    return output, results


def run_once(job, environment, python, options):
    """Run a job once, and return its output and its results."""
    with tempfile.TemporaryDirectory(dir=get_build_dir()) as path:
        xunit = os.path.join(path, 'results.xml')
        status, output = call(job, environment, [
            python, *job.command, '--xunit-file', xunit], options)

        # This is what a command has to say of its arguments.
        if options.is_narrow and status == 2:
            raise BadInput(output.strip().split('\n')[-1])

        try:
            results = list(read_results(xunit))
        except (OSError, ElementTree.ParseError):
            results = []
            status = status or 1

    # Whatever this is, it's no test of the job that failed.
    if (all(item.kind != 'failed' for item in results) if status
            else not (results or options.is_narrow)):
        results.append(Result(job.name, 'failed'))

    return output, results


def call(job, environment, command, options):
    """Run a job's command, and return its exit status and its output."""
    tree = get_tree(job.release, job.tree) if job.release else ''
    environ = {key: value for key, value in os.environ.items()
               if key not in ('DJANGO_SETTINGS_MODULE', 'PYTHONHOME')}

    # Where there's no fix, threads get stuck, and that needn't take long.
    environ.update(PYTHONPATH=tree, PYTHONDONTWRITEBYTECODE='1',
                   FORWARDING_TESTS_TIMEOUT='2' if job.is_control else '30')

    if options.long:
        environ['FORWARDING_TESTS_LONG'] = '1'

    # Modules in C that don't know of this would bring the GIL back.
    if 't-' in environment:
        environ['PYTHON_GIL'] = '0'

    # Threads that take turns do so in half the time on one core.
    if jobs.EXPLORE in command and shutil.which('taskset'):
        command = ['taskset', '--cpu-list', '%d' % next(CORES), *command]

    try:
        process = subprocess.run(
            command, env=environ, cwd=get_build_dir(),
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, timeout=TIMEOUT)
        status, output = process.returncode, process.stdout
    except subprocess.TimeoutExpired as e:
        status, output = 1, (e.output or b'') + b'It took too long.'

    return status, output.decode('utf-8', 'replace')


def read_results(path):
    """Generate the results in an xunit file."""
    for case in ElementTree.parse(path).iter('testcase'):
        name = '%s.%s' % (case.get('classname'), case.get('name'))
        skipped = case.find('skipped')
        problem = next((item for item in case
                        if item.tag in ('error', 'failure')), None)

        if skipped is not None:
            yield Result(name, 'skipped', (
                skipped.get('message') or '').partition(NEEDS)[2])
        elif problem is None:
            yield Result(name, 'passed')
        elif name == NOT_IMPORTED:
            if problem.get('message').startswith('No such test'):
                raise BadInput(problem.get('message'))

            yield Result('%s: %s' % (name, problem.get('message')), 'failed')
        else:
            yield Result(name, 'failed')


def report(progress, job, environment, output, results, options):
    """Tell what came of a job, and return the results to count."""
    counts = collections.Counter(item.kind for item in results)
    text = ', '.join('%d %s' % (counts[kind], kind) for kind in sorted(counts))

    # What could not be run has found nothing.
    if job.is_control and results and not any(
            item.name == job.name or item.name.startswith(NOT_IMPORTED)
            for item in results):
        text = '%d of %d tests find it' % (
            counts['failed'], counts['failed'] + counts['passed'])
        is_found = bool(counts['failed'])

        if is_found:
            text += ', as expected'
        elif job.caught_by and not options.nose:
            text += ', only the schedules do, as expected (%s)' % ', '.join(
                job.caught_by)
            is_found = True

        results = [Result(job.name, 'passed' if is_found else 'failed')]

    if results:
        print('[%s] %s%s (%s): %s' % (
            progress, 'control ' if job.is_control else '', job.name,
            environment, text), flush=True)

    if any(item.kind == 'failed' for item in results):
        print(output, flush=True)

    return results


def check_controls(controls):
    """Return a failure for each test that has found nothing in any control."""
    kinds = collections.defaultdict(set)

    for job, results in controls.items():
        # The two modules have tests of the same names.
        first = 'test_later' if parse_version(job.release) >= [3] else 'test'

        for item in results:
            test = '.'.join(item.name.split('.')[-2:])
            kinds['%s, %s' % (first, test)].add(item.kind)

    idle = [test for test, found in sorted(kinds.items())
            if 'passed' in found and 'failed' not in found]

    for test in idle:
        print('No control shows that this can fail: %s' % test)

    return [Result(test, 'failed') for test in idle]


def sum_up(results):
    """Tell what came of everything, and return the exit status."""
    total = collections.Counter(item.kind for item in results)
    missing = collections.Counter(item.needs for item in results if item.needs)
    print()

    for name, count in sorted(missing.items()):
        print('This machine lacks %s, which %s. To have it: %s' % (
            name, '1 test needs' if count == 1 else '%d tests need' % count,
            name.replace('Python', 'pyenv install')
            if name.startswith('Python') else
            'apt-get install %s' % PACKAGES.get(name, name)))

    # Without it, what most of this is for goes untested.
    if os.environ.get('CI') and missing['Python 2.7']:
        print('On CI, there has to be Python 2.7.')
        total['failed'] += 1

    print('%d passed, %d failed, %d skipped'
          % (total['passed'], total['failed'], total['skipped']))

    return 1 if total['failed'] or not total['passed'] else 0

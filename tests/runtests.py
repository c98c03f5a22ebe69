#!/usr/bin/env python3
"""Runs all tests of the project, and sums up what came of them."""

import argparse
import collections
import concurrent.futures
import os
import re
import shutil
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ElementTree

from controls import check_controls, write_controls
from jobs import BROKEN, EXPLORE, NEWEST, OLDEST, TOOLS, get_jobs
from trees import CHECKOUT, TREES, make_trees

from djblets_backport import BackportError
from djblets_backport.environments import (EnvironmentFailure,
                                           describe_missing, get_build_dir,
                                           get_pythons)
from djblets_backport.releases import MODULES, RELEASES


#: What brings the programs that the reason for a skipped test may name.
COMMANDS = {
    name: 'apt-get install %s' % name
    for name in ('git', 'memcached', 'patch', 'quilt', 'redis-server', 'rpm')
}
COMMANDS['gbp'] = 'apt-get install git-buildpackage'


#: A test: its name, "passed", "failed" or "skipped", and why it's skipped.
Result = collections.namedtuple('Result', ('name', 'kind', 'reason'),
                                defaults=('',))


def main():
    """Run all tests, and return the exit status."""
    parser = argparse.ArgumentParser(
        usage='%(prog)s [--long] [--line LINE] [--record] [NOSE ARGUMENTS]',
        description='%s With arguments for nose, only what nose runs.'
                    % __doc__)
    parser.add_argument('--long', action='store_true', help='all releases, '
                        'more schedules and more stress')
    parser.add_argument('--line', help='the releases of one line, such as 0.8',
                        choices=sorted({get_line(name) for name in RELEASES}))
    parser.add_argument('--record', action='store_true', help='write '
                        'controls.tsv anew, from what fails now')
    options, nose_args = parser.parse_known_args()

    if options.record and (options.line or nose_args):
        parser.error('--record needs a run of everything')

    try:
        return run_all(options, nose_args)
    except (BackportError, EnvironmentFailure) as e:
        print('runtests.py: %s' % e, file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print('runtests.py: interrupted', file=sys.stderr)
        return 130


def get_line(version):
    """Return the line that a release is of, such as 0.8 or 6."""
    return re.match(r'[01]\.\d+|\d+', version).group()


def run_all(options, nose_args):
    """Run what was asked for, and return the exit status."""
    releases = []

    for content in MODULES:
        versions = [version for version in content.releases
                    if options.line in (None, get_line(version))]

        if versions:
            releases.append((content, versions if options.long else
                             versions[:1] + versions[1:][-1:]))

    with concurrent.futures.ThreadPoolExecutor(2) as executor:
        making = executor.submit(
            get_pythons,
            sorted({TOOLS}.union(*(item.environments
                                   for item in RELEASES.values()))),
            progress=print)
        list(executor.map(
            lambda version: make_trees(version, print),
            {OLDEST, NEWEST, *BROKEN}.union(*(item[1] for item in releases))))
        pythons = making.result()
        jobs = list(get_jobs(releases, pythons, options, nose_args))
        running = {
            executor.submit(
                run_thrice if options.record and job.is_control else run, job,
                pythons[job.environment]): job
            for job in jobs if pythons[job.environment]
        }
        results = []

        try:
            for future in concurrent.futures.as_completed(running):
                job = running[future]
                output, found = future.result()
                results.append((job, found))
                report('%d/%d' % (len(results), len(running)), job, output,
                       found)
        except BaseException:
            # Those that are running are interrupted as well.
            for future in running:
                future.cancel()

            raise

    results.sort(key=lambda item: jobs.index(item[0]))

    return sum_up(results, [job for job in jobs
                            if not pythons[job.environment]], options.record)


def report(progress, job, output, results):
    """Tell what came of a job."""
    counts = collections.Counter(item.kind for item in results)

    print('[%s] %s%s (%s): %s' % (
        progress, 'control: ' if job.is_control else '', job.name,
        job.environment,
        ', '.join('%d %s' % (counts[kind], kind) for kind in sorted(counts))),
        flush=True)

    if any(item.kind == 'failed' and
           (item.name == job.name or not job.is_control) for item in results):
        print(output, flush=True)


def run(job, python):
    """Run a job, and return its output and its results."""
    if not job.args:
        return lint(python)

    name = re.sub(r'[^\w.]+', '-', '%s-%s' % (job.name, job.environment))
    xunit = os.path.join(get_build_dir(), 'results', name + '.xml')
    os.makedirs(os.path.dirname(xunit), exist_ok=True)

    if os.path.exists(xunit):
        os.unlink(xunit)

    status, output = call(
        [python] + job.args + (
            ['--xunit', xunit] if job.args[0] == EXPLORE else
            ['--with-xunit', '--xunit-file', xunit]),
        job.tree, job.is_control)

    try:
        results = list(read_xunit(xunit))
    except (OSError, ElementTree.ParseError):
        results = []

    # Whatever this is, it's no test of the job that failed.
    if not results or (status and not job.is_control and
                       all(item.kind != 'failed' for item in results)):
        results.append(Result(job.name, 'failed'))

    return output, results


def run_thrice(job, python):
    """Run a control three times, and take what failed each time."""
    runs = [run(job, python) for i in range(3)]
    passed = {item.name for _, results in runs for item in results
              if item.kind == 'passed'}

    return runs[0][0], [
        Result(item.name, 'passed') if item.name in passed else item
        for item in runs[0][1]
    ]


def call(command, path=None, is_control=False):
    """Run a command, and return its exit status and its output."""
    environ = {key: value for key, value in os.environ.items()
               if key not in ('DJANGO_SETTINGS_MODULE', 'PYTHONHOME')}

    # Where there's no fix, threads get stuck, and that needn't take long.
    environ.update(PYTHONPATH=path or '', PYTHONDONTWRITEBYTECODE='1',
                   FORWARDING_TESTS_TIMEOUT='2' if is_control else '30')

    try:
        process = subprocess.run(
            command, env=environ, cwd=get_build_dir(), timeout=900,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT)
    except subprocess.TimeoutExpired as e:
        return 1, '%s' % e

    return process.returncode, process.stdout.decode('utf-8', 'replace')


def read_xunit(path):
    """Generate the results in an xunit file."""
    for case in ElementTree.parse(path).iter('testcase'):
        name = '%s.%s' % (case.get('classname').rpartition('.')[2],
                          case.get('name'))
        skipped = case.find('skipped')

        if skipped is not None:
            yield Result(name, 'skipped', skipped.get('message') or '')
        elif case.find('error') is None and case.find('failure') is None:
            yield Result(name, 'passed')
        else:
            yield Result(name, 'failed')


def lint(python):
    """Lint each file alone, without a configuration, as Review Bot does."""
    paths = [os.path.join(CHECKOUT, 'setup.py')] + [
        os.path.join(TREES, content.releases[-1], 'patched', 'djblets',
                     'cache', 'forwarding_backend.py') for content in MODULES]

    for name in ('contrib', 'djblets', 'tests'):
        for directory, _, names in os.walk(os.path.join(CHECKOUT, name)):
            for path in (os.path.join(directory, name) for name in names):
                with open(path, 'rb') as fp:
                    if path.endswith('.py') or re.match(b'#!.*python',
                                                        fp.readline()):
                        paths.append(path)

    with tempfile.TemporaryDirectory() as temp_dir:
        copies = {}

        for i, path in enumerate(paths):
            os.mkdir(os.path.join(temp_dir, '%d' % i))
            copies[shutil.copy(path, os.path.join(temp_dir, '%d' % i))] = path

        status, output = zip(*(
            call([python, '-m'] + command + list(copies))
            for command in (['pyflakes'],
                            ['pycodestyle', '--max-line-length=79'])))

    output = ''.join(output)
    results = [
        Result(path, 'failed' if copy + ':' in output else 'passed')
        for copy, path in copies.items()
    ]

    if any(status) and all(item.kind == 'passed' for item in results):
        results.append(Result('the linters', 'failed'))

    for copy, path in copies.items():
        output = output.replace(copy, os.path.relpath(path, CHECKOUT))

    return output, results


def sum_up(results, missing_jobs, is_recording):
    """Tell what came of all jobs, and return the exit status."""
    controls = {
        job.name: {item.name: item.kind == 'passed' for item in items
                   if item.kind != 'skipped'}
        for job, items in results
        if job.is_control and items[-1].name != job.name
    }

    if is_recording:
        write_controls(controls)

    all_results = [item for job, items in results for item in items
                   if item.name == job.name or not job.is_control]

    for name, problem in check_controls(controls):
        all_results.append(Result(name, 'failed' if problem else 'passed'))

        if problem:
            print(problem)

    for job in missing_jobs:
        all_results += job.count * [Result(
            job.name, 'skipped', describe_missing(job.environment))]

    total = collections.Counter(item.kind for item in all_results)
    missing = collections.Counter(
        match for item in all_results for match in re.findall(
            r'no (Python \d\.\d+) on this|\b(%s)\b' % '|'.join(COMMANDS),
            item.reason)[:1])
    print()

    for names, count in sorted(missing.items()):
        name = ''.join(names)
        print('This machine lacks %s, which %d tests need. To have it: %s'
              % (name, count, COMMANDS.get(
                  name, 'pyenv install %s' % name.split()[-1])))

    # Without it, what most of this is for goes untested.
    if os.environ.get('CI') and missing['Python 2.7', '']:
        print('On CI, there has to be Python 2.7.')
        total['failed'] += 1

    print('%d passed, %d failed, %d skipped'
          % (total['passed'], total['failed'], total['skipped']))

    return 1 if total['failed'] or not total['passed'] else 0


if __name__ == '__main__':
    sys.exit(main())

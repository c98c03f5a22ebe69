"""All that there is to run: which tests, on which trees, in what environment.

Nothing is made here. What can be run in any environment of a release has them
all, and is run in the first one that this machine can have.
"""

import dataclasses
import glob
import os
import re
import sys

from variants import LATER_VARIANTS, VARIANTS
from trees import CHECKOUT

from djblets_backport import BadInput
from djblets_backport.releases import MODULES, find_release


TESTS = os.path.join(CHECKOUT, 'tests')
EXPLORE = os.path.join(TESTS, 'schedules', 'explore.py')
RUN_SUITE = os.path.join(TESTS, 'run_suite.py')
STRESS = os.path.join(TESTS, 'stress.py')
UPSTREAM = os.path.join(TESTS, 'upstream', 'run_upstream.py')

#: What is run on a few releases is run on these, which have the two modules
#: that the series brings. Schedules have to find something in the others.
OLDEST, NEWEST = HARD = ('0.8.13', '6.1')
BROKEN = (OLDEST, '0.8.14', '4.0')

#: Djblets' own tests are run on these, in environments with what they need.
UPSTREAM_ENVIRONMENTS = {
    OLDEST: ['py27-django16-own'],
    '0.8.27': ['py27-django16-own'],
    '0.8.29': ['py27-django16-own'],
    '0.9.4': ['py27-django16-own'],
    '1.0.18': ['py27-django18-own'],
    '2.3.4': ['py27-django111-own'],
    '4.0': ['py%s-django32-own' % name for name in (38, 39, 310, 311, 312)],
    NEWEST: ['py%s-django42-own' % name for name in (311, 39, 310, 312, 313)],
}

#: In a short run, they are just these packages', in the order which shows what
#: the series' tests do to others, which isn't Djblets' own.
UPSTREAM_PACKAGES = ['siteconfig', 'cache']

#: The environment for the tests of the tool.
TOOLS = 'py%d%d-tools' % sys.version_info[:2]

#: The environments of Pythons that came after the releases.
NEW_ENVIRONMENTS = [
    'py%s-django52' % version for version in ('314', '313t', '314t')
]

#: The last minor versions of Python 3 that a Django runs on.
LAST_PYTHONS = {'django111': 9, 'django32': 13, 'django42': 13, 'django52': 14}


@dataclasses.dataclass(eq=False)
class Job:
    """Something to run. It writes its results to an xunit file."""

    name: str

    #: The environments, in the order in which they're preferred.
    environments: list

    #: The arguments for the environment's Python.
    command: list

    #: The release, and the kind of its tree, that it's run on, if any.
    release: str = ''
    tree: str = ''

    #: Whether it's to show that tests find what's wrong, and the scenarios of
    #: schedules that do, if that's enough.
    is_control: bool = False
    caught_by: list = ()

    #: The job whose failures are none of this one's.
    baseline: 'Job' = None


def get_jobs(options):
    """Return what to run.

    Args:
        options (argparse.Namespace):
            The options of runtests.py.

    Returns:
        list of Job:
        The jobs. Those that take the longest are first.

    Raises:
        djblets_backport.BadInput:
            There's nothing of what was asked for.
    """
    there = []

    if options.files:
        jobs = [job for path in options.files
                for job in _get_file_jobs(path, options)]
    elif options.schedules:
        found = [(name, variant) for variant in VARIANTS + LATER_VARIANTS
                 for name in variant.caught_by]
        there = sorted({name for name, _ in found})
        jobs = [
            _get_schedules(version, options.long,
                           ['--scenario', options.schedules])
            for version in sorted({
                options.release or variant.release for name, variant in found
                if name == options.schedules})
        ]
    elif options.control:
        there = [job.name for job in _get_controls([])]
        jobs = [job for job in _get_controls(options.nose)
                if job.name == options.control]
    elif options.release:
        jobs = [_make('%s with the series' % options.release, options.release,
                      options.nose)]
    else:
        jobs = list(_get_all_jobs(options.long))

    # One test may be run in any of its environments.
    if options.environment:
        name = re.sub('.*-tools', TOOLS, options.environment)
        jobs = [job for job in jobs if name in
                job.environments[:None if options.is_narrow else 1]]

        for job in jobs:
            job.environments = [options.environment]

    if not jobs:
        raise BadInput('there is nothing like that to run; there are %s' % (
            ', '.join(there) or 'others for other environments'))

    return jobs


def _get_all_jobs(is_long):
    """Generate all jobs."""
    for version in HARD:
        yield _get_schedules(version, is_long)

    for path in sorted(glob.glob(os.path.join(glob.escape(TESTS),
                                              'test_*.py')), reverse=True):
        yield _get_tool_job(path, [])

    for version in HARD:
        yield _make('stress.py on ' + version, version, [STRESS])

    for version, environments in UPSTREAM_ENVIRONMENTS.items():
        baseline, job = [
            Job("Djblets' own tests on %s, %s" % (version, tree), environments,
                [UPSTREAM] + ([] if is_long else UPSTREAM_PACKAGES), version,
                tree)
            for tree in ('released', 'patched')
        ]
        job.baseline = baseline

        yield job

    # What is stopped within a line can't be on the oldest one's Python.
    yield _get_schedules('2.3.4', is_long,
                         ['--scenario', 'reset-and-two-resets'])

    for version in BROKEN:
        yield _get_schedules(version, False, ['--broken'], 'released')

    yield from _get_controls([])

    for module in MODULES:
        for version in (module.releases if is_long else
                        dict.fromkeys([module.releases[0],
                                       module.releases[-1]])):
            names, others = _get_environments(version)

            # Many a machine has one Python alone, which may be another one.
            others = [name for name in others if name not in NEW_ENVIRONMENTS]

            for environments in [names[:1] + others] + [
                    [name] for name in names[1:]]:
                yield _make('%s with the series' % version, version, [],
                            environments)

    for name in NEW_ENVIRONMENTS:
        yield _make('%s with the series' % NEWEST, NEWEST, [], [name])

        # Where there's no GIL, there's stress as well.
        if 't-' in name:
            yield _make('stress.py on ' + NEWEST, NEWEST, [STRESS], [name])


def _get_controls(nose_args):
    """Generate the runs of tests on what isn't fixed, or not rightly."""
    for version in (module.releases[-1] for module in MODULES):
        # No test is skipped in the newest environment, which is second.
        names, others = _get_environments(version)

        yield _make(version, version, nose_args,
                    names[1:2] + names[:1] + names[2:] + others,
                    is_control=True, tree='control')

    # A release's own races don't come up in each run.
    for version, variant in ((OLDEST, 'no-count'), (NEWEST, 'later-no-count')):
        yield _make('stress of %s' % version, version,
                    ['--variant', variant, '-m', '^test_locmem$', STRESS],
                    is_control=True)

    for variant in VARIANTS + LATER_VARIANTS:
        yield _make(variant.name, variant.release,
                    ['--variant', variant.name] + nose_args,
                    is_control=True, caught_by=variant.caught_by)


def _get_file_jobs(path, options):
    """Generate the runs of a file of tests, or of a part of it."""
    name = os.path.relpath(path.partition(':')[0], TESTS)

    if name == 'stress.py':
        for version in [options.release] if options.release else HARD:
            yield _make('%s on %s' % (name, version), version,
                        options.nose + [path])
    elif re.match(r'test_\w+\.py$', name):
        yield _get_tool_job(path, options.nose)
    else:
        raise BadInput('%s has no tests to be run by itself; --release runs '
                       'those of the series' % path)


def _get_tool_job(path, nose_args):
    """Return the run of a file with tests of the tool."""
    return Job(os.path.basename(path), [TOOLS],
               ['-m', 'nose', '--with-xunit'] + nose_args + [path])


def _get_schedules(version, is_long, args=(), tree='patched'):
    """Return the job that explores the schedules of a release."""
    names, others = _get_environments(version)

    # Only on Python 3.7 and newer can threads be stopped within a line.
    return Job('schedules of %s, %s' % (version, tree),
               sorted(names[::-1] + others,
                      key=lambda name: name.startswith(('py27', 'py36'))),
               [EXPLORE, *args] + ['--long'] * is_long, version, tree)


def _make(name, version, args, environments=None, tree='patched', **kwargs):
    """Return a job of run_suite.py, by default in the last environment."""
    names, others = _get_environments(version)

    return Job(name, environments or names[::-1] + others,
               [RUN_SUITE] + args + ['--with-xunit'], version, tree, **kwargs)


def _get_environments(version):
    """Return the environments of a release, and others that it can run in."""
    names = find_release(version).environments
    others = [
        'py%d%d-%s' % (*sys.version_info[:2], django)
        for django, last in LAST_PYTHONS.items()
        if sys.version_info[1] <= last and
        any(name.endswith(django) for name in names)
    ]

    return names, [name for name in others if name not in names] + (
        NEW_ENVIRONMENTS if version == NEWEST else [])

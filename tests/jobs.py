"""All that there is to run: which tests, on which trees, in what environment.

Nothing is made here. What can be run in any environment of a release has them
all, and is run in the first one that this machine can have.
"""

import collections
import dataclasses
import glob
import os
import re
import sys

from variants import LATER_VARIANTS, VARIANTS
from trees import CHECKOUT, get_tree

from djblets_backport import BadInput
from djblets_backport.check import MODULE_PATH
from djblets_backport.releases import MODULES, find_release


TESTS = os.path.join(CHECKOUT, 'tests')
EXPLORE = os.path.join(TESTS, 'schedules', 'explore.py')
PROCESSES = os.path.join(TESTS, 'test_processes.py')
RUN_SUITE = os.path.join(TESTS, 'run_suite.py')
STRESS = os.path.join(TESTS, 'stress.py')
UPSTREAM = os.path.join(TESTS, 'upstream', 'run_upstream.py')

#: What is run on a few releases is run on these, which have the two modules
#: that the series brings. Schedules have to find something in the others.
OLDEST, NEWEST = HARD = ('0.8.13', '6.1')
BROKEN = (OLDEST, '0.8.14', '4.0')

#: Djblets' own tests are run on these, as they are and with the series, in
#: environments that have what they need.
UPSTREAM_ENVIRONMENTS = {
    OLDEST: ['py27-django16'],
    '0.8.27': ['py27-django16'],
    '0.8.29': ['py27-django16'],
    '0.9.4': ['py27-django16'],
    '1.0.18': ['py27-django18'],
    '2.3.4': ['py27-django111'],
    '4.0': ['py%s-django32' % name for name in (38, 39, 310, 311, 312)],
    NEWEST: ['py%s-django42' % name for name in (311, 39, 310, 312, 313)],
}

#: In a short run, those of other releases are just these packages'.
UPSTREAM_PACKAGES = ['cache', 'siteconfig']

#: The environment for the tests of the tool and for the linters.
TOOLS = 'py%d%d-tools' % sys.version_info[:2]

#: The environments of Pythons that came after the releases. Where there's no
#: GIL, there's stress as well.
NEW_ENVIRONMENTS = [
    'py%s-django52' % version for version in ('314', '313t', '314t')
]

#: The last minor versions of Python 3 that a Django runs on.
LAST_PYTHONS = {'django111': 9, 'django32': 13, 'django42': 13, 'django52': 14}

#: What stands in a command for the first tree, and for a file for results.
TREE, XUNIT = '<tree>', '<xunit>'
NOSE_XUNIT = ['--with-xunit', '--xunit-file', XUNIT]


@dataclasses.dataclass(eq=False)
class Job:
    """Something to run."""

    #: Whether it's of ``tests``, or a ``control``, which has to fail as it's
    #: in controls.tsv, or a ``baseline``, of which only counts what fails.
    kind: str

    name: str

    #: The environments, in the order in which they're preferred.
    environments: list

    #: The arguments for the environment's Python.
    command: list

    #: The trees, as tuples of a release and a kind. It's run on the first.
    trees: list = ()

    #: The job whose failures are none of this one.
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
        versions = [options.release] if options.release else HARD
        jobs = [job for path in options.files
                for job in _get_file_jobs(path, versions, options.nose)]
    elif options.schedules:
        releases = collections.defaultdict(set)

        for variant in VARIANTS + LATER_VARIANTS:
            for name in variant.caught_by:
                releases[name].add(options.release or variant.release)

        there = sorted(releases)
        jobs = [
            _get_schedules(version, options.long,
                           ['--scenario', options.schedules])
            for version in releases[options.schedules]
        ]
    elif options.control or options.record:
        there = [job.name for job in _get_controls([])]
        jobs = [job for job in _get_controls(options.nose)
                if options.record or job.name == options.control]
    elif options.release:
        jobs = [_make('%s with the series' % options.release, options.release,
                      'patched', options.nose)]
    else:
        jobs = list(_get_all_jobs(options))

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


def _get_all_jobs(options):
    """Generate all jobs, or those that nose can do some of."""
    for version in HARD:
        if not options.nose:
            yield _get_schedules(version, options.long)

        yield from _get_hard_jobs(version, options.nose)

    if not options.nose:
        yield from _get_upstream_jobs(options.long)

    yield from _get_tool_jobs(options.nose)

    if not options.nose:
        # What is stopped within a line can't be on the oldest one's Python.
        yield _get_schedules('2.3.4', options.long,
                             ['--scenario', 'reset-and-two-resets'])

        for version in BROKEN:
            yield _get_schedules(version, False, ['--broken'], 'released')

        yield from _get_controls([])

    for module in MODULES:
        versions = module.releases

        for version in (versions if options.long else
                        versions[:1] + versions[1:][-1:]):
            for environments in _get_series_environments(version):
                yield _make('%s with the series' % version, version, 'patched',
                            options.nose, environments)


def _get_hard_jobs(version, nose_args):
    """Generate the jobs that put a module of the series to the test."""
    for path in (STRESS, PROCESSES):
        yield from _get_file_jobs(path, [version], nose_args)

    for name in NEW_ENVIRONMENTS:
        if version == NEWEST and 't-' in name:
            yield _make('stress.py on %s' % version, version, 'patched',
                        nose_args + [STRESS], [name])


def _get_upstream_jobs(is_long):
    """Generate the runs of Djblets' own tests, without the series and with."""
    for version, environments in UPSTREAM_ENVIRONMENTS.items():
        packages = ([] if is_long or version == OLDEST
                    else UPSTREAM_PACKAGES)
        released, patched = [
            Job(kind, "Djblets' own tests on %s, %s" % (version, tree),
                environments, [UPSTREAM, '--xunit', XUNIT, TREE] + packages,
                [(version, tree)])
            for kind, tree in (('baseline', 'released'), ('tests', 'patched'))
        ]
        patched.baseline = released

        yield released
        yield patched


def _get_tool_jobs(nose_args):
    """Generate the tests of the tool, and the linters."""
    for path in sorted(glob.glob(os.path.join(glob.escape(TESTS),
                                              'test_*.py'))):
        if path != PROCESSES:
            yield from _get_file_jobs(path, [], nose_args)

    last_versions = [module.releases[-1] for module in MODULES]
    paths = [
        os.path.join(CHECKOUT, name)
        for name in ('setup.py', 'contrib', 'contrib/acceptance',
                     'contrib/backport', 'contrib/benchmark', 'djblets',
                     'tests')
    ] + [os.path.join(get_tree(version, 'patched'), MODULE_PATH)
         for version in last_versions]

    for command in (['pyflakes'], ['pycodestyle', '--max-line-length=79']):
        if not nose_args:
            yield Job('tests', command[0], [TOOLS], ['-m'] + command + paths,
                      [(version, 'patched') for version in last_versions])


def _get_controls(nose_args):
    """Generate the runs of tests on what isn't fixed, or not rightly."""
    for version in (module.releases[-1] for module in MODULES):
        # No test is skipped in the newest environment, which is second.
        newest = find_release(version).environments[:2][-1]

        yield _make(version, version, 'control', nose_args,
                    sorted(_get_environments(version),
                           key=lambda name: name != newest))

    yield _make('processes', NEWEST, 'control', nose_args + [PROCESSES])

    # The oldest release's own races don't come up in each run.
    for version, kind in ((OLDEST, 'no-count'), (NEWEST, 'control')):
        yield _make('stress of %s' % version, version, kind,
                    ['-m', '^test_locmem$', STRESS])

    for variant in VARIANTS + LATER_VARIANTS:
        yield _make(variant.name, variant.release, variant.name, nose_args)


def _get_file_jobs(path, versions, nose_args):
    """Generate the runs of a file of tests, or of a part of it."""
    name = os.path.relpath(path.partition(':')[0], TESTS)

    if name in ('stress.py', 'test_processes.py'):
        for version in versions:
            yield _make('%s on %s' % (name, version), version, 'patched',
                        nose_args + [path])
    elif re.match(r'test_\w+\.py$', name):
        yield Job('tests', name, [TOOLS],
                  ['-m', 'nose'] + NOSE_XUNIT + nose_args + [path])
    else:
        raise BadInput('%s has no tests to be run by itself; --release runs '
                       'those of the series' % path)


def _get_schedules(version, is_long, args=(), kind='patched'):
    """Return the job that explores the schedules of a release."""
    # Only on Python 3.7 and newer can threads be stopped within a line.
    environments = sorted(_get_environments(version),
                          key=lambda name: name.startswith(('py27', 'py36')))

    return Job('tests', 'schedules of %s, %s' % (version, kind), environments,
               [EXPLORE, '--tree', TREE, '--xunit', XUNIT, *args] +
               ['--long'] * is_long, [(version, kind)])


def _make(name, version, tree, args, environments=None):
    """Return a job of run_suite.py, a control where the tree isn't patched."""
    kind = 'tests' if tree == 'patched' else 'control'

    return Job(kind, name, environments or _get_environments(version),
               [RUN_SUITE] + NOSE_XUNIT + args, [(version, tree)])


def _get_environments(version):
    """Return the environments that a release can run in, the best first."""
    result = find_release(version).environments[::-1]

    # Many a machine has one Python alone, which needn't be one of those.
    for django in [name.rpartition('-')[2] for name in result]:
        if sys.version_info[1] <= LAST_PYTHONS.get(django, 0):
            result.append('py%d%d-%s' % (*sys.version_info[:2], django))

    if version == NEWEST:
        result += NEW_ENVIRONMENTS

    return list(dict.fromkeys(result))


def _get_series_environments(version):
    """Generate the lists of environments that a release is tested in."""
    names = find_release(version).environments
    others = [name for name in _get_environments(version) if name not in names]
    new = [name for name in others if name in NEW_ENVIRONMENTS]

    yield names[:1] + [name for name in others if name not in new]

    for name in names[1:] + new:
        yield [name]

"""All that there is to run: which tests, on which trees, in what environment.

What is run in one environment alone is run in the last one of a content in
``releases.tsv``.
"""

import collections
import glob
import os
import sys

import variants
from trees import CHECKOUT, TREES, make_variant

from djblets_backport.environments import get_pythons
from djblets_backport.releases import RELEASES


TESTS = os.path.join(CHECKOUT, 'tests')
EXPLORE = os.path.join(TESTS, 'schedules', 'explore.py')
OWN_SUITE = os.path.join(TESTS, 'own_suite', 'run_own_suite.py')
RUN_SUITE = os.path.join(TESTS, 'run_suite.py')
STRESS = os.path.join(TESTS, 'stress.py')

#: What is run on a few releases is run on these, and on some without the fix.
OLDEST, NEWEST = '0.8.13', '6.1'
BROKEN = (OLDEST, '0.8.14')

#: The environment for the tests of the tool and for the linters.
TOOLS = 'py%d%d-tools' % sys.version_info[:2]

#: The variants that can't be made of the newest release.
OLD_VARIANTS = ('receiver-left',)


#: Something to run: its name, its environment, its arguments, and the tree to
#: run it on. A control has to fail as it's in controls.tsv. Where there's no
#: such environment, it costs about so many tests.
Job = collections.namedtuple(
    'Job', ('name', 'environment', 'args', 'tree', 'is_control', 'count'),
    defaults=(None, False, 1))


def get_jobs(releases, pythons, options, nose_args):
    """Generate all that is to be run.

    Args:
        releases (list of tuple):
            The contents, each with the versions to run the tests on.

        pythons (dict):
            The Pythons of the environments, by name. Others may be added.

        options (argparse.Namespace):
            The options of runtests.py.

        nose_args (list of str):
            The arguments for nose.

    Yields:
        Job:
        Something to run. Those that take the longest are first.
    """
    versions = [version for _, names in releases for version in names]
    is_all = not options.line

    for version in (NEWEST, OLDEST):
        if version in versions and not nose_args:
            yield from _get_hard_jobs(
                version, _get_environments(RELEASES[version], pythons)[-1],
                options.long)

    for path in sorted(glob.glob(os.path.join(glob.escape(TESTS),
                                              'test_*.py'))):
        if is_all and not path.endswith('test_processes.py'):
            yield Job(os.path.basename(path), TOOLS,
                      ['-m', 'nose'] + nose_args + [path])

    if OLDEST in versions:
        for kind in ('patched', 'released'):
            tree = _get_tree(OLDEST, kind)
            yield Job('own suite of %s, %s' % (OLDEST, kind), 'py27-django16',
                      [OWN_SUITE, tree] + nose_args, tree, count=182)

    if is_all and not nose_args:
        yield Job('the linters', TOOLS, [])

    if not nose_args:
        yield from _get_control_jobs(releases, pythons, is_all)

    for content, names in releases:
        for version in names:
            for environment in _get_environments(RELEASES[version], pythons):
                yield Job('%s with the series' % version, environment,
                          [RUN_SUITE] + nose_args,
                          _get_tree(version, 'patched'), count=21)


def _get_hard_jobs(version, environment, is_long):
    """Generate the runs that put the module of a release to the test."""
    patched = _get_tree(version, 'patched')

    yield Job('schedules of %s' % version, environment,
              [EXPLORE, '--tree', patched] + ['--long'] * is_long, count=50)
    yield Job('stress of %s' % version, environment, [STRESS] + (
        ['--seconds', '20', '--count', '100000'] if is_long else []), patched,
        count=5)
    yield Job('stress of %s, released' % version, environment,
              [STRESS, '--broken'], _get_tree(version, 'released'))
    yield Job('processes of %s' % version, environment,
              [RUN_SUITE, os.path.join(TESTS, 'test_processes.py')], patched,
              count=3)


def _get_control_jobs(releases, pythons, is_all):
    """Generate the runs of tests on what isn't fixed, or not rightly."""
    for content, versions in releases:
        last = content.releases[-1]

        # No test is skipped in the newest environment, which is the second.
        if last in versions:
            yield Job(last, _get_environments(RELEASES[last], pythons)[:2][-1],
                      [RUN_SUITE], _get_tree(last, 'control'), True)

    if not is_all:
        return

    yield Job('processes', _get_environments(RELEASES[NEWEST], pythons)[-1],
              [RUN_SUITE, os.path.join(TESTS, 'test_processes.py')],
              _get_tree(NEWEST, 'control'), True)

    for version in BROKEN:
        yield Job('schedules of %s, released' % version,
                  _get_environments(RELEASES[version], pythons)[-1],
                  [EXPLORE, '--broken', '--tree',
                   _get_tree(version, 'released')], count=17)

    for variant in variants.VARIANTS:
        version = OLDEST if variant.name in OLD_VARIANTS else NEWEST
        yield Job(variant.name,
                  _get_environments(RELEASES[version], pythons)[-1],
                  [RUN_SUITE], make_variant(variant.name, version), True)


def _get_tree(version, kind):
    """Return the path of a tree."""
    return os.path.join(TREES, version, kind)


def _get_environments(release, pythons):
    """Return the environments for a release that this machine can have."""
    names = [name for name in release.environments if pythons[name]]
    django = release.environments[-1].rpartition('-')[2]
    newest = {'django111': 9, 'django32': 13, 'django42': 13}.get(django, 0)

    # Many a machine has one Python alone, which needn't be one of those.
    if not names and sys.version_info[1] <= newest:
        names = ['py%d%d-%s' % (sys.version_info[:2] + (django,))]

        if names[0] not in pythons:
            pythons.update(get_pythons(names, progress=print))

    return names or release.environments

"""Compares what forwarding costs: in the releases and with the series.

The official module, the patched one and the bare target, this one twice, take
turns in processes of their own. What the two bare ones differ by is noise. The
exit status is 0 if the series adds no more to a get than is expected.
"""

import collections
import json
import os
import platform
import random
import shutil
import sys
import time

from djblets_backport.check import Parser
from djblets_backport.environments import describe_missing, get_pythons
from evidence.installation import build
from evidence.program import (CONTRIB, DIRECTORY, announce, call,
                              enter_environment, show_progress)


#: The releases, what they're measured in, and how much the series may add to
#: a get on dummy, as a share of what the release adds. 4.0 looks nothing up in
#: Django's caches, which is why threads can share a client there.
STACKS = {
    '0.8.13': ('py27-django16', 0.5),
    '0.8.29': ('py27-django16', 0.5),
    '2.3.4': ('py27-django111', 0.5),
    '4.0': ('py38-django32', 6.0),
    '6.1': ('py311-django42', 1.0),
}

TARGETS = ('dummy', 'locmem', 'memcached')
VARIANTS = ('bare', 'bare again', 'release', 'series')

#: How many values a process measures of each row.
NUM_VALUES = 10


def main():
    """Measure, report it, and return the exit status."""
    parser = Parser(prog='benchmark', description=__doc__)
    parser.add_argument('--quick', action='store_true',
                        help='a rough run, for trying it out')
    num_rounds = 4 if parser.parse_args().quick else 10

    if not shutil.which('memcached'):
        parser.error('there is no memcached on the PATH. "apt-get install '
                     'memcached" brings it')

    with enter_environment('benchmark'):
        from evidence.servers import Memcached

        pythons = get_pythons(sorted({name for name, _ in STACKS.values()}),
                              progress=announce)
        paths = {version: _unpack(version)
                 for version, (name, _) in STACKS.items() if pythons[name]}
        started = time.time()

        with Memcached() as memcached:
            values = _measure(pythons, paths, memcached.address, num_rounds)

        _report(values)

    print('%s, %s, load %.1f, %d:%02d minutes' % (
        time.strftime('%Y-%m-%d'), platform.platform(), os.getloadavg()[1],
        *divmod(time.time() - started, 60)))
    status = 0

    for version, (name, most) in STACKS.items():
        if version not in paths:
            print(describe_missing(name))
            continue

        # The fastest values had the fewest disturbances.
        bare, _, release, series = [
            min(min(found) for found in values[variant][
                'Djblets %s, dummy: get' % version])
            for variant in VARIANTS
        ]
        share = (series - bare) / (release - bare)
        status = status or int(share > most)
        print('The series adds %.2f of what Djblets %s adds to a get on dummy '
              '(at most %.1f is expected).' % (share, version, most))

    return status


def _unpack(version):
    """Unpack the wheels of a release, and return the path for each variant."""
    paths = dict.fromkeys(VARIANTS, '')

    for variant, wheel in zip(('release', 'series'), build(version)):
        paths[variant] = DIRECTORY / 'unpacked' / version / variant
        shutil.rmtree(paths[variant], ignore_errors=True)
        shutil.unpack_archive(wheel, paths[variant], 'zip')

    return paths


def _measure(pythons, paths, address, num_rounds):
    """Return the values of each process, by variant and row."""
    values = {variant: collections.defaultdict(list) for variant in VARIANTS}
    plan = [(version, target) for version in paths for target in TARGETS]

    for i in range(num_rounds * len(plan)):
        version, target = plan[i % len(plan)]
        show_progress('%d %%: Djblets %s on %s' % (
            100 * i // (num_rounds * len(plan)), version, target))

        for variant in random.sample(VARIANTS, len(VARIANTS)):
            output = call(
                pythons[STACKS[version][0]], '-B',
                CONTRIB / 'evidence' / 'worker.py', target,
                address if target == 'memcached' else 'benchmark',
                paths[version][variant], NUM_VALUES)

            for row, found in json.loads(output.splitlines()[-1]).items():
                values[variant]['Djblets %s, %s: %s' % (
                    version, target, row)].append(found)

    return values


def _report(values):
    """Print tables, with the bare target and with the release as 1."""
    import pyperf

    paths = []

    for variant, rows in values.items():
        paths.append(DIRECTORY / ('%s.json' % variant))
        pyperf.BenchmarkSuite([
            pyperf.Benchmark([
                pyperf.Run(found, collect_metadata=False,
                           metadata={'name': row, 'unit': 'second'})
                for found in rows[row]
            ])
            for row in sorted(rows)
        ]).dump(str(paths[-1]), replace=True)

    for compared in (paths, paths[2:]):
        print(call(sys.executable, '-m', 'pyperf', 'compare_to', '--table',
                   *compared))

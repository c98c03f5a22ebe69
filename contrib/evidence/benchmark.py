"""Compares what forwarding costs: in the releases and with the series.

The official module, the patched one and the bare target, this one twice, take
turns. What the two bare ones differ by is noise. pyperf's runner can't take
turns, and doesn't run on Python 2.7, so its statistics and files are used.
"""

import argparse
import collections
import contextlib
import json
import os
import platform
import random
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import time
from pathlib import Path

import pyperf
from matplotlib.figure import Figure
from mirakuru import TCPExecutor
from tabulate import tabulate

CONTRIB = Path(__file__).resolve().parent.parent
sys.path[:1] = [str(CONTRIB), str(CONTRIB.parent / 'tests')]

import trees  # noqa: E402
from djblets_backport import environments  # noqa: E402
from evidence.progress import show  # noqa: E402


BUILD = CONTRIB.parent / 'build' / 'benchmark'

#: The releases, and the environments to measure them in.
STACKS = {
    '0.8.13': 'py27-django16',
    '0.8.29': 'py27-django16',
    '2.3.4': 'py27-django111',
    '4.0': 'py38-django32',
    '6.1': 'py311-django42',
}

#: The targets, and what serves them. Django has one for Redis from 4.0 on.
TARGETS = {
    'dummy': [],
    'locmem': [],
    'memcached': ['memcached', '-l', '127.0.0.1', '-u', 'root', '-U0', '-p'],
    'redis': ['redis-server', '--bind', '127.0.0.1', '--save', '', '--port'],
}

#: What is compared, and the trees that are used for it.
VARIANTS = {'bare': '', 'bare again': '', 'release': 'released',
            'series': 'patched'}


def make_plan():
    """Return what to measure, and what's left out in words."""
    plan, missing = [], []

    for target, command in list(TARGETS.items()):
        if command and not shutil.which(command[0]):
            missing.append('Left out: %s, as no %s is on the PATH'
                           % (target, command[0]))
            del TARGETS[target]

    for version, name in STACKS.items():
        python = environments.get_pythons([name], progress=show)[name]

        if python:
            made = trees.make_trees(version, show)
            plan += [(version, python, made, target) for target in TARGETS
                     if target != 'redis' or version == '6.1']
        else:
            missing.append('Left out: Djblets %s. %s' % (
                version, environments.describe_missing(name)))

    return plan, missing


def serve(target, stack):
    """Run a target's server, if it has one, and return its location."""
    if not TARGETS[target]:
        return 'benchmark'

    with socket.socket() as sock:
        sock.bind(('127.0.0.1', 0))
        port = sock.getsockname()[1]

    stack.enter_context(TCPExecutor(
        TARGETS[target] + [str(port)], '127.0.0.1', port, timeout=30,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))

    return '%s127.0.0.1:%d' % ('redis://' * (target == 'redis'), port)


def read(worker):
    """Return a worker's answer."""
    line = worker.stdout.readline()

    if not line:
        sys.exit('\nbenchmark: a worker failed, or took two minutes: %s'
                 % ' '.join(worker.args))

    return json.loads(line)


def measure(plan, rounds, num_values, seconds):
    """Return the values in rounds, and errors, by release, row and variant."""
    results = collections.defaultdict(lambda: [[] for _ in range(rounds)])
    errors, loops = collections.Counter(), {}

    for i in range(rounds * len(plan)):
        version, python, made, target = plan[i % len(plan)]

        with contextlib.ExitStack() as stack:
            location = serve(target, stack)
            workers = {}

            for variant, tree in VARIANTS.items():
                workers[variant] = stack.enter_context(subprocess.Popen(
                    [python, '-Bu', str(CONTRIB / 'evidence' / 'worker.py'),
                     target, location, made.get(tree, '')], cwd='/',
                    stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                    encoding='utf-8'))
                stack.callback(workers[variant].kill)

            for row in [read(worker) for worker in workers.values()][0]:
                show('%d %%: Djblets %s on %s: %s' % (
                    100 * i // (rounds * len(plan)), version, target, row))

                for variant in [variant for _ in range(num_values) for variant
                                in random.sample(list(VARIANTS), 4)]:
                    key = version, '%s: %s' % (target, row), variant
                    print(json.dumps([row, loops.get(key), seconds]),
                          file=workers[variant].stdin, flush=True)
                    value, count, loops[key] = read(workers[variant])
                    results[key][i // len(plan)].append(value)
                    errors[key] += count

    return results, errors


def make_row(version, name, results, benchmarks, errors):
    """Return a row of a table, with the errors of release and series."""
    keys = [(version, name, variant) for variant in VARIANTS]
    medians = [list(map(statistics.median, results[key])) for key in keys]
    totals = [benchmarks[key].median() for key in keys]
    ratio = totals[3] / totals[2]
    worst = max([ratio] + [two / one for one, two in zip(*medians[2:])])

    # What the two bare ones differ by, in the round where they do most.
    noise = max(max(one / two, two / one) for one, two in zip(*medians[:2]))
    verdict = ('more' if ratio > noise else 'less' if ratio < 1 / noise else
               'within the noise')

    return [name] + [
        benchmarks[keys[i]].format_value(totals[i]) for i in (0, 2, 3)
    ] + ['%.0f %%' % (100 * noise - 100), '%.2f (%.2f)' % (ratio, worst),
         verdict, ' and '.join(str(errors[key]) for key in keys[2:])]


def plot(benchmarks):
    """Write a plot with a panel for each kind of row."""
    panels = collections.defaultdict(dict)

    for version, name, _ in benchmarks:
        target, kind = name.split(': ')
        panels[kind][version + ', ' + target] = version, name

    figure = Figure((7, 4 * len(panels)), layout='constrained')
    axes = figure.subplots(len(panels), 1)

    for (kind, rows), axis in zip(panels.items(), axes):
        for variant, marker in zip(VARIANTS, 'ox^*'):
            axis.plot([benchmarks[key + (variant,)].median()
                       for key in rows.values()], range(len(rows)), marker,
                      label=variant, fillstyle='none')

        axis.set(title=kind, xscale='log', ylim=(len(rows) - 0.5, -0.5),
                 xlabel='bytes' if 'memory' in kind else 'seconds')
        axis.set_yticks(range(len(rows)), rows)
        axis.grid(alpha=0.3)

    figure.legend(*axes[0].get_legend_handles_labels(), ncol=4,
                  loc='outside upper center')
    figure.savefig(str(BUILD / 'plot.svg'))


def main():
    """Measure, and report it."""
    parser = argparse.ArgumentParser(prog='benchmark', description=__doc__)
    parser.add_argument('--quick', action='store_true',
                        help='a rough run, for trying it out')
    size = (2, 2, 0.002) if parser.parse_args().quick else (3, 3, 0.008)
    started, load = time.time(), os.getloadavg()[0]

    for number in (signal.SIGHUP, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler)

    try:
        plan, text = make_plan()
        results, errors = measure(plan, *size)
    except KeyboardInterrupt:
        sys.exit('\nbenchmark: interrupted; all is stopped')

    text.append('%s, %s (load %.1f): medians of %d values, in %d seconds' % (
        time.strftime('%Y-%m-%d'), platform.platform(), load,
        size[0] * size[1], time.time() - started))
    benchmarks = {key: pyperf.Benchmark([
        pyperf.Run(values, collect_metadata=False, metadata={
            'name': ', '.join(key),
            'unit': 'byte' if 'memory' in key[1] else 'second'})
        for values in rounds]) for key, rounds in results.items()}
    shares, more = [], []

    for version in dict.fromkeys(item[0] for item in plan):
        headers = ['Djblets %s, %s' % (version, STACKS[version]), 'bare',
                   version, 'series', 'noise', 'ratio (worst)', '', 'errors']
        table = [make_row(*key[:2], results, benchmarks, errors)
                 for key in results if key[::2] == (version, 'bare')]
        more += ['\n  Djblets %s, %s: %s instead of %s, %s times'
                 % (version, row[0], row[3], row[2], row[5])
                 for row in table if row[6] == 'more']

        # The fastest ones had the fewest disturbances.
        bare, _, release, patched = [
            min(benchmarks[version, 'dummy: get', variant].get_values())
            for variant in VARIANTS]
        shares.append((patched - bare) / (release - bare))
        text += [tabulate(table, headers, disable_numparse=True),
                 'The series adds %.2f of what %s adds to a get on dummy '
                 '(expected: at most 0.50).' % (shares[-1], version)]

    plot(benchmarks)
    pyperf.BenchmarkSuite(list(benchmarks.values())).dump(
        str(BUILD / 'pyperf.json'), replace=True)
    print(*text, 'More than in the release, beyond the noise, over all rounds '
          '(and in the worst one):' + (''.join(more) or '\n  Nothing.'),
          'The plot: %s' % (BUILD / 'plot.svg'), sep='\n\n')

    return int(max(shares) > 0.5 or any(
        count for key, count in errors.items() if key[2] == 'series'))


if __name__ == '__main__':
    sys.exit(main())

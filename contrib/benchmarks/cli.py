"""The command line."""

import argparse
import contextlib
import fcntl
import os
import signal
import sys
from pathlib import Path

from djblets_backport.bootstrap import get_cache_dir
from djblets_backport.errors import BackportError, NotVerified
from djblets_backport.progress import Progress

from benchmarks.report import Report
from benchmarks.rounds import Rounds
from benchmarks.servers import find_server
from benchmarks.variants import ENVIRONMENTS, get_commands, get_targets


_DESCRIPTION = '''\
Measures each content that the module has had, the series, and the target
without any of them, side by side.
'''

_EPILOG = '''\
exit status:
  0    it was measured
  1    it could not be
  2    wrong usage
  130  interrupted

It needs Linux, memcached, redis-server, the Pythons of the environments (2.7,
3.8 and 3.11) and, at the first run, the package registry that pip is set up
with. What this machine doesn't have is left out. The figures are only worth
something if nothing else runs meanwhile. All servers are on the loopback
interface, and are stopped in the end. pyperf can read what's written along
with the page.
'''


class _ArgumentParser(argparse.ArgumentParser):
    """A parser that tells what's wrong in one line."""

    def error(self, message):
        """Exit with an error message.

        Args:
            message (str):
                The message.
        """
        self.exit(2, '%s: error: %s\n' % (self.prog, message))


def _parse_rounds(value):
    """Return the number of rounds in an argument.

    Args:
        value (str):
            The argument.

    Returns:
        int:
        The number.

    Raises:
        argparse.ArgumentTypeError:
            It's not a number in the range.
    """
    if not value.isdecimal() or not 2 <= int(value) <= 1000:
        raise argparse.ArgumentTypeError(
            '"%s" is not a number from 2 to 1000' % value)

    return int(value)


def _get_parser():
    """Return the parser of the command line.

    Returns:
        argparse.ArgumentParser:
        The parser.
    """
    parser = _ArgumentParser(
        prog='benchmark', description=_DESCRIPTION, epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        '--quick', action='store_true',
        help='take about 2 minutes rather than 10, for a rough idea')
    parser.add_argument(
        '--rounds', type=_parse_rounds, metavar='N',
        help='the number of rounds; each takes about as long, and adds to '
             'what small differences can be told from chance (default: 10, '
             'or 3 with --quick)')
    parser.add_argument(
        '--environment', action='append', choices=list(ENVIRONMENTS),
        dest='environments',
        help='measure in this environment alone; may be given more than once')
    parser.add_argument(
        '--output', type=Path, metavar='DIRECTORY',
        help='the directory for benchmark.html and the results (default: '
             'benchmark/results in the cache directory)')

    return parser


@contextlib.contextmanager
def _hold_lock():
    """Keep other benchmarks from running meanwhile.

    Context:
        There's no other.

    Raises:
        djblets_backport.errors.BackportError:
            There's another.
    """
    path = Path(get_cache_dir(), 'benchmark', 'lock')
    path.parent.mkdir(parents=True, exist_ok=True)

    with open(path, 'w') as fp:
        try:
            fcntl.flock(fp, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise BackportError('Another benchmark is under way. The two '
                                'would slow each other down.')

        yield


def _measure(options, progress):
    """Measure everything, and write and print the report.

    Args:
        options (argparse.Namespace):
            The options from the command line.

        progress (djblets_backport.progress.Progress):
            What shows the progress.

    Raises:
        djblets_backport.errors.BackportError:
            It could not be measured.
    """
    directory = options.output or Path(get_cache_dir(), 'benchmark', 'results')
    directory.mkdir(parents=True, exist_ok=True)
    log = directory / 'benchmark.log'
    log.write_bytes(b'')
    commands, targets, notes = _prepare(options, progress)
    load = [os.getloadavg()[0]]
    rounds = Rounds(options, commands, log, progress)
    rounds.run(targets)
    load.append(os.getloadavg()[0])
    progress.end()
    rounds.write(directory)

    notes.insert(0, (
        '%d rounds, on %d processors. The load average was %.1f before and '
        '%.1f after them.'
        % (options.rounds, os.cpu_count(), load[0], load[1])))

    if load[0] > 0.5:
        notes.append('Something else was running on this machine. The figures '
                     'are not good for more than a rough idea.')

    report = Report(rounds.results, notes)
    page = directory / 'benchmark.html'
    report.write_page(page)
    print(report.get_text())
    print('\nThe page with the plots: %s' % page)


def _prepare(options, progress):
    """Prepare the environments, and see what there is.

    Args:
        options (argparse.Namespace):
            The options from the command line.

        progress (djblets_backport.progress.Progress):
            What shows the progress.

    Returns:
        tuple:
        A 3-tuple of the commands for the workers and the targets (both dict,
        by environment), and what's left out (list of str).

    Raises:
        djblets_backport.errors.BackportError:
            An environment that was asked for could not be had.
    """
    commands = {}
    targets = {}
    left_out = {}

    for environment in ENVIRONMENTS:
        if environment not in (options.environments or ENVIRONMENTS):
            continue

        try:
            commands[environment] = get_commands(environment, progress)
        except NotVerified as e:
            if options.environments:
                raise

            left_out[environment] = str(e)

            continue

        targets[environment] = []

        for target in get_targets(environment):
            try:
                find_server(target)
                targets[environment].append(target)
            except BackportError as e:
                left_out[target] = str(e)

    if not commands:
        raise BackportError('None of the environments could be had: %s'
                            % '; '.join(left_out.values()))

    return (commands, targets,
            ['%s is left out, as %s' % item for item in left_out.items()])


def main():
    """Run what the command line says.

    Returns:
        int:
        The exit status.
    """
    options = _get_parser().parse_args()

    if options.quick:
        rounds, options.values, options.min_time = 3, 3, 0.001
    else:
        rounds, options.values, options.min_time = 10, 3, 0.002

    options.rounds = options.rounds or rounds

    # However it's ended, the servers have to be stopped.
    for signum in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(signum, signal.default_int_handler)

    progress = Progress()

    try:
        with _hold_lock():
            _measure(options, progress)

        return 0
    except (BackportError, OSError) as e:
        progress.end()
        sys.stderr.write('benchmark: error: %s\n' % e)

        return 1
    except KeyboardInterrupt:
        progress.end()
        sys.stderr.write('benchmark: error: Interrupted; everything was '
                         'stopped\n')

        return 130

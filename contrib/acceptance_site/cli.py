"""The command line."""

import argparse
import os
import shutil
import signal
import sys
from pathlib import Path

from djblets_backport.errors import BackportError
from djblets_backport.progress import Progress
from djblets_backport.verify import find_python

from acceptance_site import race, repair, review, switch
from acceptance_site.installation import PYTHON_VERSIONS
from acceptance_site.report import (Report, add_race, add_repair,
                                    add_review, add_switch)
from acceptance_site.run import Run


#: The releases of Review Board that each part is for, what runs it, and what
#: adds its results to the report.
PARTS = {
    'race': ((race.RELEASE,), race.race, add_race),
    'switch': ((switch.RELEASE,), switch.switch, add_switch),
    'repair': (tuple(repair.MODULES), repair.repair, add_repair),
    'review': ((review.RELEASE,), review.review, add_review),
}

_DESCRIPTION = '''\
Runs official releases of Review Board with released modules and with the
series, under load, and shows what came of it.

parts:
  race    Review Board 2.0.16 resets the cache on every request
  switch  the cache server of Review Board 8.1 is changed in the settings form
  repair  a broken cache backend in the database, which is then repaired
  review  the series is posted to Review Board 8.1, and reviewed by Review Bot
'''

_EPILOG = '''\
exit status:
  0    everything was as expected
  1    something was not, or it could not be run
  2    wrong usage
  130  interrupted

It needs Python 2.7 and 3.11, memcached and, at the first run, the package
registry that pip is set up with. The review part needs git and redis-server
too. All servers are on the loopback interface, and are stopped in the end.
What's made is kept in the cache directory (XDG_CACHE_HOME or ~/.cache, in
djblets-backport/acceptance).
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


def _parse_requests(value):
    """Return the number of requests in an argument.

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
    if not value.isdecimal() or not 200 <= int(value) <= 100000:
        raise argparse.ArgumentTypeError(
            '"%s" is not a number from 200 to 100000' % value)

    return int(value)


def _parse_clients(value):
    """Return the number of clients in an argument.

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
    if not value.isdecimal() or not 16 <= int(value) <= 64:
        raise argparse.ArgumentTypeError(
            '"%s" is not a number from 16 to 64' % value)

    return int(value)


def _parse_page(value):
    """Return the path of a file that can be written.

    Args:
        value (str):
            The argument.

    Returns:
        pathlib.Path:
        The path.

    Raises:
        argparse.ArgumentTypeError:
            It can't be written.
    """
    path = Path(value)

    if path.is_dir() or not os.access(path.parent, os.W_OK):
        raise argparse.ArgumentTypeError(
            '"%s" is not a file in a directory that can be written to'
            % value)

    return path


def _get_parser():
    """Return the parser of the command line.

    Returns:
        argparse.ArgumentParser:
        The parser.
    """
    parser = _ArgumentParser(
        prog='acceptance', description=_DESCRIPTION, epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        '--part', action='append', choices=list(PARTS), dest='parts',
        help='run this part alone; may be given more than once')
    parser.add_argument(
        '--requests', type=_parse_requests, default=1200, metavar='N',
        help='the number of requests for each module in the first part; the '
             'next two have a fifth of it (default: %(default)s)')
    parser.add_argument(
        '--clients', type=_parse_clients, default=16, metavar='N',
        help='the number of clients at a time (default: %(default)s)')
    parser.add_argument(
        '--page', type=_parse_page, metavar='FILE',
        help='the HTML page to write (default: acceptance.html in the cache '
             'directory)')

    return parser


def main():
    """Run what the command line says.

    Returns:
        int:
        The exit status.
    """
    options = _get_parser().parse_args()

    # However it's ended, the servers have to be stopped.
    for signum in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(signum, signal.default_int_handler)

    progress = Progress()

    try:
        options.memcached = shutil.which('memcached')

        if options.memcached is None:
            raise BackportError('No memcached was found on the PATH (Debian: '
                                'memcached)')

        # Those that are given more than once are still run once.
        parts = [PARTS[name] for name in PARTS
                 if name in (options.parts or PARTS)]
        options.pythons = dict(
            (release, find_python(PYTHON_VERSIONS[release]))
            for releases, _, _ in parts
            for release in releases)

        with Run(options, progress) as run:
            report = Report()

            for _, run_part, add_results in parts:
                add_results(report, run_part(run))

            progress.end()
            page = options.page or run.directory / 'acceptance.html'
            report.write_page(page)

        print(report.get_text())
        print('\nThe page with the plots: %s' % page)

        return 0 if report.as_expected else 1
    except (BackportError, OSError) as e:
        progress.end()
        sys.stderr.write('acceptance: error: %s\n' % e)

        return 1
    except KeyboardInterrupt:
        progress.end()
        sys.stderr.write('acceptance: error: Interrupted; everything was '
                         'stopped\n')

        return 130

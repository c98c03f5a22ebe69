"""The command line."""

import argparse
import contextlib
import errno
import hashlib
import logging
import os
import pathlib
import shlex
import signal
import sys
import tempfile

from . import BackportError, BadInput, check
from .archives import fetch, identify, read
from .releases import MODULES, RELEASES, find_module, find_release
from .series import get_changes, make_series
from .tryout import try_out
from .update import find_outdated, get_range, update
from .wheel import make_wheel


logger = logging.getLogger(__name__)


class _Parser(argparse.ArgumentParser):
    """A parser whose errors are one line."""

    def error(self, message):
        """Exit with an error."""
        self.exit(2, '%s: %s (see --help)\n' % (self.prog, message))


def main():
    """Run the program, and return the exit status."""
    # A path that isn't in the locale's encoding is still shown.
    sys.stdout.reconfigure(errors='backslashreplace')
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    parser = _build_parser()
    options, rest = parser.parse_known_args()

    # What is logged is progress, which is kept apart from results.
    logging.basicConfig(level='ERROR' if options.quiet else 'INFO',
                        format='%(message)s...')

    if options.quiet:
        sys.stdout = open(os.devnull, 'w')

    if options.run is _check:
        return check.main(rest)
    elif rest:
        parser.error('unknown arguments: %s' % ' '.join(rest))

    try:
        options.run(options)

        return 0
    except (BackportError, OSError) as e:
        print('backport: %s' % e, file=sys.stderr)

        return 2 if isinstance(e, BadInput) else 1
    except KeyboardInterrupt:
        print('backport: interrupted, and nothing incomplete was kept',
              file=sys.stderr)

        return 130


def _build_parser():
    """Return the parser of the command line."""
    parser = _Parser(
        prog='backport',
        description='Mends the forwarding cache backend of Djblets releases.',
        epilog='The exit status is 0 if that was done, 2 if what was asked '
               'for can\'t be done, and 1 if it failed for another reason. '
               'Nothing incomplete is ever kept.')
    parser.set_defaults(quiet=False)
    verbs = parser.add_subparsers(metavar='VERB', required=True)

    for run in (_build, _series, _check, _releases):
        verb = verbs.add_parser(
            run.__name__[1:], help=run.__doc__, description=run.__doc__,
            add_help=run is not _check)
        verb.set_defaults(run=run)

    for part in (parser, *verbs.choices.values()):
        part.add_argument('-q', '--quiet', action='store_true',
                          default=argparse.SUPPRESS, help='show errors only')

    build, series, _, releases = verbs.choices.values()

    for verb in (build, series):
        verb.add_argument('-o', '--output', default='dist', metavar='DIR',
                          help='where to write to (default: dist)')

    build.add_argument('releases', metavar='RELEASE', nargs='*',
                       help='such as 0.8.13')
    build.add_argument('--all', action='store_true', help='all releases')
    build.add_argument('--from', action='append', default=[], dest='paths',
                       metavar='ARCHIVE', help='an official archive to take, '
                       'rather than have pip download it')
    series.add_argument('--from', required=True, dest='path', metavar='PATH',
                        help='the checkout, tree or archive')
    releases.add_argument('--update', action='store_true',
                          help='add new ones (for maintainers of this)')
    releases.add_argument('--check', action='store_true',
                          help='tell whether --update has to be run')

    return parser


def _build(options):
    """Make the series and the patched wheel of releases, and try it out."""
    given = {identify(path).version: path for path in options.paths}
    versions = RELEASES if options.all else [*options.releases, *given]

    if not versions or options.all and options.releases:
        raise BadInput('build takes releases such as 0.8.13, or --all')

    for release in [find_release(version) for version in versions]:
        with _open_output(options.output, release.version) as (new, final):
            archive = (read(given[release.version])
                       if release.version in given else fetch(release))
            logger.info('Making the series and the wheel of %s',
                        release.version)
            changes = get_changes(archive.files, release.module)
            name, wheel = make_wheel(release, archive, changes)
            names = _write(new, {**make_series(archive.files, changes),
                                 name: wheel})
            lines = try_out(release, os.path.join(new, name))

        _show_made(final, names, lines + [
            'Next, with the pip of the server\'s Python:',
            '  pip install --no-deps ' + shlex.quote(str(final / name)),
            'Then restart the server. Run by that Python, check.py tells if '
            'it took.'])


def _series(options):
    """Make the series for a checkout, unpacked tree or archive."""
    files = read(options.path).files
    source = files.get(check.MODULE_PATH, b'')
    module = find_module(source)

    try:
        changes = get_changes(files, module)
    except BadInput as e:
        raise BadInput('%s: %s' % (options.path, e))

    name = 'series-' + os.path.basename(os.path.abspath(options.path))

    with _open_output(options.output, name) as (new, final):
        names = _write(new, make_series(files, changes))

    _show_made(final, names, [
        'Its module is that of %s to %s.'
        % (module.releases[0], module.releases[-1]) if module else
        'Its module is that of no release (%s): read the patches.'
        % check.get_blob_id(source),
        'Next, in a checkout:',
        '  git am %s/*.patch' % shlex.quote(os.path.abspath(final))])


def _check():
    """Tell what a server has."""


def _releases(options):
    """Tell what is broken in which release."""
    if options.update:
        return print(*update(), sep='\n')
    elif options.check:
        outdated = find_outdated()

        if outdated:
            raise BackportError('run "backport releases --update", since '
                                'these are out of date: '
                                + ', '.join(outdated))

        return print('What is generated is up to date.')

    for module in MODULES:
        print('%-27s  Python %-14s  Django %s\n    broken: %s'
              % (get_range(module), module.python, module.django,
                 ', '.join(module.defects)))

    for name, text in check.DEFECTS.items():
        print('%-12s  %s' % (name, text))


def _show_made(final, names, lines):
    """Show what was made, and what comes next."""
    print('\n  '.join(['%s:' % final, *names]), *lines, sep='\n', flush=True)


def _write(directory, contents):
    """Write files and their checksums, and return the names."""
    contents['SHA256SUMS'] = ''.join(
        '%s  %s\n' % (hashlib.sha256(data).hexdigest(), name)
        for name, data in sorted(contents.items())).encode('ascii')

    for name, data in contents.items():
        with open(os.path.join(directory, name), 'wb') as fp:
            fp.write(data)

    return sorted(contents)


@contextlib.contextmanager
def _open_output(output, name):
    """Give a directory to write to, which becomes the final one at the end."""
    final = pathlib.Path(output, name)
    made = [path for path in final.parents if not os.path.exists(path)]

    try:
        try:
            os.makedirs(output, exist_ok=True)

            with contextlib.suppress(FileNotFoundError):
                if 'SHA256SUMS' not in os.listdir(final):
                    raise BadInput('%s is in the way, and was not made by '
                                   'this: move it, or give another directory '
                                   'with -o' % final)

            temp_dir = tempfile.TemporaryDirectory(prefix='.', dir=output)
        except OSError as e:
            raise BadInput('%s is no directory that can be written to: %s'
                           % (output, e.strerror))

        with temp_dir as path:
            new = os.path.join(path, 'new')
            os.mkdir(new)
            yield new, final

            # Another build may do the same meanwhile.
            while os.path.exists(new):
                with contextlib.suppress(FileNotFoundError):
                    os.rename(final, tempfile.mkdtemp(dir=path))

                try:
                    os.rename(new, final)
                except OSError as e:
                    if e.errno != errno.ENOTEMPTY:
                        raise
    finally:
        # Those with anything in them stay.
        for directory in made:
            with contextlib.suppress(OSError):
                os.rmdir(directory)

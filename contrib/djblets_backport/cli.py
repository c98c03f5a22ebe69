"""The command line."""

import hashlib
import logging
import os
import pathlib
import signal
import sys
import tempfile
from shlex import quote

from . import BackportError, BadInput, check
from .archives import fetch, identify, read
from .releases import (RELEASES, REVISION_DATE, find_module, find_release,
                       get_ranges)
from .series import get_changes, make_series
from .tryout import try_out
from .update import is_outdated, update
from .wheel import make_wheel


logger = logging.getLogger(__name__)


def main():
    """Run the program, and return the exit status."""
    # A path that isn't in the locale's encoding is still shown.
    sys.stdout.reconfigure(errors='backslashreplace')
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    program = os.path.basename(sys.argv[0])
    options = _build_parser(program).parse_args()

    # What is logged is progress, which is kept apart from results.
    logging.basicConfig(level='ERROR' if options.quiet else 'INFO',
                        format='%(message)s...')

    if options.quiet:
        sys.stdout = open(os.devnull, 'w')

    try:
        status = options.run(options)
        sys.stdout.flush()

        return status or 0
    except BrokenPipeError:
        # Who reads this has seen enough, and at the exit it's flushed again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())

        return 1
    except (BackportError, OSError) as e:
        print('%s: %s' % (program, e), file=sys.stderr)

        return 2 if isinstance(e, BadInput) else 1
    except KeyboardInterrupt:
        print('%s: interrupted, and nothing incomplete was kept' % program,
              file=sys.stderr)

        return 130


def _build_parser(program):
    """Return the parser of the command line."""
    parser = check.Parser(
        prog=program,
        description='Mends the forwarding cache backend of Djblets releases.',
        epilog='The exit status is 0 if that was done, 2 if what was asked '
               'for can\'t be done, and 1 if it failed for another reason. '
               'Nothing incomplete is ever kept.')
    parser.set_defaults(quiet=False)
    first, *_, last = RELEASES
    parser.add_argument(
        '--version', action='version',
        version='%%(prog)s, revision %d of the series (%s), for Djblets %s to '
                '%s' % (check.REVISION, REVISION_DATE, first, last))
    verbs = parser.add_subparsers(metavar='VERB', required=True)

    def add_verb(name, run):
        verb = verbs.add_parser(name, help=run.__doc__,
                                description=run.__doc__)
        verb.set_defaults(run=run)

        return verb

    build = add_verb('build', _build)
    build.add_argument('releases', metavar='RELEASE', nargs='*',
                       help='such as 0.8.13')
    build.add_argument('--all', action='store_true', help='all releases')
    build.add_argument('--from', action='append', default=[], dest='paths',
                       metavar='ARCHIVE', help='an official archive to take, '
                       'rather than have pip download it')

    series = add_verb('series', _series)
    series.add_argument('--from', required=True, dest='path', metavar='PATH',
                        help='the checkout, tree or archive')

    for verb in (build, series):
        verb.add_argument('-o', '--output', default='dist', metavar='DIR',
                          help='where to write to (default: dist)')
        verb.add_argument('-q', '--quiet', action='store_true',
                          help='show errors only')

    check.add_arguments(add_verb('check', _check))

    releases = add_verb('releases', _releases)
    group = releases.add_mutually_exclusive_group()
    group.add_argument('--update', action='store_true',
                       help='add new ones to a checkout of this')
    group.add_argument('--check', action='store_true',
                       help='tell if check.py is up to date')

    return parser


def _build(options):
    """Make the series and the patched wheel of releases, and try it out."""
    given = {identify(path).version: path for path in options.paths}
    versions = RELEASES if options.all else [*options.releases, *given]

    if not versions or options.all and options.releases:
        raise BadInput('build takes releases such as 0.8.13, or --all')

    for release in [find_release(name) for name in dict.fromkeys(versions)]:
        path = given.get(release.version)
        _build_release(release, read(path) if path else fetch(release),
                       options.output)


def _build_release(release, archive, output):
    """Make the series and the patched wheel of a release, and try it out."""
    logger.info('Making the series and the wheel of %s', release.version)
    changes = get_changes(archive.files, release.module)
    patched, wheel = make_wheel(release, archive, changes)
    lines = try_out(release, patched, wheel)

    # With this, a server need not be able to build the release to go back.
    official = release.filename, pathlib.Path(archive.path).read_bytes()
    unpatched, old_wheel = (official if release.filename.endswith('.whl')
                            else make_wheel(release, archive, []))
    unpatched = 'unpatched/' + unpatched
    final = _write(output, release.version, {
        **make_series(archive.files, changes), patched: wheel,
        unpatched: old_wheel})

    print(*lines, 'Next, with the pip of the server\'s Python:',
          '  pip install --no-deps %s' % quote(str(final / patched)),
          'Then restart the server. Run by that Python, check.py has to say '
          '"patched".',
          'To go back, the same with:',
          '  pip install --no-deps -U --force-reinstall %s'
          % quote(str(final / unpatched)),
          'after which check.py has to say "not patched".',
          sep='\n', flush=True)


def _series(options):
    """Make the series for a checkout, unpacked tree or archive."""
    files = read(options.path).files
    source = files.get(check.MODULE_PATH, b'')
    module = find_module(source)

    try:
        changes = get_changes(files, module)
    except BadInput as e:
        raise BadInput('%s: %s' % (quote(options.path), e))

    name = 'series-' + os.path.basename(os.path.abspath(options.path))
    final = _write(options.output, name, make_series(files, changes))
    patches = quote(os.path.abspath(final)) + '/*.patch'

    print('Its module is that of %s to %s.'
          % (module.releases[0], module.releases[-1]) if module else
          'Its module is that of no release (%s): read the patches.'
          % check.get_blob_id(source),
          'Next, in a checkout:', '  git am ' + patches,
          'or in anything else:', '  cat %s | patch -p1' % patches, sep='\n')


def _check(options):
    """Tell what a server has."""
    try:
        return check.run(options)
    except OSError as e:
        raise BadInput(e)


def _releases(options):
    """Tell what is broken in which release."""
    if options.update:
        print(*update(), sep='\n')
    elif options.check:
        if is_outdated():
            raise BackportError('check.py is out of date: "releases --update" '
                                'mends that')

        print('check.py is up to date.')
    else:
        for text, release in get_ranges():
            print('%-16s  Python %-14s  Django %s\n    broken: %s' % (
                text, release.python, release.django,
                ', '.join(release.module.defects)))

        for name, text in check.DEFECTS.items():
            print('%-13s  %s' % (name, text))


def _write(output, name, contents):
    """Write files to a directory, tell that, and return its path."""
    final = pathlib.Path(output, name)
    contents['SHA256SUMS'] = ''.join(
        '%s  %s\n' % (hashlib.sha256(data).hexdigest(), path)
        for path, data in sorted(contents.items())).encode('ascii')

    try:
        os.makedirs(output, exist_ok=True)
        temp_dir = tempfile.TemporaryDirectory(prefix='.', dir=output)
    except OSError as e:
        raise BadInput('%s is no directory that can be written to: %s'
                       % (quote(output), e.strerror))

    with temp_dir as path:
        if final.exists() and not (final / 'SHA256SUMS').exists():
            raise BadInput('%s is in the way, and was not made by this: move '
                           'it, or give another directory with -o'
                           % quote(str(final)))

        try:
            new = pathlib.Path(path, 'new')
            for file_name, data in contents.items():
                file_path = new / file_name
                file_path.parent.mkdir(parents=True, exist_ok=True)
                file_path.write_bytes(data)

            if final.exists():
                os.rename(final, os.path.join(path, 'old'))

            os.rename(new, final)
        except OSError as e:
            raise BackportError('%s cannot be written: %s'
                                % (quote(str(final)), e.strerror))

    print('%s:' % final, *sorted(contents), sep='\n  ')

    return final

"""The command line."""

import argparse
import json
import os
import signal
import sys

from . import REVISION
from .archive import Registry
from .catalogue import (DEFECTS, find_release, get_defects,
                        get_environments, load, update)
from .check import (EXIT_STATUSES, UNKNOWN, check, format_result,
                    get_search_path, get_site_path)
from .errors import BackportError, NotVerified
from .output import (SERIES_PATTERNS, WHEEL_PATTERNS, check_build,
                     read_checksums, write_build)
from .patched_wheel import get_local_version, make_wheel
from .progress import Progress
from .series import make_series
from .source import Sources
from .verify import verify_series, verify_wheel


EXIT_FAILED = 1
EXIT_NOT_VERIFIED = 3

_DESCRIPTION = '''\
Patches djblets.cache.forwarding_backend in the releases of Djblets that have
it, so that the cache backend can be replaced while the server runs.
'''

_EPILOG = '''\
exit status:
  0    done (of check: it is sound)
  1    failed, with nothing incomplete kept (of check: it is affected)
  2    wrong usage (of check: it could not be told what there is)
  3    made, but not tried out, as there is no suitable Python
  130  interrupted, with nothing incomplete kept

Official archives are downloaded from the package registry that pip is set up
with, and checked. They are kept in the cache directory (XDG_CACHE_HOME or
~/.cache, in djblets-backport), which can be removed at any time.
'''


def _run_releases(options, progress):
    """Run the ``releases`` command.

    Args:
        options (argparse.Namespace):
            The options.

        progress (djblets_backport.progress.Progress):
            What shows the progress.

    Returns:
        int:
        The exit status.
    """
    for release in load().values():
        print('%-7s mended by %-20s affected by %s'
              % (release.version, get_local_version(release.version),
                 ', '.join(get_defects(release.blob))))

    print()

    for name, text in DEFECTS.items():
        print('%-16s %s' % (name, text))

    return 0


def _run_check(options, progress):
    """Run the ``check`` command.

    Args:
        options (argparse.Namespace):
            The options.

        progress (djblets_backport.progress.Progress):
            What shows the progress.

    Returns:
        int:
        The exit status.
    """
    try:
        if options.site_packages:
            search_path = get_site_path(options.site_packages)
        else:
            search_path = get_search_path(options.python)

        result = check(search_path)
    except BackportError as e:
        _show_error(options, e)

        return EXIT_STATUSES[UNKNOWN]

    if options.json:
        print(json.dumps(result, indent=2))
    elif not options.quiet:
        print(format_result(result))

    return EXIT_STATUSES[result['state']]


def _run_series(options, progress):
    """Run the ``series`` command.

    Args:
        options (argparse.Namespace):
            The options.

        progress (djblets_backport.progress.Progress):
            What shows the progress.

    Returns:
        int:
        The exit status.
    """
    return _make(options, progress, series=True, wheel=False)


def _run_wheel(options, progress):
    """Run the ``wheel`` command.

    Args:
        options (argparse.Namespace):
            The options.

        progress (djblets_backport.progress.Progress):
            What shows the progress.

    Returns:
        int:
        The exit status.
    """
    return _make(options, progress, series=False, wheel=True)


def _run_build(options, progress):
    """Run the ``build`` command.

    Args:
        options (argparse.Namespace):
            The options.

        progress (djblets_backport.progress.Progress):
            What shows the progress.

    Returns:
        int:
        The exit status.
    """
    return _make(options, progress, series=True, wheel=True)


def _make(options, progress, series, wheel):
    """Make the series, the patched wheel or both.

    Args:
        options (argparse.Namespace):
            The options.

        progress (djblets_backport.progress.Progress):
            What shows the progress.

        series (bool):
            Whether to make the series.

        wheel (bool):
            Whether to make the patched wheel.

    Returns:
        int:
        The exit status.
    """
    versions = options.releases
    verify = getattr(options, 'verify', False)

    if getattr(options, 'all', False):
        if versions:
            raise BackportError('--all takes no releases, and %s was given'
                                % versions[0])

        versions = list(load())

    sources = Sources(Registry(), options.sources, progress)
    versions = sources.get_versions(versions)

    if not versions:
        raise BackportError('No release was given; "releases" lists them')

    status = 0
    patterns = ((SERIES_PATTERNS if series else ()) +
                (WHEEL_PATTERNS if wheel else ()))

    for version in versions:
        release = find_release(version)
        results = []
        not_verified = None

        with write_build(options.output, version, patterns) as directory:
            if series:
                module, tests_path, where = sources.get_module(release)
                progress.step('Making the series for %s' % version)

                for name, data in make_series(module, tests_path,
                                              where).items():
                    with open(os.path.join(directory, name), 'wb') as fp:
                        fp.write(data)

            if wheel:
                files, where = sources.get_wheel_files(release)
                progress.step('Making the patched wheel of %s' % version)
                name = make_wheel(release, files, where, directory)
                progress.end()

                if verify:
                    try:
                        results = verify_wheel(os.path.join(directory, name),
                                               progress)
                    except NotVerified as e:
                        not_verified = e

            progress.end()

        _show_made(options, version, results)

        if not_verified:
            status = EXIT_NOT_VERIFIED
            _show_error(
                options,
                '%s was made, but not tried out: %s. Install that and run '
                '"verify %s", or build with --no-verify'
                % (version, not_verified,
                   os.path.join(options.output, version)))

    if wheel and not options.quiet:
        print('Next: install the wheel with the server\'s own pip, as in\n'
              '  pip install %s\n'
              'and restart the server. "check" tells whether it took. README '
              'tells what to do\nwith the patches, and how to go back.'
              % os.path.join(options.output, version, name))

    return status


def _show_made(options, version, results):
    """Show what was made.

    Args:
        options (argparse.Namespace):
            The options.

        version (str):
            The release.

        results (list of str):
            What came of trying it out.
    """
    if options.quiet:
        return

    directory = os.path.join(options.output, version)
    print('%s:' % directory)

    for name in sorted(read_checksums(directory)):
        print('  %s' % name)

    for result in results:
        print('Tried out in a fresh environment: %s' % result)

    sys.stdout.flush()


def _run_verify(options, progress):
    """Run the ``verify`` command.

    Args:
        options (argparse.Namespace):
            The options.

        progress (djblets_backport.progress.Progress):
            What shows the progress.

    Returns:
        int:
        The exit status.
    """
    path = options.artefact

    if os.path.isdir(path):
        names = sorted(check_build(path))
        wheels = [name for name in names if name.endswith('.whl')]
        results = []

        for name in wheels:
            results += verify_wheel(os.path.join(path, name), progress)

        if 'series' in names:
            release = find_release(os.path.basename(os.path.abspath(path)))
            sources = Sources(Registry(), options.sources, progress)
            results += verify_series(path, sources.get_sdist_files(release),
                                     release, progress)
    elif os.path.exists(path):
        results = verify_wheel(path, progress)
    else:
        raise BackportError('%s does not exist' % path)

    if not options.quiet:
        for result in results:
            print(result)

    return 0


def _run_catalogue(options, progress):
    """Run the ``catalogue`` command.

    Args:
        options (argparse.Namespace):
            The options.

        progress (djblets_backport.progress.Progress):
            What shows the progress.

    Returns:
        int:
        The exit status.
    """
    if options.update:
        changes = update(Registry(), progress)
        print('\n'.join(changes) or 'Nothing changed.')
    else:
        for release in load().values():
            print('%-7s %s %-54s %s'
                  % (release.version, release.blob, release.tests_path,
                     ', '.join(get_environments(release.version, more=True))))

    return 0


def _build_parser(prog):
    """Return the parser of the command line.

    Args:
        prog (str):
            The name that the program is run by.

    Returns:
        argparse.ArgumentParser:
        The parser.
    """
    parser = argparse.ArgumentParser(
        prog=prog, description=_DESCRIPTION, epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--version', action='version',
                        version='revision %d' % REVISION)
    commands = parser.add_subparsers(dest='command', metavar='COMMAND',
                                     required=True)

    quiet = argparse.ArgumentParser(add_help=False)
    quiet.add_argument('-q', '--quiet', action='store_true',
                       help='show errors only')

    sources = argparse.ArgumentParser(add_help=False)
    sources.add_argument('--from', action='append', default=[],
                         dest='sources', metavar='ARCHIVE_OR_TREE',
                         help='take the release from this official archive, '
                              'or a series from this tree, rather than from '
                              'the package registry; may be given again')

    output = argparse.ArgumentParser(add_help=False)
    output.add_argument('-o', '--output', default='dist', metavar='DIR',
                        help='the directory to write to (default: dist); each '
                             'release has a directory of its own in it')

    command = commands.add_parser(
        'releases', parents=[quiet],
        help='list the releases, by what they are affected and what mends it',
        description='Lists the releases that have the module: by what they '
                    'are affected, and the version that mends it.')
    command.set_defaults(func=_run_releases)

    command = commands.add_parser(
        'check', parents=[quiet],
        help='tell what a server has',
        description='Tells which Djblets a server has, what is wrong with '
                    'it, and whether it is patched. None of its code is '
                    'run. The exit status is 0 if it is sound, 1 if it is '
                    'affected and 2 if that could not be told.')
    where = command.add_mutually_exclusive_group()
    where.add_argument('--python', default='python', metavar='PYTHON',
                       help='the Python that the server is run with '
                            '(default: python)')
    where.add_argument('site_packages', nargs='?', metavar='SITE_PACKAGES',
                       help='the directory that Djblets is installed in')
    command.add_argument('--json', action='store_true',
                         help='print it for machines')
    command.set_defaults(func=_run_check)

    command = commands.add_parser(
        'series', parents=[quiet, sources, output],
        help='make the patch series for a release',
        description='Makes the patch series for a release, which git am, '
                    'patch -p1 and quilt take.')
    command.add_argument('releases', nargs='*', metavar='RELEASE',
                         help='the release, such as 0.8.13; --from can tell '
                              'it too')
    command.set_defaults(func=_run_series)

    command = commands.add_parser(
        'wheel', parents=[quiet, sources, output],
        help='make the patched wheel of a release',
        description='Makes the patched wheel of a release, whose version has '
                    'a local part.')
    command.add_argument('releases', nargs='*', metavar='RELEASE',
                         help='the release, such as 0.8.13; --from can tell '
                              'it too')
    command.set_defaults(func=_run_wheel)

    command = commands.add_parser(
        'build', parents=[quiet, sources, output],
        help='make both, and try them out',
        description='Makes the patch series and the patched wheel of '
                    'releases, and tries the wheel out in a fresh '
                    'environment before anything gets its final name.')
    command.add_argument('releases', nargs='*', metavar='RELEASE',
                         help='the releases, such as 0.8.13; --from can tell '
                              'them too')
    command.add_argument('--all', action='store_true',
                         help='all releases')
    command.add_argument('--no-verify', action='store_false', dest='verify',
                         help='do not try it out')
    command.set_defaults(func=_run_build)

    command = commands.add_parser(
        'verify', parents=[quiet, sources],
        help='try out what was made',
        description='Installs a patched wheel in a fresh environment, or '
                    'applies a series to its release, and runs the '
                    'regression suite on that.')
    command.add_argument('artefact', metavar='ARTEFACT',
                         help='a patched wheel, or the directory of a '
                              'release, such as dist/0.8.13')
    command.set_defaults(func=_run_verify)

    command = commands.add_parser(
        'catalogue', parents=[quiet],
        help='show the catalogue, or bring it up to date',
        description='Shows the content of the module in each release, where '
                    'its tests go, and the environments it is tried out in.')
    command.add_argument('--update', action='store_true',
                         help='write it anew from what is in the package '
                              'registry, and show what changed')
    command.set_defaults(func=_run_catalogue)

    return parser


def _show_error(options, error):
    """Show an error, in one line.

    Args:
        options (argparse.Namespace):
            The options.

        error (object):
            The error.
    """
    text = '%s: error: %s\n' % (options.prog, ' '.join(str(error).split()))
    encoding = sys.stderr.encoding or 'ascii'
    sys.stderr.write(text.encode(encoding, 'backslashreplace')
                     .decode(encoding))


def _terminate(signum, frame):
    """End as with Ctrl-C when asked to terminate, to leave nothing behind."""
    raise KeyboardInterrupt


def main(prog='djblets-backport'):
    """Run the program.

    Args:
        prog (str, optional):
            The name that it's run by.

    Returns:
        int:
        The exit status.
    """
    # A path that's not in the locale's encoding is still shown.
    sys.stdout.reconfigure(errors='backslashreplace')
    options = _build_parser(prog).parse_args()
    options.prog = prog
    progress = Progress(options.quiet)
    signal.signal(signal.SIGTERM, _terminate)

    try:
        status = options.func(options, progress)
        sys.stdout.flush()

        return status
    except BrokenPipeError:
        # Whoever reads this, such as head, has seen enough.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())

        return EXIT_FAILED
    except (BackportError, OSError) as e:
        progress.end()
        _show_error(options, e)

        return EXIT_FAILED
    except KeyboardInterrupt:
        progress.end()
        _show_error(options, 'Interrupted; nothing incomplete was kept')

        return 130

"""Tries out what was made, in fresh environments.

The packages for an environment are kept as wheels between runs, so that only
the first one needs the package registry.
"""

import glob
import os
import re
import shutil
import subprocess
import sys
import tempfile

from packaging.version import Version

from .archive import read_files
from .bootstrap import ensure_made, get_cache_dir
from .catalogue import MODULE_PATH, find_release, get_environments
from .errors import BackportError, NotVerified
from .progress import run_command


_HERE = os.path.dirname(os.path.abspath(__file__))

_SUITE = os.path.join(_HERE, 'suite.py')


def find_python(version):
    """Return a Python of a version.

    Args:
        version (str):
            The version, such as 2.7.

    Returns:
        str:
        The path of the Python.

    Raises:
        djblets_backport.errors.NotVerified:
            There's none.
    """
    name = 'python%s' % version
    paths = [
        os.path.join(directory, name)
        for directory in os.environ.get('PATH', os.defpath).split(os.pathsep)
    ]

    # pyenv's own python2.7 fails where 2.7 isn't selected.
    pyenv_root = os.environ.get('PYENV_ROOT') or os.path.expanduser('~/.pyenv')
    paths += sorted(
        glob.glob(os.path.join(glob.escape(pyenv_root), 'versions',
                               '%s.*' % version, 'bin', name)),
        key=lambda path: [int(part) for part in re.findall(r'\d+', path)],
        reverse=True)

    for path in paths:
        if os.access(path, os.X_OK):
            process = subprocess.run(
                [path, '-c',
                 'import sys; print("%d.%d" % sys.version_info[:2]); '
                 'print(sys.executable)'],
                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL)
            lines = os.fsdecode(process.stdout).splitlines()

            if process.returncode == 0 and lines[0] == version:
                return lines[1]

    raise NotVerified('no Python %s was found on the PATH or in pyenv'
                      % version)


def get_environment_python(name):
    """Return the version of Python that an environment is for.

    Args:
        name (str):
            The name of the environment, such as py27-django16.

    Returns:
        str:
        The version, such as 2.7.
    """
    digits = re.match(r'py(\d+)-', name).group(1)

    return '%s.%s' % (digits[0], digits[1:])


def _get_clean_environ():
    """Return the variables for what's run in an environment.

    Returns:
        dict:
        The variables. Those that would let other packages in are left out.
    """
    return {
        key: value
        for key, value in os.environ.items()
        if key not in ('DJANGO_SETTINGS_MODULE', 'PYTHONHOME', 'PYTHONPATH',
                       'VIRTUAL_ENV')
    }


def _run(args, progress, what, error_class=BackportError):
    """Run a command that has to succeed.

    Args:
        args (list of str):
            The command.

        progress (djblets_backport.progress.Progress):
            What shows the progress.

        what (str):
            What it's run for.

        error_class (type, optional):
            The class of the error to raise.

    Raises:
        djblets_backport.errors.BackportError:
            It failed.
    """
    status, output = run_command(args, progress, env=_get_clean_environ())

    if status:
        lines = [line for line in output.splitlines() if line.strip()]
        errors = [line for line in lines if line.startswith('ERROR: ')]

        raise error_class('%s failed: %s'
                          % (what, (errors or lines or ['no output'])[-1]))


def _pip(python, *args):
    """Return the command that runs pip.

    Args:
        python (str):
            The path of the Python to run it with.

        *args (tuple of str):
            The arguments.

    Returns:
        list of str:
        The command.
    """
    return [python, '-m', 'pip', '--disable-pip-version-check'] + list(args)


def make_environment(path, python, progress):
    """Make an environment with nothing in it.

    Args:
        path (str):
            The path of the environment.

        python (str):
            The path of the Python that it's for.

        progress (djblets_backport.progress.Progress):
            What shows the progress.

    Returns:
        str:
        The path of its Python.
    """
    # virtualenv may have newer packages in the user's data, where other runs
    # of it have put them. A newer pip need not run on an old Python.
    _run([sys.executable, '-m', 'virtualenv', '--no-periodic-update',
          '--pip', 'embed', '--setuptools', 'embed', '--wheel', 'embed',
          '-p', python, path],
         progress, 'Making an environment for %s' % python)

    return os.path.join(path, 'bin', 'python')


def _get_requirements_path(name):
    """Return the path of an environment's requirements.

    Args:
        name (str):
            The name of the environment.

    Returns:
        str:
        The path.
    """
    return os.path.join(_HERE, 'environments', '%s.txt' % name)


def _collect_packages(name, python, wheels, args, progress):
    """Get packages from the registry, as wheels.

    Args:
        name (str):
            The name of the environment that they're for.

        python (str):
            The path of the environment's Python.

        wheels (str):
            The directory to add the wheels to.

        args (list of str):
            What pip is to get.

        progress (djblets_backport.progress.Progress):
            What shows the progress.

    Raises:
        djblets_backport.errors.NotVerified:
            They could not be had.
    """
    progress.step('Collecting packages for %s' % name)
    temp_dir = tempfile.mkdtemp(prefix='.collecting-', dir=wheels)

    try:
        _run(_pip(python, 'wheel', '-w', temp_dir, *args), progress,
             'Collecting packages for %s' % name, NotVerified)

        for filename in os.listdir(temp_dir):
            if not filename.lower().startswith('djblets-'):
                os.replace(os.path.join(temp_dir, filename),
                           os.path.join(wheels, filename))
    finally:
        shutil.rmtree(temp_dir)
        progress.end()


def make_fresh_environment(name, path, progress, wheel=None):
    """Make an environment for a Djblets.

    Args:
        name (str):
            The name of the environment.

        path (str):
            The path to make it at.

        progress (djblets_backport.progress.Progress):
            What shows the progress.

        wheel (str, optional):
            The path of a wheel of Djblets to install along with all that it
            requires.

    Returns:
        str:
        The path of its Python.

    Raises:
        djblets_backport.errors.BackportError:
            It could not be made.
    """
    python = find_python(get_environment_python(name))
    wheels = os.path.join(get_cache_dir(), 'wheels', name)
    os.makedirs(wheels, exist_ok=True)
    progress.step('Making a fresh environment (%s)' % name)
    env_python = make_environment(path, python, progress)
    args = ['-r', _get_requirements_path(name)] + ([wheel] if wheel else [])
    install = _pip(env_python, 'install', '--no-index', '--find-links', wheels,
                   *args)

    # Only the first time, or when requirements were changed, is there anything
    # that's not among the packages that were collected before.
    if run_command(install, progress, env=_get_clean_environ())[0]:
        _collect_packages(name, env_python, wheels, args, progress)
        _run(install, progress, 'Installing in %s' % name)

    progress.end()

    return env_python


def ensure_test_environment(name, progress):
    """Return the Python of an environment that's kept between runs.

    Args:
        name (str):
            The name of the environment.

        progress (djblets_backport.progress.Progress):
            What shows the progress.

    Returns:
        str:
        The path of its Python. It has no Djblets.

    Raises:
        djblets_backport.errors.BackportError:
            It could not be made.
    """
    python = find_python(get_environment_python(name))

    with open(_get_requirements_path(name), encoding='utf-8') as fp:
        requirements = fp.read()

    path = ensure_made(
        'environments', name, [requirements, python],
        lambda path: make_fresh_environment(name, path, progress))

    return os.path.join(path, 'bin', 'python')


def run_suite(python, progress, *args):
    """Run the regression suite.

    Args:
        python (str):
            The path of the Python to run it with.

        progress (djblets_backport.progress.Progress):
            What shows the progress.

        *args (tuple of str):
            The arguments for ``suite.py``.

    Returns:
        str:
        What came of it, for the user.

    Raises:
        djblets_backport.errors.BackportError:
            Any test failed.
    """
    status, output = run_command([python, _SUITE, '-v'] + list(args),
                                 progress, env=_get_clean_environ())
    progress.end()

    if status:
        sys.stderr.write(output)

        raise BackportError('The regression suite failed, as shown above')

    ran = int(re.search(r'^Ran (\d+) tests?', output, re.MULTILINE).group(1))
    match = re.search(r'^OK.*skip\w*=(\d+)', output,
                      re.MULTILINE | re.IGNORECASE)
    skipped = int(match.group(1)) if match else 0

    return '%d tests passed, %d skipped' % (ran - skipped, skipped)


def make_temp_dir():
    """Return a new directory that environments can be made in.

    Returns:
        str:
        The path. It's in ASCII, as Python 2.7's pip doesn't install to any
        other.
    """
    directory = tempfile.gettempdir()

    if not directory.isascii():
        directory = '/tmp'

    return tempfile.mkdtemp(prefix='djblets-backport-', dir=directory)


def _verify_in_environments(release, verify):
    """Try something out in all environments that this machine can make.

    Args:
        release (djblets_backport.catalogue.Release):
            The release.

        verify (callable):
            What tries it out, given the name of the environment and a
            directory to use.

    Returns:
        list of str:
        What came of it, a line for each environment.

    Raises:
        djblets_backport.errors.NotVerified:
            This machine can make none of the environments.
    """
    results = []
    not_verified = None
    verified = False

    for name in get_environments(release.version):
        directory = make_temp_dir()

        try:
            results.append('%s: %s' % (name, verify(name, directory)))
            verified = True
        except NotVerified as e:
            not_verified = e
            results.append('%s: NOT TRIED OUT, as %s' % (name, e))
        finally:
            shutil.rmtree(directory)

    if not verified:
        raise not_verified

    return results


def verify_wheel(path, progress):
    """Install a wheel in fresh environments, and run the suite there.

    Args:
        path (str):
            The path of the wheel.

        progress (djblets_backport.progress.Progress):
            What shows the progress.

    Returns:
        list of str:
        What came of it, a line for each environment.

    Raises:
        djblets_backport.errors.BackportError:
            It doesn't install, or any test failed.
    """
    try:
        version = Version(os.path.basename(path).split('-')[1])
    except (IndexError, ValueError):
        raise BackportError('%s is not a wheel: its name has no version'
                            % path)

    # This reads all of it, so a damaged wheel doesn't get any further.
    if MODULE_PATH not in read_files(path):
        raise BackportError('%s is not a wheel of Djblets' % path)

    release = find_release(version.public)

    def _verify(name, directory):
        python = make_fresh_environment(
            name, os.path.join(directory, 'env'), progress,
            os.path.abspath(path))
        _run(_pip(python, 'check'), progress, 'pip check')
        progress.step('Running the regression suite (%s)' % name)

        return run_suite(python, progress)

    return _verify_in_environments(release, _verify)


def apply_series(directory, files, tree):
    """Apply a series to a release.

    Args:
        directory (str):
            The directory of the series.

        files (dict):
            The contents of the release's files.

        tree (str):
            The directory to write the release to.

    Raises:
        djblets_backport.errors.BackportError:
            The series doesn't apply.
    """
    for name, data in files.items():
        path = os.path.join(tree, *name.split('/'))
        os.makedirs(os.path.dirname(path), exist_ok=True)

        with open(path, 'wb') as fp:
            fp.write(data)

    with open(os.path.join(directory, 'series'), encoding='utf-8') as fp:
        patches = [line.strip() for line in fp if line.strip()]

    for patch in patches:
        process = subprocess.run(
            ['git', 'apply', '--whitespace=nowarn',
             os.path.join(os.path.abspath(directory), patch)],
            cwd=tree, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, encoding='utf-8',
            errors='backslashreplace',
            env=dict(os.environ, GIT_CEILING_DIRECTORIES=os.path.dirname(
                os.path.realpath(tree))))

        if process.returncode:
            raise BackportError('%s does not apply to the release: %s'
                                % (patch, ' '.join(process.stdout.split())))


def verify_series(directory, files, release, progress):
    """Apply a series to a release, and run the suite on that.

    Args:
        directory (str):
            The directory of the series.

        files (dict):
            The contents of the release's files.

        release (djblets_backport.catalogue.Release):
            The release.

        progress (djblets_backport.progress.Progress):
            What shows the progress.

    Returns:
        list of str:
        What came of it, a line for each environment.

    Raises:
        djblets_backport.errors.BackportError:
            It doesn't apply, or any test failed.
    """
    def _verify(name, temp_dir):
        tree = os.path.join(temp_dir, 'tree')
        progress.step('Applying the series to %s' % release.version)
        apply_series(directory, files, tree)
        python = make_fresh_environment(
            name, os.path.join(temp_dir, 'env'), progress)
        progress.step('Running the regression suite (%s)' % name)

        return run_suite(python, progress, '--site', tree)

    return _verify_in_environments(release, _verify)

"""What's measured: contents of the module, in the environments they run in."""

import os
import sys

from djblets_backport.archive import Registry, get_blob_id
from djblets_backport.bootstrap import ensure_made
from djblets_backport.catalogue import MODULE_PATH, find_release
from djblets_backport.errors import BackportError
from djblets_backport.progress import run_command
from djblets_backport.source import Sources
from djblets_backport.verify import ensure_test_environment


#: The environments, and a release for each content that can be run there.
ENVIRONMENTS = {
    'py27-django16': ('0.8.13', '0.8.14', '0.8.29', '0.9.4', '1.0.18'),
    'py27-django111': ('2.3.4',),
    'py38-django32': ('4.0',),
    'py311-django42': ('6.1',),
}

#: The target without any module, which all others are compared with.
BARE = 'bare'

#: The same again. What this differs by is what can't be measured.
CONTROL = 'bare again'

#: The module of this checkout.
SERIES = 'series'

#: The real backends to forward to.
TARGETS = ('dummy', 'locmem', 'memcached', 'redis')

_HERE = os.path.dirname(os.path.abspath(__file__))

_ROOT_DIR = os.path.dirname(os.path.dirname(_HERE))

_WORKER_REQUIREMENTS = os.path.join(_HERE, 'requirements-worker.txt')


def get_variants(environment):
    """Return what's measured in an environment.

    Args:
        environment (str):
            The name of the environment.

    Returns:
        tuple of str:
        The variants.
    """
    return (BARE, CONTROL) + ENVIRONMENTS[environment] + (SERIES,)


def get_targets(environment):
    """Return the targets that can be had in an environment.

    Args:
        environment (str):
            The name of the environment.

    Returns:
        list of str:
        The targets. Django has a backend for Redis from 4.0 on.
    """
    return [target for target in TARGETS
            if target != 'redis' or environment == 'py311-django42']


def get_clean_environ():
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


def _ensure_module(variant, sources):
    """Return a directory with a package that has just the module.

    Args:
        variant (str):
            The release, or the series.

        sources (djblets_backport.source.Sources):
            Where to take a release from.

    Returns:
        str:
        The path of the directory.
    """
    if variant == SERIES:
        with open(os.path.join(_ROOT_DIR, *MODULE_PATH.split('/')),
                  'rb') as fp:
            data = fp.read()
    else:
        data = sources.get_module(find_release(variant))[0]

    def _make(path):
        module = os.path.join(path, *MODULE_PATH.split('/'))
        os.makedirs(os.path.dirname(module))

        for name in ('djblets', 'djblets/cache'):
            with open(os.path.join(path, name, '__init__.py'), 'w'):
                pass

        with open(module, 'wb') as fp:
            fp.write(data)

    return ensure_made('benchmark', 'module-%s' % variant,
                       [get_blob_id(data)], _make)


def _ensure_pyperf(environment, python, progress):
    """Return a directory with what a worker measures with.

    Args:
        environment (str):
            The name of the environment.

        python (str):
            The path of the environment's Python.

        progress (djblets_backport.progress.Progress):
            What shows the progress.

    Returns:
        str:
        The path of the directory.

    Raises:
        djblets_backport.errors.BackportError:
            It could not be installed.
    """
    def _make(path):
        progress.step('Installing pyperf for %s (once)' % environment)
        status, output = run_command(
            [python, '-m', 'pip', '--disable-pip-version-check', 'install',
             '--target', path, '-r', _WORKER_REQUIREMENTS],
            progress, env=get_clean_environ())
        progress.end()

        if status:
            sys.stderr.write(output)
            raise BackportError('pyperf could not be installed for %s, as '
                                'shown above' % environment)

    with open(_WORKER_REQUIREMENTS, encoding='utf-8') as fp:
        requirements = fp.read()

    return ensure_made('benchmark', 'pyperf-%s' % environment,
                       [requirements, python], _make)


def get_commands(environment, progress):
    """Return how to run a worker for each variant in an environment.

    Args:
        environment (str):
            The name of the environment.

        progress (djblets_backport.progress.Progress):
            What shows the progress.

    Returns:
        dict:
        The command (list of str) for each variant. The arguments for pyperf,
        and what to measure, are to be added.

    Raises:
        djblets_backport.errors.BackportError:
            The environment or a release could not be had.
    """
    python = ensure_test_environment(environment, progress)
    pyperf = _ensure_pyperf(environment, python, progress)
    sources = Sources(Registry(), [], progress)
    commands = {}

    for variant in get_variants(environment):
        commands[variant] = [python, os.path.join(_HERE, 'worker.py'), pyperf]

        if variant not in (BARE, CONTROL):
            commands[variant] += ['--module',
                                  _ensure_module(variant, sources)]

    return commands

"""Environments to run Djblets in, which tox makes from ``tox.ini``.

They need a checkout. Only the standard library is used here, since this is
what gets the rest.
"""

import glob
import hashlib
import os
import re
import subprocess
import sys
import tempfile

from . import BackportError, CHECKOUT, HERE


# What a Python has to run to tell its name in tox.ini.
_NAME = '''
import sys, sysconfig
gil = sysconfig.get_config_var('Py_GIL_DISABLED')
print('PYTHON_%d%d' % sys.version_info[:2] + ('T' if gil else ''))
'''

# The last ones that know Python 2.7.
_TOX = ['tox==4.5.1.1', 'virtualenv==20.21.1']


class EnvironmentFailure(BackportError):
    """An environment could not be made, and the message says why."""


def get_build_dir():
    """Return the directory for what is made, and kept for the next time.

    It has only ASCII in its path, since Python 2.7's pip fails in others.
    """
    if CHECKOUT.isascii():
        return os.path.join(CHECKOUT, 'build')

    path = os.path.join(tempfile.gettempdir(), 'djblets-backport-%d-%s' % (
        os.getuid(), hashlib.sha256(os.fsencode(CHECKOUT)).hexdigest()[:12]))
    os.makedirs(path, mode=0o700, exist_ok=True)

    if os.stat(path).st_uid != os.getuid():
        raise EnvironmentFailure('%s belongs to somebody else.' % path)

    return path


def get_pythons(environments, workdir=None, progress=None, interpreters=()):
    """Return the Pythons of environments, which are made where need be.

    Args:
        environments (list of str):
            The names of the environments in ``tox.ini``.

        workdir (str, optional):
            The directory for them. By default they're kept in ``build/``.

        progress (callable, optional):
            What is called with a line of text before a step that takes long.

        interpreters (list of str, optional):
            Pythons to make them of, before those that are found.

    Returns:
        dict:
        The path of the Python of each environment, or ``None`` where this
        machine lacks the interpreter.
    """
    progress = progress or (lambda text: None)
    workdir = workdir or os.path.join(get_build_dir(), 'tox')
    tox = _get_tox(progress)
    result = {name: os.path.join(workdir, name, 'bin', 'python')
              for name in environments}
    missing = [name for name in environments
               if not os.path.exists(result[name])]

    if missing:
        progress('Making the environments %s' % ', '.join(missing))

    paths, variables = _find_interpreters(interpreters)
    output = _run([
        tox, '-m', 'tox', 'run-parallel', '--parallel', '2',
        '--parallel-no-spinner', '--notest', '--colored', 'no',
        '-c', os.path.join(HERE, 'tox.ini'),
        '--workdir', workdir, '-e', ','.join(environments),
        '--discover',
    ] + paths, check=False, **variables)
    outcomes = dict(re.findall(r'^  (py[\w-]+): (\w+)', output, re.M))

    for name in environments:
        if outcomes.get(name) == 'SKIP':
            result[name] = None
        elif outcomes.get(name) != 'OK':
            raise EnvironmentFailure(
                'The environment %s could not be made: %s\n%s'
                % (name, get_reason(output), output))

    return result


def describe_missing(environment):
    """Return what to tell where an environment's interpreter is missing."""
    return re.sub(r'py(\d)(\d+).*', r'There is no Python \1.\2 on this '
                  r'machine. "pyenv install \1.\2" brings it.', environment)


def get_reason(output):
    """Return the line that tells best why pip, or what ran it, failed."""
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    errors = [line for line in lines if re.match('(?i)error: ', line)]
    reasons = errors or lines or ['it printed nothing']

    # Without a connection, all that pip's error says is that there's nothing.
    if 'No matching distribution' in reasons[-1]:
        reasons += re.findall('Could not fetch .*|.*connection broken by .*',
                              output)
    elif 'ensurepip is not available' in output:
        reasons += re.findall('apt.* install .*', output)

    return re.sub('(?i)^(error|warning): ', '', reasons[-1]).rstrip('.')


def _get_tox(progress):
    """Return a Python that has tox."""
    path = os.path.join(get_build_dir(), 'tox-tool',
                        sys.implementation.cache_tag)
    python = os.path.join(path, 'bin', 'python')

    if not os.path.exists(os.path.join(path, 'complete')):
        progress('Making an environment for tox')
        _run([sys.executable, '-m', 'venv', '--clear', path])
        _run([python, '-m', 'pip', 'install'] + _TOX)
        open(os.path.join(path, 'complete'), 'w').close()

    return python


def _find_interpreters(given):
    """Return Pythons to look at, and variables for those without the GIL."""
    pyenv = (os.environ.get('PYENV_ROOT') or
             os.path.expanduser(os.path.join('~', '.pyenv')))

    # A shim of pyenv's fails where its version isn't selected.
    paths = sorted(glob.glob(os.path.join(pyenv, 'versions', '*', 'bin',
                                          'python')))
    special = [path for path in paths
               if re.search(r'\dt(-dev)?$', path.split(os.sep)[-3])]
    result = [path for path in [sys.executable] + paths if path not in special]
    variables = {}

    # virtualenv would take one without the GIL for any of its version.
    for path in reversed([*given, *special]):
        name = _run([path, '-c', _NAME]).strip()

        if name.endswith('T'):
            variables[name] = path
        else:
            result.insert(0, path)

    return result, variables


def _run(command, check=True, **variables):
    """Run a command, and return its output."""
    process = subprocess.run(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env=dict(os.environ, PIP_CONSTRAINT='/dev/null',
                 PIP_DISABLE_PIP_VERSION_CHECK='1', **variables))
    output = process.stdout.decode('utf-8', 'replace')

    if check and process.returncode:
        raise EnvironmentFailure('"%s" failed: %s\n%s' % (
            ' '.join(command), get_reason(output), output))

    return output

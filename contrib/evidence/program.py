"""What the two programs share: how they start, show progress, and end."""

import fcntl
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from djblets_backport.environments import (EnvironmentFailure, get_build_dir,
                                           get_pythons)


CONTRIB = Path(__file__).resolve().parent.parent

#: Where everything is that a run makes.
DIRECTORY = Path(get_build_dir()) / 'evidence'

#: What hasn't shown any progress for so many seconds is stuck. Nothing else
#: is limited by time, so that a busy machine changes no outcome.
PATIENCE = 1800

_SIGNALS = (signal.SIGHUP, signal.SIGINT, signal.SIGTERM)

_started = _last_shown = time.monotonic()


class Failure(Exception):
    """The run can't go on, and the message says why."""


def run(main):
    """Run a program, which ends with its exit status or with one line."""
    name = os.path.basename(sys.argv[0])

    for number in _SIGNALS:
        signal.signal(number, _interrupt)

    try:
        sys.exit(main())
    except (Failure, EnvironmentFailure) as e:
        sys.exit('%s: error: %s' % (name, e))
    except KeyboardInterrupt:
        print('\n%s: interrupted, and all is stopped' % name, file=sys.stderr)
        sys.exit(130)


def _interrupt(*args):
    """Stop the program, once."""
    for number in _SIGNALS:
        signal.signal(number, signal.SIG_IGN)

    raise KeyboardInterrupt


def enter_environment(name):
    """Go on in the environment of that name, while no other run is there.

    The lock that's returned has to be kept until the end.
    """
    DIRECTORY.mkdir(parents=True, exist_ok=True)
    lock = open(DIRECTORY / 'lock', 'w')

    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise Failure('another run is under way in %s' % DIRECTORY)

    # Nothing of the caller's environment may reach what's measured.
    for variable in [*os.environ]:
        if variable.startswith(('GIT_', 'GUNICORN_', 'PYTHON', 'RBTOOLS_')):
            del os.environ[variable]

    os.environ.update(PIP_CONSTRAINT=os.devnull, PYTHONNOUSERSITE='1',
                      PIP_DISABLE_PIP_VERSION_CHECK='1',
                      PYTHONDONTWRITEBYTECODE='1', PYTHONIOENCODING='utf-8')
    name = 'py%d%d-%s' % (*sys.version_info[:2], name)

    if Path(sys.prefix).name != name:
        python = get_pythons([name], progress=announce)[name]
        os.execv(python, [python, *sys.argv])

    return lock


def announce(text):
    """Show what's done next, and the time since the start."""
    global _last_shown
    _last_shown = time.monotonic()
    print('[%3d:%02d] %s' % (*divmod(_last_shown - _started, 60), text),
          file=sys.stderr, flush=True)


def show_progress(text):
    """Show how far that is, every five seconds."""
    if time.monotonic() - _last_shown > 5:
        announce(text)


def call(*command, cwd=None, **environ):
    """Run a command, show what it prints, and return that."""
    command = [str(arg) for arg in command]
    lines = []

    # It's in a session of its own, to be ended with all that it has started.
    with subprocess.Popen(command, env=dict(os.environ, **environ), cwd=cwd,
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, encoding='utf-8',
                          errors='replace', start_new_session=True) as process:
        try:
            for line in process.stdout:
                lines.append(line)
                show_progress(line.strip()[:65])
        except KeyboardInterrupt:
            os.killpg(process.pid, signal.SIGTERM)
            raise

    if process.returncode:
        raise Failure('"%s" ended with status %d:\n%s'
                      % (' '.join(command), process.returncode,
                         ''.join(lines[-20:]).strip()))

    return ''.join(lines)

"""What a run shows while it's under way, and where it works."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path


CONTRIB = Path(__file__).resolve().parent.parent

#: Where all is that a run makes: environments, sites, logs and the page.
DIRECTORY = CONTRIB.parent / 'build' / 'acceptance'

_started = _shown = time.monotonic()


class Failure(Exception):
    """The run can't go on, and the message says why."""


def say(text):
    """Show what's done next, and the time since the start."""
    global _shown
    _shown = time.monotonic()
    print('[%3d:%02d] %s' % (*divmod(_shown - _started, 60), text),
          file=sys.stderr, flush=True)


def show(text):
    """Show how far that is, every five seconds."""
    if time.monotonic() - _shown > 5:
        say(text)


def call(*argv, cwd=None, **environ):
    """Run a command, show what it prints, and return that."""
    argv = [str(arg) for arg in argv]
    lines = []

    with subprocess.Popen(argv, env=dict(os.environ, **environ), cwd=cwd,
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, encoding='utf-8',
                          errors='replace', start_new_session=True) as process:
        try:
            for line in process.stdout:
                lines.append(line)
                show(line.strip()[:65])
        except KeyboardInterrupt:
            os.killpg(process.pid, signal.SIGTERM)
            process.wait()
            raise

    if process.returncode:
        raise Failure('"%s" ended with status %d:\n%s'
                      % (' '.join(argv), process.returncode,
                         ''.join(lines[-20:]).strip()))

    return ''.join(lines)

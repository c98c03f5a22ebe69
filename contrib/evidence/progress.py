"""What a run shows while it's under way, and where it works."""

import os
import subprocess
import sys
import time
from pathlib import Path


CONTRIB = Path(__file__).resolve().parent.parent

#: Where all is that a run makes: environments, sites, logs and the page.
DIRECTORY = CONTRIB.parent / 'build' / 'acceptance'

_started = time.monotonic()
_last_shown = _started


class Failure(Exception):
    """The run can't go on, and the message says why."""


def say(text):
    """Show what's done next, and the time since the start."""
    sys.stderr.write('%s[%3d:%02d] %s\n'
                     % ('\r\033[K' if sys.stderr.isatty() else '',
                        *divmod(time.monotonic() - _started, 60), text))
    sys.stderr.flush()


def show(text):
    """Show how far that is, every ten seconds where lines can't be changed."""
    global _last_shown

    if sys.stderr.isatty():
        sys.stderr.write('\r\033[K%s' % text[:78])
        sys.stderr.flush()
    elif time.monotonic() - _last_shown > 10:
        say(text)
        _last_shown = time.monotonic()


def call(argv, env={}, cwd=None):
    """Run a command, show that it runs, and return its output."""
    argv = [str(arg) for arg in argv]
    name = ' '.join(os.path.basename(arg) for arg in argv[:5])
    log = DIRECTORY / 'commands.log'

    with open(log, 'ab+') as fp:
        fp.write(b'$ %s\n' % ' '.join(argv).encode())
        fp.flush()
        start = fp.tell()

        with subprocess.Popen(argv, env=dict(os.environ, **env), cwd=cwd,
                              stdin=subprocess.DEVNULL, stdout=fp,
                              stderr=subprocess.STDOUT) as process:
            try:
                while process.poll() is None:
                    show('%s is running' % name)
                    time.sleep(0.1)
            except BaseException:
                process.terminate()
                raise

        fp.seek(start)
        output = fp.read().decode('utf-8', 'replace')

    if process.returncode != 0:
        raise Failure('%s ended with status %d; see the end of %s:\n%s'
                      % (name, process.returncode, log,
                         output[-800:].strip()))

    return output

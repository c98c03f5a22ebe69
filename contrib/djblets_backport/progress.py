"""Shows what's going on, on a terminal or in a log.

Only the standard library is used here, since this is needed before there's an
environment with anything else.
"""

import shutil
import subprocess
import sys


class Progress(object):
    """Shows the steps of long work on a stream.

    On a terminal, what a step is doing is shown after it, in the same line. In
    a log, each step is a line.
    """

    def __init__(self, quiet=False, stream=None):
        """Initialize the progress.

        Args:
            quiet (bool, optional):
                Whether to show nothing.

            stream (file, optional):
                The stream to show it on. This is the standard error stream by
                default, so that it's apart from any results.
        """
        self.stream = stream or sys.stderr
        self.quiet = quiet
        self.live = not quiet and self.stream.isatty()
        self._step = None

    def step(self, text):
        """Begin a step.

        Args:
            text (str):
                What's being done.
        """
        self.end()

        if self.quiet:
            return

        self._step = text

        if self.live:
            self._show(text)
        else:
            self._write('%s\n' % text)

    def update(self, detail):
        """Show on a terminal what the step is doing.

        Args:
            detail (str):
                What the step is doing.
        """
        if self.live and self._step:
            self._show('%s: %s' % (self._step, ' '.join(detail.split())))

    def end(self):
        """End the step, if any."""
        if self.live and self._step:
            self._show(self._step)
            self._write('\n')

        self._step = None

    def _show(self, text):
        """Show a text in place of the current line.

        Args:
            text (str):
                The text, which is cut to the width of the terminal.
        """
        width = shutil.get_terminal_size().columns - 1
        self._write('\r\x1b[K%s' % text[:width])

    def _write(self, text):
        """Write a text, whatever the stream's encoding.

        Args:
            text (str):
                The text.
        """
        encoding = self.stream.encoding or 'ascii'
        self.stream.write(
            text.encode(encoding, 'backslashreplace').decode(encoding))
        self.stream.flush()


def run_command(args, progress, **kwargs):
    """Run a command, showing its output as progress.

    Args:
        args (list of str):
            The command and its arguments.

        progress (Progress):
            What shows the progress.

        **kwargs (dict):
            Further arguments for :py:class:`subprocess.Popen`.

    Returns:
        tuple:
        A 2-tuple of the exit status (int) and the output (str).
    """
    lines = []
    process = subprocess.Popen(args, stdin=subprocess.DEVNULL,
                               stdout=subprocess.PIPE,
                               stderr=subprocess.STDOUT,
                               encoding='utf-8', errors='backslashreplace',
                               **kwargs)

    try:
        for line in process.stdout:
            lines.append(line)
            progress.update(line)

        return process.wait(), ''.join(lines)
    finally:
        if process.poll() is None:
            process.terminate()
            process.wait()

        process.stdout.close()

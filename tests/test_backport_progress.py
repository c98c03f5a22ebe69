"""Unit tests for djblets_backport.progress."""

import io
import os
import sys

from djblets_backport.progress import Progress, run_command

from backport_testcase import BackportTestCase


class Terminal(io.TextIOWrapper):
    """A stream that says that it's a terminal."""

    def isatty(self):
        """Return that it's a terminal.

        Returns:
            bool:
            ``True``.
        """
        return True


class ProgressTests(BackportTestCase):
    """Unit tests for djblets_backport.progress."""

    def show(self, stream_class, encoding='utf-8', **kwargs):
        """Show progress.

        Args:
            stream_class (type):
                The class of the stream.

            encoding (str, optional):
                The encoding of the stream.

            **kwargs (dict):
                Further arguments for the progress.

        Returns:
            bytes:
            What was shown.
        """
        stream = stream_class(io.BytesIO(), encoding=encoding)
        progress = Progress(stream=stream, **kwargs)
        progress.step('First')
        progress.update('one\n')
        progress.step('Second \u00fc')
        progress.end()
        progress.update('nothing')

        return stream.buffer.getvalue()

    def test_with_log(self):
        """Testing Progress with a log"""
        self.assertEqual(self.show(io.TextIOWrapper).decode('utf-8'),
                         'First\nSecond \u00fc\n')

    def test_with_log_in_ascii(self):
        """Testing Progress with a log that's in ASCII"""
        self.assertEqual(self.show(io.TextIOWrapper, 'ascii'),
                         b'First\nSecond \\xfc\n')

    def test_with_terminal(self):
        """Testing Progress with a terminal"""
        start = '\r\x1b[K'

        self.assertEqual(
            self.show(Terminal).decode('utf-8'),
            start + 'First' + start + 'First: one' + start + 'First\n' +
            start + 'Second \u00fc' + start + 'Second \u00fc\n')

    def test_with_narrow_terminal(self):
        """Testing Progress with a terminal that's narrow"""
        with self.use_environ({'COLUMNS': '5'}):
            self.assertIn('\r\x1b[KFirs\r', self.show(Terminal).decode())

    def test_with_quiet(self):
        """Testing Progress with nothing to be shown"""
        self.assertEqual(self.show(Terminal, quiet=True), b'')

    def test_run_command(self):
        """Testing run_command"""
        status, output = run_command(
            [sys.executable, '-c',
             'import os, sys; print("out", flush=True); '
             'os.write(2, bytes([10, 255, 10])); sys.exit(3)'],
            Progress(quiet=True))

        self.assertEqual(status, 3)
        self.assertEqual(output, 'out\n\n\\xff\n')

    def test_run_command_with_interrupt(self):
        """Testing run_command ends the command when it's interrupted"""
        class Interrupting(Progress):
            def update(self, detail):
                self.pid = int(detail)

                raise KeyboardInterrupt

        progress = Interrupting(quiet=True)

        with self.assertRaises(KeyboardInterrupt):
            run_command(
                [sys.executable, '-c',
                 'import os, signal; print(os.getpid(), flush=True); '
                 'signal.pause()'],
                progress)

        with self.assertRaises(ProcessLookupError):
            os.kill(progress.pid, 0)

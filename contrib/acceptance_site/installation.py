"""Official Review Board releases, in environments of their own."""

import os
from pathlib import Path

from djblets_backport.archive import Registry, read_files
from djblets_backport.bootstrap import ensure_made
from djblets_backport.catalogue import MODULE_PATH, find_release
from djblets_backport.verify import make_environment

from acceptance_site import processes


#: The Python of each Review Board release.
PYTHON_VERSIONS = {
    '2.0.16': '2.7',
    '8.1': '3.11',
}

#: What the module that's compared with the released ones is called.
SERIES = 'series'


def get_title(module):
    """Return what a module is called in texts.

    Args:
        module (str):
            The name of the module.

    Returns:
        str:
        The title.
    """
    return 'the series' if module == SERIES else 'Djblets %s' % module


class Installation:
    """A Review Board release in an environment of its own."""

    def __init__(self, release, python, logs, progress):
        """Install the release, unless that was done before.

        Args:
            release (str):
                The Review Board release.

            python (str):
                The path of the Python to make the environment with.

            logs (pathlib.Path):
                The directory for the logs.

            progress (djblets_backport.progress.Progress):
                What shows the progress.

        Raises:
            acceptance_site.processes.ProcessError:
                It could not be installed.
        """
        requirements = (
            Path(__file__).parent / ('requirements-%s.txt' % release))
        log = logs / ('install-%s.log' % release)

        def _make(path):
            progress.step('Installing Review Board %s (once)' % release)
            make_environment(path, python, progress)
            processes.run(
                [os.path.join(path, 'bin', 'python'), '-m', 'pip', 'install',
                 '--disable-pip-version-check', '--requirement',
                 requirements],
                log, timeout=900)
            progress.end()

        self.release = release
        self.directory = Path(ensure_made(
            os.path.join('acceptance', 'environments'), release,
            [requirements.read_text(), python], _make))
        self.python = self.directory / 'bin' / 'python'

    def use_module(self, text):
        """Put another text of the module in place.

        Args:
            text (bytes):
                The text.
        """
        module = next(self.directory.glob('lib/python*/site-packages/%s'
                                          % MODULE_PATH))
        module.write_bytes(text)

        # Python 2.7 compares only whole seconds of the modification time.
        for path in (module.with_suffix('.pyc'),
                     *module.parent.glob('__pycache__/%s.*' % module.stem)):
            path.unlink(missing_ok=True)


class Modules:
    """The modules that are compared."""

    def __init__(self, progress):
        """Initialize the modules, without fetching any.

        Args:
            progress (djblets_backport.progress.Progress):
                What shows the progress.
        """
        self.registry = Registry()
        self.progress = progress

    def get_text(self, name):
        """Return the text of a module.

        Args:
            name (str):
                The release of Djblets that it's from, or ``series``.

        Returns:
            bytes:
            The text.
        """
        if name == SERIES:
            return (Path(__file__).parents[2] / MODULE_PATH).read_bytes()

        archive = find_release(name).sdist

        return read_files(self.registry.fetch(
            archive.filename, archive.sha256, self.progress))[MODULE_PATH]

"""What the tests of the delivery tool share: its path, and scratch space."""

import pathlib
import shutil
import sys
import tempfile
import unittest


CHECKOUT = pathlib.Path(__file__).resolve().parent.parent

sys.path.insert(0, str(CHECKOUT / 'contrib'))


class ScratchTestCase(unittest.TestCase):
    """A test case with a directory of its own."""

    #: What the name of the directory ends with.
    suffix = ''

    def setUp(self):
        super(ScratchTestCase, self).setUp()

        self.directory = pathlib.Path(tempfile.mkdtemp(suffix=self.suffix))
        self.addCleanup(shutil.rmtree, str(self.directory))

    def write(self, name, data):
        """Write a file, and return its path."""
        path = self.directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)

        return path

    def get_names(self, name='.'):
        """Return the names of what's in a directory."""
        return sorted(path.name for path in (self.directory / name).iterdir())

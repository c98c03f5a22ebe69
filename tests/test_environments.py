"""Unit tests for environments."""

import os
import sys
from unittest import mock

from jobs import TOOLS
from scratch import ScratchTestCase

from djblets_backport import environments


class GetPythonsTests(ScratchTestCase):
    """Unit tests for get_pythons."""

    def test_with_newer_pip(self):
        """Testing get_pythons with a newer pip in virtualenv's own data"""
        self.write('wheel/%d.%d/embed/3/pip.json' % sys.version_info[:2], b'''
            {"started": null, "completed": null, "periodic": true, "versions":
             [{"filename": "pip-99-py3-none-any.whl", "source": "manual",
               "found_date": null, "release_date": null}]}''')

        with mock.patch.dict(os.environ, VIRTUALENV_OVERRIDE_APP_DATA=str(
                self.directory)):
            python = environments.get_pythons([TOOLS], str(self.directory))

        self.assertTrue(os.path.exists(python[TOOLS]))

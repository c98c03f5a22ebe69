"""Unit tests for djblets_backport.environments."""

import os
import sys
from unittest import mock

from scratch import ScratchTestCase

from djblets_backport import environments


#: An environment with nothing in it.
NAME = 'py%d%d-empty' % sys.version_info[:2]


class EnvironmentsTests(ScratchTestCase):
    """Unit tests for get_pythons and get_reason."""

    def test_get_pythons_with_newer_pip(self):
        """Testing get_pythons with a newer pip in virtualenv's own data"""
        self.write('wheel/%d.%d/embed/3/pip.json' % sys.version_info[:2], b'''
            {"started": null, "completed": null, "periodic": true, "versions":
             [{"filename": "pip-99-py3-none-any.whl", "source": "manual",
               "found_date": null, "release_date": null}]}''')

        with mock.patch.dict(os.environ, VIRTUALENV_OVERRIDE_APP_DATA=str(
                self.directory)):
            python = environments.get_pythons([NAME], str(self.directory))

        self.assertTrue(os.path.exists(python[NAME]))

    def test_get_reason(self):
        """Testing get_reason with outputs of pip, venv and neither"""
        for output, expected in (
                ('', 'it printed nothing'),
                ('One.\n\nTwo.\n', 'Two'),
                ('ERROR: one\nerror: two\n\nNote: pip is old\n', 'two'),
                ('Not created, since ensurepip is not available. Run:\n\n'
                 '    apt install python3.8-venv\n\nFailing command: x\n',
                 'apt install python3.8-venv'),
                ("WARNING: Retrying after connection broken by 'X': /y/\n"
                 'ERROR: Could not find a version (from versions: none)\n'
                 'ERROR: No matching distribution found for Djblets==6.1\n',
                 "Retrying after connection broken by 'X': /y/"),
                ('ERROR: No matching distribution found for Djblets==6.1\n',
                 'No matching distribution found for Djblets==6.1')):
            self.assertEqual(environments.get_reason(output), expected)

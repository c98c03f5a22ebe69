"""Tells the commands in tox.ini which Python runs tox."""

import os
import sys


os.environ['TOX_PYTHON'] = sys.executable

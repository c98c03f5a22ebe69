#!/usr/bin/env python3
"""Runs the tests of the project: all of them, or those asked for."""

import sys


if sys.version_info < (3, 8):
    sys.exit('runtests.py: this needs Python 3.8 or newer, and runs the tests '
             'on older ones itself.')

# Leave the checkout as it is.
sys.dont_write_bytecode = True

from running import main  # noqa: E402


sys.exit(main())

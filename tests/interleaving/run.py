"""Runs the command line, from wherever this file is."""

from __future__ import unicode_literals

import os
import sys


if __name__ == '__main__':
    tests_dir = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    sys.path[0:1] = [tests_dir, os.path.dirname(tests_dir)]

    from django.conf import settings

    settings.configure()

    from interleaving.command_line import main

    sys.exit(main())

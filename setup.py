#!/usr/bin/env python3
"""Installs the delivery tool as djblets-backport.

The modules that it puts into Djblets are installed inside of its own package.
No top-level djblets or tests is ever installed.
"""

import os
import re

from setuptools import setup


_CHECK = os.path.join(os.path.dirname(os.path.abspath(__file__)), 'contrib',
                      'djblets_backport', 'check.py')

with open(_CHECK, encoding='utf-8') as fp:
    _REVISION = re.search(r'(?m)^REVISION = (\d+)$', fp.read()).group(1)


setup(
    name='djblets-backport',
    version=_REVISION,
    description='Puts thread safety into the cache backend of Djblets',
    author="The project's contributors",
    license='MIT',
    python_requires='>=3.8',
    packages=['djblets_backport', 'djblets_backport.payload'],
    package_dir={
        'djblets_backport': 'contrib/djblets_backport',
        'djblets_backport.payload': 'djblets/cache',
    },
    package_data={
        'djblets_backport': ['archives.sha256', 'later/*.py', 'messages/*.txt',
                             'releases.tsv', 'tox.ini'],
    },
    entry_points={
        'console_scripts': ['djblets-backport = djblets_backport.cli:main'],
    },
    zip_safe=False)

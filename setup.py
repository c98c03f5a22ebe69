#!/usr/bin/env python3
"""Installs the delivery tool as djblets-backport.

The two modules that the tool patches Djblets with are installed inside of its
own package. No top-level djblets or tests is ever installed.
"""

import os
import re

from setuptools import setup


_HERE = os.path.dirname(os.path.abspath(__file__))


def _read(*path):
    """Return the contents of a file.

    Args:
        *path (tuple of str):
            The parts of its path.

    Returns:
        str:
        The contents.
    """
    with open(os.path.join(_HERE, *path), encoding='utf-8') as fp:
        return fp.read()


setup(
    name='djblets-backport',
    version=re.search(r'^REVISION = (\d+)$',
                      _read('contrib', 'djblets_backport', '__init__.py'),
                      re.MULTILINE).group(1),
    description='Patches the forwarding cache backend in releases of Djblets',
    author="The project's contributors",
    python_requires='>=3.8',
    install_requires=[
        line
        for line in _read('contrib', 'djblets_backport',
                          'requirements.txt').splitlines()
        if line and not line.startswith('#')
    ],
    packages=[
        'djblets_backport',
        'djblets_backport.payload',
    ],
    package_dir={
        'djblets_backport': 'contrib/djblets_backport',
        'djblets_backport.payload': 'djblets/cache',
    },
    package_data={
        'djblets_backport': [
            'catalogue.json',
            'environments/*.txt',
            'messages/*.txt',
            'requirements.txt',
        ],
    },
    entry_points={
        'console_scripts': [
            'djblets-backport = djblets_backport.cli:main',
        ],
    },
    zip_safe=False)

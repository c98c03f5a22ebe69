"""Stands in for setuptools while pip downloads an sdist.

pip asks an sdist for its metadata, and wouldn't take it without. With
setuptools, that runs its ``setup.py``, which needs packages and a Python of
its time. This tells what is written in the sdist, and runs nothing of it.
"""

import os
import re
import sys


#: What pip asks if an sdist doesn't say what builds it.
__legacy__ = sys.modules[__name__]


def prepare_metadata_for_build_wheel(directory, config_settings=None):
    """Write the name and the version, and return where in the directory."""
    with open('PKG-INFO', encoding='utf-8') as fp:
        name, version = re.findall(r'(?m)^(?:Name|Version): (\S+)$',
                                   fp.read())[:2]

    info = '%s-%s.dist-info' % (name, version)
    os.mkdir(os.path.join(directory, info))

    with open(os.path.join(directory, info, 'METADATA'), 'w') as fp:
        fp.write('Metadata-Version: 2.1\nName: %s\nVersion: %s\n'
                 % (name, version))

    return info

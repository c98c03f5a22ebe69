"""Runs the nose suite that a release of Djblets 0.8 comes with.

This is run by the Python 2.7 that Djblets is run with.
"""

from __future__ import print_function, unicode_literals

import os
import shutil
import sys


HERE = os.path.dirname(os.path.abspath(__file__))

#: Tests in which a thread sleeps for the others to come by in the meantime.
#: On a busy machine, they fail by chance, with and without the series.
LEFT_TO_CHANCE = '_concurrent_threads$'


def main():
    """Run the suite.

    The first argument is the tree to run it in. The others are for nose.
    """
    tree = os.path.abspath(sys.argv[1])

    # Files that the tests need aren't in the archive.
    testdata = os.path.join(tree, 'djblets', 'feedview', 'testdata')

    if not os.path.exists(testdata):
        os.mkdir(testdata)

    shutil.copy(os.path.join(HERE, 'sample.rss'), testdata)

    sys.path[:1] = [tree, HERE]
    os.environ[str('DJANGO_SETTINGS_MODULE')] = str('settings')

    from django.conf import settings
    from django.db import connections
    from django.test.utils import setup_test_environment

    try:
        setup_test_environment()
        connections['default'].creation.create_test_db(verbosity=0)

        import nose

        success = nose.run(argv=[
            sys.argv[0],
            os.path.join(tree, 'djblets'),
            '--exclude', LEFT_TO_CHANCE,
        ] + sys.argv[2:])
    finally:
        shutil.rmtree(settings.TEMP_DIR)

    sys.exit(0 if success else 1)


if __name__ == '__main__':
    main()

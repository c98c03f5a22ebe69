"""Runs the tests that are in a Djblets, and its own, as Djblets does it.

This is run by the Python of an environment, on the Djblets that it finds. Up
to 2.x, Djblets runs its tests by nose, and from 3.0 on by pytest.
"""

from __future__ import print_function, unicode_literals

import argparse
import glob
import io
import os
import re
import shutil
import sys
import tempfile

import django
from django.conf import settings


#: What's in the names of tests that can't be run. In two of them, a thread
#: sleeps for the others to come by meanwhile, and on a busy machine they fail
#: by chance. The others know the secret key in Djblets' own settings.
UNFIT = ('concurrent_threads', 'with_encryption', 'force_encryption',
         'use_encryption')


def configure_django(tree, temp_dir):
    """Configure Django as Djblets does it for its tests.

    Djblets' own settings are in no archive of most releases. Like them, these
    have no forwarder among the caches. What the tests write goes to a
    temporary directory, with a template that they need.
    """
    # What Djblets 0.8 and 0.9 do without.
    is_new = os.path.exists(os.path.join(tree, 'djblets', 'avatars'))

    loaders = ['django.template.loaders.%s.Loader' % name
               for name in ('filesystem', 'app_directories')]
    middleware = ['django.middleware.common.CommonMiddleware'] + [
        'django.contrib.%s' % name
        for name in ('sessions.middleware.SessionMiddleware',
                     'auth.middleware.AuthenticationMiddleware')
    ]
    apps = ['django.contrib.%s' % name
            for name in ('admin', 'auth', 'contenttypes', 'sessions', 'sites',
                         'staticfiles')]
    apps += sorted(
        'djblets.%s' % os.path.basename(os.path.dirname(path))
        for path in glob.glob(os.path.join(tree, 'djblets', '*',
                                           '__init__.py')))

    if is_new:
        loaders = [('django.template.loaders.cached.Loader', loaders)]
        apps.append('pipeline')

    with open(os.path.join(temp_dir, 'base.html'), 'w') as fp:
        fp.write(str('{% block content %}{% endblock %}'))

    settings.configure(
        DATABASES={
            'default': {
                'ENGINE': 'django.db.backends.sqlite3',
                'NAME': ':memory:',
            },
        },
        INSTALLED_APPS=apps + ['django_evolution'],
        MEDIA_ROOT=os.path.join(temp_dir, 'media'),
        MEDIA_URL='/media/',
        MIDDLEWARE=middleware,
        MIDDLEWARE_CLASSES=middleware,
        PIPELINE={'PIPELINE_ENABLED': True},
        ROOT_URLCONF='djblets.testing.urls',
        SECRET_KEY='for-tests-only' * 4,
        SITE_ID=1,
        STATIC_ROOT=os.path.join(temp_dir, 'static'),
        STATIC_URL='/',
        TEMPLATES=[{
            'BACKEND': 'django.template.backends.django.DjangoTemplates',
            'DIRS': [temp_dir],
            'OPTIONS': {'context_processors': [], 'loaders': loaders},
        }],
        TEMPLATE_DIRS=[temp_dir],
        TEMPLATE_LOADERS=loaders,
        TIME_ZONE='America/Chicago',
        USE_TZ=is_new)

    if hasattr(django, 'setup'):
        django.setup()


def run_nose(paths, xunit):
    """Run tests by nose, and return whether they all passed."""
    from django.db import connection
    from django.test.utils import setup_test_environment

    import nose

    setup_test_environment()
    connection.creation.create_test_db(verbosity=0)

    # Otherwise, nose would take the configuration of the current directory.
    os.environ[str('NOSE_IGNORE_CONFIG_FILES')] = str('1')

    return nose.run(argv=[
        sys.argv[0], '--match=^test', '--exclude', '|'.join(UNFIT),
        '--with-xunit', '--xunit-file', xunit,
    ] + paths)


def run_pytest(tree, paths, xunit):
    """Run tests by pytest, and return whether they all passed."""
    import pytest

    return pytest.main([
        '-c', os.devnull, '--rootdir', tree, '-p', 'no:cacheprovider', '-q',
        '--tb=short', '--continue-on-collection-errors',
        '-o', 'python_files=tests.py test_*.py',
        '-k', 'not (%s)' % ' or '.join(UNFIT),
        '--junitxml', xunit,
    ] + paths) == 0


def find_left_out(tree, xunit):
    """Return the tests of the series that are in a tree, but weren't run."""
    expected = []

    for directory in ('cache', os.path.join('cache', 'tests')):
        for path in glob.glob(os.path.join(tree, 'djblets', directory,
                                           'test_forwarding_*.py')):
            with io.open(path, encoding='utf-8') as fp:
                expected += re.findall(r'(?m)^    def (test_\w+)', fp.read())

    with io.open(xunit, encoding='utf-8') as fp:
        return set(expected).difference(re.findall(
            r'classname="[\w.]*\.test_forwarding_\w+\.\w+" name="(\w+)"',
            fp.read()))


def main():
    """Run the tests, and return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--xunit-file', required=True,
                        help='the file for the results')
    parser.add_argument('packages', nargs='*', metavar='package',
                        help='the parts of Djblets to test, such as cache')
    options = parser.parse_args()

    # This directory has no part in what is tested.
    del sys.path[0]

    import djblets

    tree = os.path.dirname(os.path.abspath(djblets.__path__[0]))
    xunit = os.path.abspath(options.xunit_file)
    paths = [os.path.join(tree, 'djblets', name)
             for name in options.packages or ['']]
    temp_dir = tempfile.mkdtemp()

    try:
        configure_django(tree, temp_dir)
        success = (run_pytest(tree, paths, xunit)
                   if django.VERSION >= (3, 2) else run_nose(paths, xunit))
    finally:
        shutil.rmtree(temp_dir)

    left_out = find_left_out(tree, xunit)

    if left_out:
        # Without them, it tells nothing that the others passed.
        print('These were not run: %s' % ', '.join(sorted(left_out)))
        os.unlink(xunit)

    return 0 if success and not left_out else 1


if __name__ == '__main__':
    sys.exit(main())

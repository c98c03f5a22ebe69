"""Runs the nose suite that Djblets 0.8 comes with.

This is run by the Python 2.7 of an environment, with a directory that has
Djblets, and arguments for nose.
"""

from __future__ import print_function, unicode_literals

import os
import shutil
import sys
import tempfile


#: Two tests in which a thread sleeps for the others to come by meanwhile. On a
#: busy machine they fail by chance, with the series and without.
TOO_FLAKY = 'test_(load|install_media)_concurrent_threads'


def configure_django(temp_dir):
    """Configure Django as Djblets does it in a directory that isn't in sdists.

    Args:
        temp_dir (unicode):
            The directory for what the suite writes, and for a template.
    """
    from django.conf import settings

    with open(os.path.join(temp_dir, 'base.html'), 'w') as fp:
        fp.write(str('{% block content %}{% endblock %}'))

    settings.configure(
        DATABASES={
            'default': {
                'ENGINE': 'django.db.backends.sqlite3',
                'NAME': ':memory:',
            },
        },
        INSTALLED_APPS=[
            'django.contrib.%s' % name
            for name in ('admin', 'auth', 'contenttypes', 'messages',
                         'sessions', 'sites', 'staticfiles')
        ] + ['django_evolution', 'pipeline'] + [
            'djblets.%s' % name
            for name in ('configforms', 'datagrid', 'extensions', 'feedview',
                         'gravatars', 'log', 'pipeline', 'siteconfig',
                         'testing', 'util', 'webapi')
        ],
        MEDIA_ROOT=os.path.join(temp_dir, 'media'),
        ROOT_URLCONF='djblets.testing.urls',
        SECRET_KEY='for-tests-only',
        SITE_ID=1,
        STATIC_ROOT=os.path.join(temp_dir, 'static'),
        STATIC_URL='/static/',
        TEMPLATE_CONTEXT_PROCESSORS=[
            'django.contrib.auth.context_processors.auth',
            'django.contrib.messages.context_processors.messages',
        ] + [
            'django.core.context_processors.%s' % name
            for name in ('debug', 'i18n', 'media', 'static')
        ] + ['djblets.siteconfig.context_processors.siteconfig'],
        TEMPLATE_DIRS=[temp_dir])


def main():
    """Run the suite, and return the exit status."""
    tree = os.path.abspath(sys.argv[1])
    here = os.path.dirname(os.path.abspath(__file__))
    testdata = os.path.join(tree, str('djblets'), str('feedview'),
                            str('testdata'))
    temp_dir = tempfile.mkdtemp()

    # A file that the suite needs isn't in the archive.
    if not os.path.exists(testdata):
        os.mkdir(testdata)

    shutil.copy(os.path.join(here, str('sample.rss')), testdata)
    sys.path[0] = tree

    try:
        configure_django(temp_dir)

        from django.db import connections
        from django.test.utils import setup_test_environment

        import nose

        setup_test_environment()
        connections['default'].creation.create_test_db(verbosity=0)

        success = nose.run(argv=[
            sys.argv[0], os.path.join(tree, str('djblets')),
            str('--exclude'), str(TOO_FLAKY),
        ] + sys.argv[2:])
    finally:
        shutil.rmtree(temp_dir)

    return 0 if success else 1


if __name__ == '__main__':
    sys.exit(main())

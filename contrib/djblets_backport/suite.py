"""Runs the regression suite on a Djblets, with nose.

This is run by the Python that Djblets is run with, 2.7 or any later one, and
needs nothing but that Djblets, what it requires, and nose (or pynose).
"""

from __future__ import print_function

import argparse
import os
import sys


#: Where the suite is in Djblets 1.0 and newer, and in 0.8 and 0.9.
SUITE_MODULES = (
    'djblets.cache.tests.test_forwarding_backend',
    'djblets.cache.test_forwarding_backend',
)


def configure_django(apps):
    """Configure Django with the least that the suite needs.

    Args:
        apps (list of str):
            The applications to install along with Django's own.
    """
    import django
    from django.conf import settings

    settings.configure(
        CACHES={
            'default': {
                'BACKEND': 'django.core.cache.backends.locmem.LocMemCache',
                'LOCATION': 'default',
            },
        },
        DATABASES={
            'default': {
                'ENGINE': 'django.db.backends.sqlite3',
                'NAME': ':memory:',
            },
        },
        DEFAULT_AUTO_FIELD='django.db.models.AutoField',
        INSTALLED_APPS=[
            'django.contrib.auth',
            'django.contrib.contenttypes',
            'django.contrib.sites',
        ] + apps,
        MIDDLEWARE_CLASSES=[],
        SECRET_KEY='for-tests-only',
        SITE_ID=1,
        USE_TZ=True)

    if hasattr(django, 'setup'):
        django.setup()


def find_suite_module(paths):
    """Return the name of the suite that comes with a Djblets.

    Args:
        paths (list of str):
            The directories of the ``djblets`` package.

    Returns:
        str:
        The name of the module, or ``None`` if there's none.
    """
    for name in SUITE_MODULES:
        parts = name.split('.')[1:]

        for path in paths:
            if os.path.exists(os.path.join(path, *parts) + '.py'):
                return name

    return None


def import_suite_file(filename):
    """Import a file as the suite of the Djblets that's in use.

    The file may be anywhere. It's not looked for in its own package, so that
    it can't bring along the Djblets that it lies in.

    Args:
        filename (str):
            The file to import.

    Returns:
        str:
        The name that the module was imported as.
    """
    import djblets.cache

    name = SUITE_MODULES[-1]

    try:
        from importlib.util import module_from_spec, spec_from_file_location
    except ImportError:
        # Python 2.7.
        import imp

        module = imp.load_source(name, filename)
    else:
        spec = spec_from_file_location(name, filename)
        module = module_from_spec(spec)
        sys.modules[name] = module
        spec.loader.exec_module(module)

    djblets.cache.test_forwarding_backend = module

    return name


def main():
    """Run the suite.

    Returns:
        int:
        The exit status: 0 if all tests passed, and 1 if any failed or if none
        was run.
    """
    parser = argparse.ArgumentParser(
        usage='%(prog)s [--site DIR] [--tests FILE_OR_MODULE[:CLASS[.TEST]]] '
              '[NOSE_OPTION...]',
        description='Runs the regression suite on a Djblets, with nose.')
    parser.add_argument(
        '--site',
        metavar='DIR',
        help='a directory with a djblets package, to be used before any that '
             'is installed')
    parser.add_argument(
        '--tests',
        metavar='FILE_OR_MODULE',
        help='the tests to run, rather than the suite that comes with this '
             'Djblets; a file may be anywhere')
    options, nose_args = parser.parse_known_args()

    # Python puts the directory of this file there, and an empty name or the
    # current directory would let a checkout come before what's installed.
    sys.path[:] = [
        path for path in sys.path
        if (path and os.path.realpath(path) not in
            (os.path.dirname(os.path.realpath(__file__)),
             os.path.realpath(os.getcwd())))
    ]

    if options.site:
        if not os.path.isdir(os.path.join(options.site, 'djblets')):
            parser.error('%s has no djblets directory' % options.site)

        sys.path.insert(0, os.path.abspath(options.site))

    try:
        import djblets
        import nose.core
        import nose.plugins
    except ImportError as e:
        parser.error('%s has no Djblets or nose: %s' % (sys.executable, e))

    apps = []

    if any(os.path.isdir(os.path.join(path, 'siteconfig'))
           for path in djblets.__path__):
        apps.append('djblets.siteconfig')

    configure_django(apps)

    filename, separator, selected = (options.tests or '').rpartition(':')

    if os.path.exists(options.tests or ''):
        filename, separator, selected = options.tests, '', ''

    if os.path.exists(filename):
        name = import_suite_file(filename) + separator + selected
    else:
        name = options.tests or find_suite_module(djblets.__path__)

    if not name:
        parser.error('%s has no regression suite: the series is not applied'
                     % djblets.__path__[0])

    from djblets.cache import forwarding_backend

    print('Testing %s' % os.path.abspath(forwarding_backend.__file__),
          file=sys.stderr)
    sys.stderr.flush()

    # nose would look for its configuration in the current directory, and put
    # that at the front of sys.path.
    os.environ['NOSE_IGNORE_CONFIG_FILES'] = '1'
    results = []

    class RememberResult(nose.plugins.Plugin):
        """Keeps the result, which nose itself only prints."""

        enabled = True
        name = 'remember-result'

        def options(self, parser, env):
            """Add no options."""

        def configure(self, options, conf):
            """Need no options."""

        def finalize(self, result):
            """Keep the result."""
            results.append(result)

    nose.core.TestProgram(
        argv=[
            sys.argv[0],
            '--no-path-adjustment',
            # Otherwise, nose would rather take modules of that name in the
            # current directory, such as a checkout.
            '--where', os.path.dirname(os.path.abspath(djblets.__path__[0])),
            name,
        ] + nose_args,
        addplugins=[RememberResult()],
        exit=False)

    if not results or not results[0].testsRun:
        print('No test was run.', file=sys.stderr)

        return 1

    return 0 if results[0].wasSuccessful() else 1


if __name__ == '__main__':
    sys.exit(main())

"""Runs the tests that the series brings, on the Djblets that Python finds.

This is run in an environment, by Python 2.7 or any later one, with arguments
for nose. It needs what Djblets does, and nose or pynose. It can be given files
with other tests to run, and first ``--variant`` and the name of a broken
variant of the module to run them on.
"""

from __future__ import print_function

import importlib
import io
import os
import sys

import variants


#: The tests, in the packages of Djblets 1.0 and newer and of 0.8 and 0.9.
TEST_MODULES = [
    package + name
    for package in ('djblets.cache.tests.', 'djblets.cache.')
    for name in ('test_forwarding_backend', 'test_forwarding_siteconfig')
]


def configure_django():
    """Configure Django with the least that tests need, and a forwarder."""
    import django
    from django.conf import settings

    apps = [
        'django.contrib.auth',
        'django.contrib.contenttypes',
        'django.contrib.sites',
    ]

    # This needs cryptography, which isn't for all Pythons without the GIL.
    if getattr(sys, '_is_gil_enabled', lambda: True)():
        apps.append('djblets.siteconfig')

    settings.configure(
        CACHES={
            'default': {
                'BACKEND': 'djblets.cache.forwarding_backend.'
                           'ForwardingCacheBackend',
                'LOCATION': 'forwarded_backend',
            },
            'forwarded_backend': {
                'BACKEND': 'django.core.cache.backends.locmem.LocMemCache',
            },
        },
        DATABASES={
            'default': {
                'ENGINE': 'django.db.backends.sqlite3',
                'NAME': ':memory:',
            },
        },
        DEFAULT_AUTO_FIELD='django.db.models.AutoField',
        INSTALLED_APPS=apps,
        MIDDLEWARE_CLASSES=[],
        SECRET_KEY='for-tests-only',
        SITE_ID=1,
        USE_TZ=True)

    if hasattr(django, 'setup'):
        django.setup()


def break_module(module, name):
    """Make a module a broken variant of itself."""
    with io.open(module.__file__.replace('.pyc', '.py'),
                 encoding='utf-8') as fp:
        source = variants.apply(name, fp.read())

    exec(compile(source.encode('utf-8'), module.__file__, 'exec',
                 dont_inherit=True), vars(module))


def main():
    """Run the tests, and return the exit status."""
    # This directory has no part in what is tested.
    del sys.path[0]

    import djblets
    import nose

    parent = os.path.dirname(os.path.abspath(djblets.__path__[0]))
    names = [
        name for name in TEST_MODULES
        if os.path.exists(os.path.join(parent, *name.split('.')) + '.py')
    ]

    if not names:
        print('%s has no tests: the series is not applied.' % parent,
              file=sys.stderr)

        return 1

    configure_django()

    from djblets.cache import forwarding_backend

    print('Testing %s' % os.path.abspath(forwarding_backend.__file__),
          file=sys.stderr)

    args = sys.argv[1:]

    if args[:1] == ['--variant']:
        break_module(forwarding_backend, args[1])
        del args[:2]

    # What isn't fixed has threads get stuck, which needn't take long.
    if 'FORWARDING_TESTS_TIMEOUT' in os.environ:
        for name in names:
            importlib.import_module(name).TIMEOUT = float(
                os.environ['FORWARDING_TESTS_TIMEOUT'])

    # Otherwise, nose would rather take the configuration and the modules that
    # it finds in the current directory, such as a checkout.
    os.environ['NOSE_IGNORE_CONFIG_FILES'] = '1'
    files = [arg for arg in args if arg.partition(':')[0].endswith('.py')]
    args = [arg for arg in args if arg not in files]
    success = nose.run(argv=[
        sys.argv[0], '--no-path-adjustment', '--where', parent,
    ] + args + (list(map(os.path.abspath, files)) or names))

    return 0 if success else 1


if __name__ == '__main__':
    sys.exit(main())

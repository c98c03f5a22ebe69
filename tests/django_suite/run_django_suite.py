"""Runs Django's own cache tests, with a forwarder in front of each cache.

Django's tests don't know of the forwarder. What they find different with it is
what any other user of a cache would.

This is run by the Python that Django is run with, 2.7 or any later one, in the
``tests`` directory of Django's source archive.
"""

from __future__ import print_function, unicode_literals

import argparse
import io
import os
import runpy
import sys
import unittest
from xml.sax.saxutils import quoteattr


#: Tests that can't pass, and why.
EXPECTED_FAILURES = {
    'test_nonexistent_backend':
        'A forwarder only looks for the backend when it is used.',
}


def put_forwarders_in_front():
    """Have Django make a forwarder for each cache it's asked for.

    The forwarder forwards to the very alias that it's made for.
    """
    from django.conf import settings
    from django.core import cache

    from djblets.cache.forwarding_backend import ForwardingCacheBackend

    if hasattr(cache, 'caches') and \
            hasattr(cache.CacheHandler, 'create_connection'):
        # Django >= 3.2.
        cache.CacheHandler.create_connection = \
            lambda self, alias: ForwardingCacheBackend(alias, {})
    elif hasattr(cache, 'caches'):
        cache._create_cache = \
            lambda alias, **kwargs: ForwardingCacheBackend(alias, kwargs)
    else:
        # Django < 1.7. Tests also name classes rather than aliases.
        parse_backend_conf = cache.parse_backend_conf

        def parse(backend, **kwargs):
            if backend in settings.CACHES:
                return ('%s.%s' % (ForwardingCacheBackend.__module__,
                                   ForwardingCacheBackend.__name__),
                        backend, kwargs)

            return parse_backend_conf(backend, **kwargs)

        cache.parse_backend_conf = parse


def record_results(path):
    """Write down what comes of the tests, as nose's xunit plug-in does.

    Args:
        path (unicode):
            The path of the file to write.
    """
    outcomes = {}

    def _record(name, outcome):
        method = getattr(unittest.TestResult, name)

        def _add(self, test, *args):
            test_id = test.id()
            reason = EXPECTED_FAILURES.get(test_id.rpartition('.')[2])

            if reason and outcome == 'failure':
                return self.addSkip(test, reason)

            if outcomes.get(test_id) in (None, 'skipped'):
                outcomes[test_id] = outcome

            return method(self, test, *args)

        setattr(unittest.TestResult, name, _add)

    _record('addSuccess', '')
    _record('addExpectedFailure', '')
    _record('addSkip', 'skipped')
    _record('addFailure', 'failure')
    _record('addError', 'error')
    _record('addUnexpectedSuccess', 'failure')

    run = unittest.TextTestRunner.run

    def _run(self, test):
        result = run(self, test)

        with io.open(path, 'w', encoding='utf-8') as fp:
            fp.write('<testsuite>\n')

            for test_id, outcome in sorted(outcomes.items()):
                classname, _, name = test_id.rpartition('.')
                fp.write('<testcase classname=%s name=%s>%s</testcase>\n'
                         % (quoteattr(classname), quoteattr(name),
                            outcome and '<%s/>' % outcome))

            fp.write('</testsuite>\n')

        return result

    unittest.TextTestRunner.run = _run


def main():
    """Run the tests."""
    parser = argparse.ArgumentParser()
    parser.add_argument('site', help='the directory with the djblets package')
    parser.add_argument('xunit', help='the file to write the results to')
    parser.add_argument('tests', nargs='+', help='the tests to run')
    options = parser.parse_args()

    sys.path[:1] = [os.getcwd(), options.site]
    os.environ.setdefault(str('DJANGO_SETTINGS_MODULE'), str('test_sqlite'))

    put_forwarders_in_front()
    record_results(options.xunit)

    import django

    sys.argv = [str('runtests.py')] + [str(name) for name in options.tests]

    if django.VERSION >= (1, 9):
        # Processes that run tests don't tell us what came of them.
        sys.argv.append(str('--parallel=1'))

    runpy.run_path(str('runtests.py'), run_name=str('__main__'))


if __name__ == '__main__':
    main()

"""What the tests of Djblets 2.0 to 2.3.4 have in addition, or in place.

These run on Django 1.6 to 1.11, where the others have only 1.6 to 1.8.
"""

from __future__ import unicode_literals

import unittest

from django.core import cache as django_cache


class ForwardingCacheBackendTests(unittest.TestCase):
    """Unit tests for ForwardingCacheBackend."""

    def test_caches_all(self):
        """Testing ForwardingCacheBackend's backend is in caches.all()"""
        if not hasattr(django_cache, 'caches'):
            raise unittest.SkipTest('Only Django 1.7 and newer has caches.')

        cache = self._load()
        self.assertIn(cache.backend, django_cache.caches.all())

        self._configure('B')
        cache.reset_backend()
        self.assertEqual(cache.get('key'), 'B')
        self.assertIn(cache.backend, django_cache.caches.all())

    def run(self, result=None):
        # Django keeps caches for each thread, and this has none yet.
        self._start(lambda: super(ForwardingCacheBackendTests, self)
                    .run(result)).join()


def get_cache(alias):
    """Return the cache for an alias as its users get it."""
    if hasattr(django_cache, 'caches'):
        return django_cache.caches[alias]

    # Django < 1.7.
    return django_cache.get_cache(alias)

"""Unit tests for changing the cache backend through djblets.siteconfig."""

from __future__ import unicode_literals

import threading
import unittest

from django.conf import settings
from django.contrib.sites import models as sites_models
from django.core import cache as django_cache
from django.core.cache.backends.locmem import LocMemCache

from djblets.cache.forwarding_backend import DEFAULT_FORWARD_CACHE_ALIAS
from djblets.siteconfig.django_settings import (apply_django_settings,
                                                cache_settings_map)
from djblets.siteconfig.models import SiteConfiguration


#: The seconds after which a thread is taken for stuck, which fails the test.
TIMEOUT = 10


class SiteConfigCacheTests(unittest.TestCase):
    """Unit tests for changing the cache backend through siteconfig."""

    def setUp(self):
        super(SiteConfigCacheTests, self).setUp()

        self._old_caches = dict(settings.CACHES)
        self.addCleanup(self._restore)

        # A site that was looked up before needs no database.
        site = sites_models.Site(pk=settings.SITE_ID, domain='example.com',
                                 name='example.com')
        sites_models.SITE_CACHE[settings.SITE_ID] = site
        self.siteconfig = SiteConfiguration(site=site, version='1.0')

        # Each of the backends knows its own name.
        for name in ('A', 'B'):
            LocMemCache(name, {}).set('name', name)

        self.store('A')

    def _restore(self):
        """Restore what the tests change."""
        settings.CACHES.clear()
        settings.CACHES.update(self._old_caches)
        sites_models.SITE_CACHE.clear()

    def store(self, name):
        """Store a cache backend in the site configuration, and apply it."""
        self.siteconfig.settings['cache_backend'] = {
            DEFAULT_FORWARD_CACHE_ALIAS: {
                'BACKEND': 'django.core.cache.backends.locmem.LocMemCache',
                'LOCATION': name,
            },
        }
        apply_django_settings(self.siteconfig, cache_settings_map)

    def test_apply_django_settings_with_eight_threads(self):
        """Testing apply_django_settings with cache backend and eight threads
        """
        def access():
            names[0].append(django_cache.cache.get('name'))
            has_loaded.release()
            has_stored.wait(TIMEOUT)
            names[1].append(django_cache.cache.get('name'))

        names = ([], [])
        has_loaded = threading.Semaphore(0)
        has_stored = threading.Event()
        threads = [threading.Thread(target=access) for i in range(8)]

        for thread in threads:
            thread.daemon = True
            thread.start()

        for thread in threads:
            has_loaded.acquire()

        self.store('B')
        has_stored.set()

        for thread in threads:
            thread.join(TIMEOUT)

        self.assertEqual(names, (['A'] * 8, ['B'] * 8))

"""Unit tests for changing the cache backend through djblets.siteconfig."""

from __future__ import unicode_literals

import threading
import unittest

import django
from django.conf import settings
from django.contrib.sites import models as sites
from django.core import cache as django_cache
from django.core.cache.backends.locmem import LocMemCache
from django.test.utils import override_settings

from djblets.siteconfig.django_settings import (apply_django_settings,
                                                cache_settings_map)
from djblets.siteconfig.models import SiteConfiguration


#: The seconds after which a thread is taken for stuck, which fails the test.
TIMEOUT = 10


def get_caches(name):
    """Return the configuration of the alias that siteconfig changes."""
    return {
        'forwarded_backend': {
            'BACKEND': 'django.core.cache.backends.locmem.LocMemCache',
            'LOCATION': name,
        },
    }


class SiteConfigCacheTests(unittest.TestCase):
    """Unit tests for changing the cache backend through siteconfig."""

    @unittest.skipIf(django.VERSION < (1, 7), 'Needs Django 1.7 or newer.')
    def test_apply_django_settings_with_eight_threads(self):
        """Testing apply_django_settings with cache backend and eight threads
        """
        def access():
            try:
                name = django_cache.cache.get('name')
            finally:
                has_loaded.release()

            has_stored.wait(TIMEOUT)
            results.append((name, django_cache.cache.get('name')))

        # Where settings are overridden, Django forgets what it has loaded.
        # After other tests, that needn't be what the settings say.
        loaded = vars(django_cache.caches)
        self.addCleanup(loaded.update, dict(loaded))

        override = override_settings(CACHES=dict(get_caches('A'), default={
            'BACKEND':
                'djblets.cache.forwarding_backend.ForwardingCacheBackend',
            'LOCATION': 'forwarded_backend',
        }))
        override.enable()
        self.addCleanup(override.disable)

        # A site that was looked up before needs no database. To clear that
        # cache, Django puts another dictionary in its place.
        site = sites.Site(pk=settings.SITE_ID, domain='example.com')
        sites.SITE_CACHE[site.pk] = site
        self.addCleanup(sites.Site.objects.clear_cache)

        # Each of the backends knows its own name.
        for name in ('A', 'B'):
            LocMemCache(name, {}).set('name', name)

        results = []
        has_loaded = threading.Semaphore(0)
        has_stored = threading.Event()
        threads = [threading.Thread(target=access) for i in range(8)]

        for thread in threads:
            thread.daemon = True
            thread.start()

        for thread in threads:
            has_loaded.acquire()

        self.assertEqual(django_cache.cache.get('name'), 'A')
        siteconfig = SiteConfiguration(site=site, version='1.0')
        siteconfig.settings['cache_backend'] = get_caches('B')
        apply_django_settings(siteconfig, cache_settings_map)
        has_stored.set()

        for thread in threads:
            thread.join(TIMEOUT)

        self.assertEqual(results, [('A', 'B')] * 8)

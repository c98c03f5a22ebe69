"""What Djblets 2.0 to 2.3.4 has in place of one of the module's methods.

It runs on Django 1.6 to 1.11, where the others have only 1.6 to 1.8.
"""

from __future__ import unicode_literals

from django.core.signals import request_finished


class ForwardingCacheBackend(object):
    """A cache backend that forwards everything to another one."""

    def _build_backend(self):
        """Returns a new backend for the current configuration."""
        from django.core import cache

        if hasattr(cache, 'caches'):
            # Django >= 1.7. Its list of caches is to have this one.
            backend = cache.CacheHandler()[self._cache_name]
            vars(cache.caches._caches).setdefault('caches', {})[
                self._cache_name] = backend
        else:
            # This is closed by its forwarder, not by the end of a request.
            backend = cache.get_cache(self._cache_name)
            request_finished.disconnect(backend.close)

        return backend

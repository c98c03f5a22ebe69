"""Real cache backends, with a hook in the constructor.

This is where a fault can be put exactly in the middle of a load.
"""

from __future__ import unicode_literals

import django

if django.VERSION >= (3, 2):
    from django.core.cache.backends.memcached import \
        PyMemcacheCache as MemcachedCache
else:
    from django.core.cache.backends.memcached import MemcachedCache


#: A function to call in the constructor of each backend, or None.
hook = None


class HookedMemcachedCache(MemcachedCache):
    """A memcached backend with a hook in its constructor."""

    def __init__(self, *args, **kwargs):
        """Initialize the backend.

        Args:
            *args (tuple):
                Positional arguments for the backend.

            **kwargs (dict):
                Keyword arguments for the backend.
        """
        super(HookedMemcachedCache, self).__init__(*args, **kwargs)

        if hook:
            hook()


if django.VERSION >= (4, 0):
    from django.core.cache.backends.redis import RedisCache

    class HookedRedisCache(RedisCache):
        """A Redis backend with a hook in its constructor."""

        def __init__(self, *args, **kwargs):
            """Initialize the backend.

            Args:
                *args (tuple):
                    Positional arguments for the backend.

                **kwargs (dict):
                    Keyword arguments for the backend.
            """
            super(HookedRedisCache, self).__init__(*args, **kwargs)

            if hook:
                hook()

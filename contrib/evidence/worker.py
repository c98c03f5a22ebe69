"""Measures one variant of the cache, and prints the values of each row.

This runs on the variant's Python, 2.7 or 3.
"""

from __future__ import print_function

import json
import sys
import time
import timeit


#: What is measured.
STATEMENTS = {
    'get': "cache.get('key')",
    'get through django.core.cache.cache': "proxy.get('key')",
    'reset and get': "reset(); cache.get('key')",
}

#: A value is of at least so many seconds.
SECONDS = 0.005


def configure(target, location, has_forwarder):
    """Configure Django for a target, with or without the forwarder."""
    import django
    from django.conf import settings

    backend = {
        'BACKEND': 'django.core.cache.backends.' + {
            'dummy': 'dummy.DummyCache',
            'locmem': 'locmem.LocMemCache',
            'memcached': ('memcached.PyMemcacheCache'
                          if django.VERSION >= (3, 2) else
                          'memcached.MemcachedCache'),
        }[target],
        'LOCATION': location,
    }
    forwarder = {
        'BACKEND': 'djblets.cache.forwarding_backend.ForwardingCacheBackend',
        'LOCATION': 'forwarded_backend',
    }
    settings.configure(CACHES={
        'default': forwarder if has_forwarder else backend,
        'forwarded_backend': backend,
    })


def main(target, location, path, num_values):
    """Measure all rows in turn, on a path with Djblets or none."""
    # The script's own directory has modules for another Python.
    sys.path[0] = path
    configure(target, location, path != '')

    from django.core import cache as django_cache

    # From Django 1.7 on, what's imported is a proxy of each thread's own.
    proxy = django_cache.cache
    cache = (django_cache.caches['default']
             if hasattr(django_cache, 'caches') else proxy)
    cache.set('key', 'value', 24 * 3600)

    # Without a forwarder, this is the least that a reset has to do. Statements
    # cost no call, and find what they use in this module.
    reset = cache.reset_backend if path else cache.close
    globals().update(proxy=proxy, cache=cache, reset=reset)

    # Time that others have the processor for counts where there's a server.
    clock = (timeit.default_timer if target == 'memcached' else
             time.process_time if hasattr(time, 'process_time') else
             time.clock)
    timers = dict(
        (name, timeit.Timer(statement,
                            'from __main__ import cache, proxy, reset', clock))
        for name, statement in STATEMENTS.items())
    values = dict((name, []) for name in timers)

    for _ in range(int(num_values)):
        for name in sorted(timers):
            number = 10
            taken = 0

            while taken < SECONDS:
                number *= 2
                taken = timers[name].timeit(number)

            values[name].append(taken / number)

    print(json.dumps(values))


if __name__ == '__main__':
    main(*sys.argv[1:])

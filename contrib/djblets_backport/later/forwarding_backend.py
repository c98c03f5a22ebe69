"""A cache backend that forwards to another backend, which can be replaced."""

import logging
import threading
import time

from django.core import cache


logger = logging.getLogger(__name__)


DEFAULT_FORWARD_CACHE_ALIAS = 'forwarded_backend'

# How soon an access tries again to load a backend that failed to load.
RETRY_SECS = 10

# How often each alias was reset in this process. Written under the lock.
_generations = {}
_generations_lock = threading.Lock()


class ForwardingCacheBackend(object):
    """A cache backend that forwards everything to another one."""

    def __init__(self, cache_name=DEFAULT_FORWARD_CACHE_ALIAS,
                 *args, **kwargs):
        """Initialize the backend, given the alias to forward to."""
        self._cache_name = cache_name
        self._failure = (None, 0)
        self._loaders = set()
        _generations.setdefault(cache_name, 0)

    @property
    def backend(self):
        """The backend that's forwarded to, loaded if need be."""
        return self._get_backend()

    def reset_backend(self):
        """Replace the backend that's forwarded to.

        Other threads and async contexts follow at their next use. If the new
        backend can't be loaded, that's logged, and the old one stays in use.
        """
        with _generations_lock:
            _generations[self._cache_name] += 1

        if self._find_backend() is not None:
            self._get_backend()

    def close(self, *args, **kwargs):
        """Close the backend, if it was loaded, with any arguments given."""
        if self._find_backend() is not None:
            self._find_backend().close(*args, **kwargs)

    def _find_backend(self):
        """Return what this thread or async context has loaded, if anything."""
        # Nothing public tells this of one alias without loading it.
        return getattr(cache.caches._connections, self._cache_name, None)

    def _get_backend(self):
        """Return the backend, loaded if need be."""
        # Noted before the settings are read, so that no reset is lost.
        generation = _generations[self._cache_name]
        backend = self._find_backend()

        if getattr(backend, '_forwarding_gen', None) != generation:
            backend = self._load_backend(backend, generation)

        return backend

    def _load_backend(self, old_backend, generation):
        """Load the backend, and return it, or the old one if that stays.

        There's no lock: each thread and async context has a backend of its
        own, which it closes once it's replaced. If the new one can't be
        loaded, that's tried again after another reset, or after a while.
        """
        if old_backend is None or generation == 0:
            # Without a reset, one that others have loaded is right, too.
            backend = cache.caches[self._cache_name]
            backend._forwarding_gen = generation
            return backend

        failed_gen, failed_time = self._failure
        has_failed = (generation == failed_gen and
                      time.monotonic() - failed_time < RETRY_SECS)

        # The constructor of the new one may be using this cache.
        if has_failed or threading.get_ident() in self._loaders:
            return old_backend

        try:
            self._loaders.add(threading.get_ident())
            backend = cache.caches.create_connection(self._cache_name)
        except Exception:
            logger.exception('Cannot load cache "%s"', self._cache_name)
            self._failure = (generation, time.monotonic())
            return old_backend
        finally:
            self._loaders.discard(threading.get_ident())

        backend._forwarding_gen = generation
        cache.caches[self._cache_name] = backend

        try:
            old_backend.close()
        except Exception:
            logger.exception('Cannot close cache "%s"', self._cache_name)

        return backend

    def __contains__(self, key):
        """Return whether a key is in the cache."""
        return key in self.backend

    def __getattr__(self, name):
        # Not through the property: it would hand its AttributeErrors to this.
        return getattr(self._get_backend(), name)

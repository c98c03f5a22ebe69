"""A cache backend that forwards to another backend, which can be replaced."""

from __future__ import unicode_literals

import logging
import threading
import time

from django.core.signals import request_finished


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
        """Initializes the backend.

        Args:
            cache_name (unicode, optional):
                The alias to forward to, which is set as ``LOCATION``.
        """
        self._cache_name = cache_name
        self._backend = None
        self._load_lock = threading.Lock()
        self._load_gen = None
        self._loader = None
        self._failure = (None, 0)
        _generations.setdefault(cache_name, 0)

    @property
    def backend(self):
        """The backend that's forwarded to, loaded if need be."""
        if self._load_gen != _generations[self._cache_name]:
            self._load_backend()

        return self._backend

    def reset_backend(self):
        """Replaces the backend that's forwarded to.

        All forwarding backends for the same alias follow at their next use.
        If the new backend can't be loaded, that's logged, and the old one
        stays in use.
        """
        with _generations_lock:
            _generations[self._cache_name] += 1

        self._load_backend(resetting=True)

    def close(self, *args, **kwargs):
        """Closes the backend, if it was loaded, with any arguments given."""
        if self._backend is not None:
            self._backend.close(*args, **kwargs)

    def _load_backend(self, resetting=False):
        """Loads the backend that's forwarded to.

        One thread loads at a time, unless the backend is of the current
        generation. Others go on with the old one, which is closed once it's
        replaced. If the new one can't be loaded, that's tried again after
        another reset, or after a while.
        """
        if self._loader is threading.current_thread():
            # The constructor of the new backend is using this cache.
            if self._backend is None and not resetting:
                raise RuntimeError('Cache "%s" uses itself' % self._cache_name)

            return

        must_wait = resetting or self._backend is None

        if not self._load_lock.acquire(must_wait):
            return

        try:
            self._loader = threading.current_thread()
            old_backend = self._backend

            # Noted before the settings are read, so that no reset is lost.
            generation = _generations[self._cache_name]

            if old_backend is None and resetting:
                # There's nothing to replace. The next access loads.
                return

            failed_gen, failed_time = self._failure
            has_failed = (generation == failed_gen and
                          abs(time.time() - failed_time) < RETRY_SECS)

            if generation == self._load_gen or has_failed:
                return

            try:
                self._backend = self._build_backend()
            except Exception:
                if old_backend is None:
                    raise

                logging.exception('Cannot load cache "%s"', self._cache_name)
                self._failure = (generation, time.time())
                return

            self._load_gen = generation
        finally:
            self._loader = None
            self._load_lock.release()

        if old_backend is not None:
            try:
                old_backend.close()
            except Exception:
                logging.exception('Cannot close cache "%s"', self._cache_name)

    def _build_backend(self):
        """Returns a new backend for the current configuration."""
        from django.core.cache import get_cache

        backend = get_cache(self._cache_name)

        # This is closed by its forwarder, and not by the end of a request.
        request_finished.disconnect(backend.close)

        return backend

    def __contains__(self, key):
        """Returns whether a key is in the cache."""
        return key in self.backend

    def __getattr__(self, name):
        if self._load_gen != _generations[self._cache_name]:
            self._load_backend()

        # Not through the property: it would hand its AttributeErrors to this.
        return getattr(self._backend, name)

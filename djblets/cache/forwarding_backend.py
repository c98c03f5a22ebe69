"""A cache backend that forwards to another backend, which can be replaced."""

from __future__ import unicode_literals

import logging
import threading

import django
from django.core.signals import request_finished


logger = logging.getLogger(__name__)


DEFAULT_FORWARD_CACHE_ALIAS = 'forwarded_backend'


# The generation of each alias: how often it was reset in this process. Resets
# count it up under the lock. A forwarder compares it, without a lock, with the
# one that it loaded its backend for, and loads again if that's another.
_generations = {}
_generations_lock = threading.Lock()


class ForwardingCacheBackend(object):
    """A cache backend that forwards everything to another one.

    Once that one's configuration is changed, ``reset_backend()`` replaces it.
    """

    def __init__(self, cache_name=DEFAULT_FORWARD_CACHE_ALIAS,
                 *args, **kwargs):
        """Initialize the backend.

        Args:
            cache_name (unicode, optional):
                The alias to forward to, which is set as ``LOCATION``.
        """
        self._cache_name = cache_name
        self._backend = None
        self._load_lock = threading.Lock()
        self._load_gen = None
        self._loader = None
        _generations.setdefault(cache_name, 0)

    @property
    def backend(self):
        """The backend that's forwarded to, loaded if need be."""
        if self._load_gen != _generations[self._cache_name]:
            self._load_backend()

        return self._backend

    def reset_backend(self):
        """Replace the backend, here and in all that forward to the same alias.

        If the new one can't be built, this is logged and the old one stays.
        """
        with _generations_lock:
            _generations[self._cache_name] += 1

        self._load_backend(resetting=True)

    def close(self, *args, **kwargs):
        """Close the backend, if it was loaded, with any arguments given."""
        if self._backend is not None:
            self._backend.close(*args, **kwargs)

    def _load_backend(self, resetting=False):
        """Load the backend, unless it's of the current generation."""
        if self._loader is threading.current_thread():
            # The constructor of the new backend is using this cache.
            if self._backend is None and not resetting:
                raise RuntimeError('Cache "%s" uses itself' % self._cache_name)

            return

        # Unlike a reset, an access goes on with the old backend if it can.
        if not self._load_lock.acquire(resetting or self._backend is None):
            return

        try:
            self._loader = threading.current_thread()

            # Noted before the settings are read, so that no reset is lost.
            generation = _generations[self._cache_name]

            if self._load_gen == generation or \
               (self._backend is None and resetting):
                return

            try:
                if self._backend is not None:
                    # Others go on with the old one, even if this one fails.
                    self._load_gen = generation

                old_backend = self._backend
                self._backend = self._build_backend()
            except BaseException as e:
                if self._backend is None or not isinstance(e, Exception):
                    # The next access has to try again.
                    self._load_gen = None
                    raise

                logger.exception('Cannot load cache "%s"', self._cache_name)
                return

            self._load_gen = generation
        finally:
            self._loader = None
            self._load_lock.release()

        if old_backend is not None:
            try:
                old_backend.close()
            except Exception:
                logger.exception('Cannot close cache "%s"', self._cache_name)

    def _build_backend(self):
        """Return a new backend for the current configuration."""
        from django.core import cache

        if django.VERSION >= (3, 2):
            handler = cache.CacheHandler()

            # Indexing is only for its error: the thread keeps what it gives.
            if self._cache_name in handler:
                return handler.create_connection(self._cache_name)

            return handler[self._cache_name]
        elif django.VERSION >= (1, 7):
            return cache.CacheHandler()[self._cache_name]

        backend = cache.get_cache(self._cache_name)

        # This is closed by its forwarder, and not by the end of a request.
        request_finished.disconnect(backend.close)

        return backend

    def __contains__(self, key):
        """Return whether a key is in the cache."""
        return key in self.backend

    def __getattr__(self, name):
        """Return an attribute of the backend."""
        if self._load_gen != _generations[self._cache_name]:
            self._load_backend()

        return getattr(self._backend, name)

"""A cache backend that forwards to another, swappable cache backend.

Each forwarder owns one *target*: the real backend, which it forwards to. This
is how the target can be replaced while other threads are using it:

1. A reset gives its alias a new *request number*, for the whole process.
   Numbers are unique and only ever compared for equality, so that handing one
   out takes no lock.

2. A load holds its owner's lock. It notes the request number and *then* reads
   the settings. It builds a target from those, publishes it along with what
   it noted, and releases the lock. Only then does it close the target that
   was replaced. A load that fails publishes nothing and closes nothing.

3. A reset waits for the lock. If by then the published target was loaded for
   what a new load would note, there's nothing left to do. Otherwise it loads.
   Resets that come together thereby cost two loads at most, and none is lost.

4. An access compares, without a lock, what its owner last saw with the alias's
   *news*, an object that's replaced whenever owners should look again. An
   owner that's behind loads, unless another thread is loading already. In that
   case it goes on with the target it has.

From Django 1.7 on, Django makes a forwarder for every thread (or async
context), so that each one has a target of its own. On Django 1.6, threads that
share a forwarder share its target.

A configuration can also be changed without a reset. An entry that's replaced
in ``settings.CACHES`` is noticed at the next access, and any other change when
the next request starts.
"""

from __future__ import unicode_literals

import itertools
import logging
import os
import sys
import threading

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.core.signals import request_started


logger = logging.getLogger(__name__)


DEFAULT_FORWARD_CACHE_ALIAS = 'forwarded_backend'


# What's known of each alias in this process. Single operations on these
# dictionaries are atomic, which is all that's relied on.
_request_numbers = itertools.count(1)
_requested = {}
_news = {}
_logged = {}


def _snapshot(value):
    """Return a copy of a configuration that later edits won't reach.

    Anything other than a dictionary or list is kept as it is. A copy of it
    might not be equal to it.
    """
    if isinstance(value, dict):
        return dict((key, _snapshot(item))
                    for key, item in dict(value).items())
    elif isinstance(value, list):
        return [_snapshot(item) for item in value]

    return value


def _look_again(**kwargs):
    """Have owners look again if a configuration was changed without a reset.

    This receives the ``request_started`` signal.
    """
    for alias, news in list(_news.items()):
        config = settings.CACHES.get(alias)

        if config != news:
            _news[alias] = _snapshot(config)


request_started.connect(
    _look_again,
    dispatch_uid='djblets.cache.forwarding_backend._look_again')


def _close(backend, alias):
    """Close a backend that's out of use, logging any error."""
    try:
        backend.close()
    except Exception:
        logger.exception('Error closing the replaced backend of the cache '
                         'alias "%s"',
                         alias)


def _drop_django_backend(alias):
    """Drop what Django's ``caches[alias]`` is in this thread, if it's made."""
    try:
        from django.core.cache import caches
    except ImportError:
        # Django < 1.7 doesn't keep any backends.
        return

    if hasattr(caches, '_connections'):
        # Django >= 3.2 keeps settings.CACHES as well, which may be another
        # dictionary by now. This is what its own setting_changed handler does.
        caches._settings = caches.settings = caches.configure_settings(None)
        backend = getattr(caches._connections, alias, None)

        if backend is not None:
            del caches[alias]
    else:
        backend = getattr(caches._caches, 'caches', {}).pop(alias, None)

    if backend is not None:
        _close(backend, alias)


def _get_backend_class(alias, config):
    """Return the class in a configuration, or raise Django's own error."""
    # django.core.cache needs settings, and may itself be importing us.
    from django.core.cache import InvalidCacheBackendError

    try:
        from django.utils.module_loading import import_string
    except ImportError:
        # Django < 1.7.
        from django.utils.module_loading import import_by_path as import_string

    if not config or 'BACKEND' not in config:
        raise InvalidCacheBackendError(
            "Could not find a BACKEND for the cache alias '%s' in "
            "settings.CACHES"
            % alias)

    try:
        return import_string(config['BACKEND'])
    except (ImportError, ImproperlyConfigured) as e:
        raise InvalidCacheBackendError(
            "Could not find backend '%s' for the cache alias '%s': %s"
            % (config['BACKEND'], alias, e))


def _build_backend(alias, config, overrides):
    """Return a new backend for an alias.

    ``overrides`` has the options that take precedence over the alias's own.
    """
    backend_cls = cls = _get_backend_class(alias, config)
    params = _snapshot(config)
    params.pop('BACKEND')
    location = params.pop('LOCATION', '')

    # A forwarder may forward to another one. Make sure that this ends.
    chain = [alias]

    while isinstance(cls, type) and issubclass(cls, ForwardingCacheBackend):
        alias = config.get('LOCATION') or DEFAULT_FORWARD_CACHE_ALIAS
        chain.append(alias)

        if alias in chain[:-1]:
            raise ImproperlyConfigured(
                "The cache alias '%s' forwards to itself: %s"
                % (alias, ' -> '.join(chain)))

        config = settings.CACHES.get(alias)
        cls = _get_backend_class(alias, config)

    # Django prefers some options in lowercase, to the same in uppercase or in
    # OPTIONS. An override has to win over all of its spellings.
    options = dict(params.get('OPTIONS') or {})
    options.update(overrides.get('OPTIONS') or {})
    overridden = set(key.lower() for key in overrides)
    overridden.update(key.lower() for key in overrides.get('OPTIONS') or {}
                      if key in ('MAX_ENTRIES', 'CULL_FREQUENCY'))
    params = dict((key, value) for key, value in params.items()
                  if key.lower() not in overridden)
    params.update(overrides)

    if options:
        params['OPTIONS'] = options

    return backend_cls(location, params)


class _Owner(object):
    """The owner of a target, which loads it as told in the protocol."""

    def __init__(self, alias, overrides):
        self.alias = alias
        self.overrides = overrides
        self.target = None

        # The request numbers and configurations that the target was loaded
        # for, and that a load was last tried for.
        self.loaded = None
        self.tried = None

        # What was last seen. This is no news to begin with.
        self.news = self
        self.caches = {}
        self.entry = None

        # A lock for this process, and for each one that's forked from it.
        # Another thread may have held the lock in the parent process.
        self.locks = {}

        # What a failing load leaves to those who are waiting for it.
        self.failure = []

        # Attributes that were set or deleted, for the targets to come.
        self.changes = {}

        _news.setdefault(alias, object())

    def get_target(self):
        """Return the target, after loading it if that's called for."""
        news = _news[self.alias]
        caches = settings.CACHES
        entry = caches.get(self.alias)
        wanted = (_requested.get(self.alias), entry)

        if self.target is None:
            self.load()
        elif wanted != self.tried:
            try:
                self.load(wait=False)
            except Exception:
                # This was logged. We have a target to go on with.
                pass

        if wanted == self.tried:
            self.news, self.caches, self.entry = news, caches, entry

        return self.target

    def load(self, wait=True):
        """Load a target, unless there's one that's just what's wanted.

        Any error in building it is raised, also for those who waited.
        """
        if self.is_loading():
            # We're in the constructor of a target, or else in a signal handler
            # or a finalizer that interrupts a load. Waiting would be forever.
            if self.target is None:
                raise ImproperlyConfigured(
                    "The cache alias '%s' was used by the thread that is "
                    "building its backend"
                    % self.alias)

            return

        lock = self.locks.setdefault(os.getpid(), threading.Lock())
        failure = self.failure
        replaced = None

        try:
            if wait:
                with lock:
                    replaced = self.load_wanted(failure)
            elif lock.acquire(False):
                try:
                    replaced = self.load_wanted(failure)
                finally:
                    lock.release()
        finally:
            # An error that's in there would keep this frame, and so itself.
            failure = None

        if replaced is not None:
            _close(replaced, self.alias)

    def is_loading(self):
        """Return whether the caller's caller is called by a load of the alias.

        The stack tells, so that there's nothing to take back after a load,
        which an interrupt might prevent.
        """
        frame = sys._getframe(2)

        while frame is not None:
            if (frame.f_code is _LOAD_CODE and
                    frame.f_locals['self'].alias == self.alias):
                return True

            frame = frame.f_back

        return False

    def load_wanted(self, failure):
        """Load what's wanted, with the lock held, unless that's been done.

        This returns the target that was replaced, if any.
        """
        wanted = (_requested.get(self.alias),
                  _snapshot(settings.CACHES.get(self.alias)))

        if failure and failure[0] == wanted:
            raise failure[1]
        elif self.target is not None and self.loaded == wanted:
            return None

        return self.replace_target(wanted)

    def replace_target(self, wanted):
        """Publish a new target, and return the one that it replaced."""
        config = wanted[1]

        if _news[self.alias] != config:
            # Other owners have to see this configuration, and this one has to
            # look again if it's changed back.
            _news[self.alias] = config

        try:
            target = _build_backend(self.alias, config, self.overrides)
        except Exception as e:
            self.tried = wanted
            self.failure.extend((wanted, e))
            self.failure = []

            if _logged.get(self.alias) != wanted:
                _logged[self.alias] = wanted
                logger.exception('Error loading the backend of the cache '
                                 'alias "%s"',
                                 self.alias)

            raise

        self.apply_changes(target)
        replaced, self.target = self.target, target
        self.loaded = self.tried = wanted

        # A change that came too late for the above might have been made to
        # the old target. Any later one is made to the new target.
        self.apply_changes(target)

        return replaced

    def change(self, name, func, *args):
        """Set or delete an attribute on the target, and on those to come."""
        target = self.get_target()
        func(target, name, *args)
        self.changes[name] = (func, args)

        if self.target is not target:
            self.apply_changes(self.target)

    def apply_changes(self, target):
        """Set or delete all changed attributes on a target."""
        for name, (func, args) in list(self.changes.items()):
            try:
                func(target, name, *args)
            except AttributeError:
                # This target is of another class, which doesn't have it.
                pass


_LOAD_CODE = _Owner.load.__code__


class ForwardingCacheBackend(object):
    """A cache backend that forwards to another, swappable cache backend.

    The backend that's forwarded to is configured by the alias in ``LOCATION``,
    or ``settings.CACHES['forwarded_backend']`` by default. It's loaded when
    first used, and replaced by :py:meth:`reset_backend`, or when that
    configuration is changed, without restarting the server.

    Options that are set for this backend, rather than for the one that's
    forwarded to, take precedence.
    """

    _forwarding_owner = None

    def __init__(self, cache_name=DEFAULT_FORWARD_CACHE_ALIAS, *args,
                 **kwargs):
        """Initialize the backend, without loading the one to forward to.

        Args:
            cache_name (unicode, optional):
                The alias of the cache to forward to.

            *args (tuple):
                The parameters from Django, as a dictionary.

            **kwargs (dict):
                Further parameters.
        """
        overrides = dict(kwargs)

        for arg in args:
            if isinstance(arg, dict):
                overrides.update(arg)

        self.__dict__['_forwarding_owner'] = _Owner(
            cache_name or DEFAULT_FORWARD_CACHE_ALIAS, overrides)

    def _forward(name):
        """Return a property for what every request uses.

        ``__getattr__`` forwards everything, but takes Python a lot longer to
        get to. It's where a backend is loaded. A property leaves that to it by
        raising AttributeError. So if a constructor raises one, it comes out.
        """
        @property
        def forward(self):
            owner = self._forwarding_owner
            alias = owner.alias

            try:
                if (_news[alias] is owner.news and
                        owner.caches[alias] is owner.entry):
                    return getattr(owner.target, name)
            except KeyError:
                # The alias is no longer in settings.CACHES.
                pass

            raise AttributeError(name)

        return forward

    add = _forward(str('add'))
    decr = _forward(str('decr'))
    delete = _forward(str('delete'))
    delete_many = _forward(str('delete_many'))
    get = _forward(str('get'))
    get_many = _forward(str('get_many'))
    has_key = _forward(str('has_key'))
    incr = _forward(str('incr'))
    set = _forward(str('set'))
    set_many = _forward(str('set_many'))

    del _forward

    @property
    def backend(self):
        """The backend that's forwarded to."""
        owner = self._forwarding_owner

        if (_news[owner.alias] is owner.news and
                owner.caches.get(owner.alias) is owner.entry):
            return owner.target

        raise AttributeError('backend')

    @property
    def __class__(self):
        """The class of the backend that's forwarded to, for isinstance()."""
        return self.backend.__class__

    def reset_backend(self):
        """Replace the backend with one for the current configuration.

        All that forward to the same alias in this process do likewise, at
        their next access.

        Raises:
            Exception:
                The backend could not be built. This was logged, and the old
                one stays in use.
        """
        owner = self._forwarding_owner
        _requested[owner.alias] = next(_request_numbers)
        _news[owner.alias] = object()

        owner.load()
        _drop_django_backend(owner.alias)

    def close(self, *args, **kwargs):
        """Close the backend, if it was ever loaded.

        Args:
            *args (tuple):
                Positional arguments for the backend.

            **kwargs (dict):
                Keyword arguments for the backend, such as the ones of the
                ``request_finished`` signal.
        """
        target = self._forwarding_owner.target

        if target is not None:
            target.close(*args, **kwargs)

    def __contains__(self, key):
        """Return whether a key is in the cache.

        Args:
            key (unicode):
                The key to look for.

        Returns:
            bool:
            ``True`` if the key is in the cache.
        """
        return key in self.backend

    def __getattr__(self, name):
        """Return an attribute of the backend.

        Args:
            name (unicode):
                The name of the attribute.

        Returns:
            object:
            The value of the attribute.

        Raises:
            Exception:
                The backend could not be built, and there's no older one.
        """
        if name == 'backend':
            return self._forwarding_owner.get_target()

        return getattr(self.backend, name)

    def __setattr__(self, name, value):
        """Set an attribute on the backend, and on those that replace it.

        Args:
            name (unicode):
                The name of the attribute.

            value (object):
                The new value.
        """
        self._forwarding_owner.change(name, setattr, value)

    def __delattr__(self, name):
        """Delete an attribute on the backend, and on those that replace it.

        Args:
            name (unicode):
                The name of the attribute.
        """
        self._forwarding_owner.change(name, delattr)

    def __dir__(self):
        """Return the names of the attributes of this and of the backend.

        Returns:
            list of unicode:
            The names.
        """
        return sorted(set(dir(type(self))) | set(dir(self.backend)))

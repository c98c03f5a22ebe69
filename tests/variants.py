"""Broken variants of the two fixed modules, each with one step of it wrong.

They show that the tests would find out. What is run on them is the regression
tests, by runtests.py, and the exploration of schedules, by schedules/.
"""

from __future__ import unicode_literals

import collections


#: A variant: what's wrong with it, the release it's made of, the texts to
#: replace in the module, and the scenarios of schedules/ that find it. If
#: there's none, some of the regression tests have to.
Variant = collections.namedtuple(
    'Variant', 'name problem release changes caught_by')


#: The variants of the module for Django up to 1.11.
VARIANTS = [
    Variant(
        'no-load-lock', 'Two threads may load at once.', '0.8.13',
        [('if not self._load_lock.acquire(must_wait)', 'if False'),
         ('            self._load_lock.release()\n', '')],
        ['resets', 'first-accesses', 'close-and-reset']),

    Variant(
        'generation-noted-after-build',
        'A reset that comes in the middle of a load counts as loaded.',
        '0.8.13',
        [('            self._load_gen = generation\n',
          '            self._load_gen = _generations[self._cache_name]\n')],
        ['resets', 'first-access-and-reset', 'access-in-load',
         'resets-of-forwarders', 'access-and-two-resets']),

    Variant(
        'generation-published-before-build',
        'It is published with no new backend in place.', '0.8.13',
        [('            try:\n                self._backend = self._build',
          '            self._load_gen = generation\n\n'
          '            try:\n                self._backend = self._build')],
        ['first-accesses', 'failing-first-access', 'interrupted-reset',
         'interrupted-first-access', 'three-first-accesses']),

    Variant(
        'old-closed-before-replaced',
        'An access may have a backend that is closed already.', '0.8.13',
        [('                self._backend = self._build_backend()\n',
          '                backend = self._build_backend()\n\n'
          '                if old_backend is not None:\n'
          '                    old_backend.close()\n\n'
          '                self._backend = backend\n'
          '                old_backend = None\n')],
        ['access-and-reset', 'access-and-same-reset']),

    Variant(
        'old-never-closed', 'Replaced backends are left open.', '0.8.13',
        [('old_backend.close()', 'pass')],
        ['close-and-reset', 'forwarders']),

    Variant(
        'waiters-load-again', 'Who waited for a load loads the same again.',
        '0.8.13',
        [('if generation == self._load_gen or has_failed', 'if has_failed')],
        ['first-accesses', 'access-and-reset']),

    Variant(
        'no-count', 'Resets are not counted.', '0.8.13',
        [('_generations[self._cache_name] += 1', 'pass')],
        ['access-and-same-reset', 'forwarders']),

    # This is one line of Python, so it takes a thread that's stopped within
    # it, as the schedules do on Python 3.7 and newer.
    Variant(
        'count-without-lock', 'Two resets may count as one.', '2.3.4',
        [('with _generations_lock', 'if True')],
        ['reset-and-two-resets']),

    Variant(
        'reset-does-not-load', 'Loading is left to the next access.', '0.8.13',
        [('self._load_backend(resetting=True)', 'pass')],
        ['access-and-reset']),

    Variant(
        'reset-does-not-wait',
        'A reset may return while an older load is under way.', '0.8.13',
        [('must_wait = resetting or self._backend is None',
          'must_wait = self._backend is None')],
        ['access-and-reset', 'resets']),

    Variant(
        'access-waits', 'An access waits while another thread loads.',
        '0.8.13',
        [('must_wait = resetting or self._backend is None',
          'must_wait = True')],
        ['access-and-reset']),

    Variant(
        'failure-raised', 'A broken configuration is an error of resets.',
        '0.8.13',
        [('                if old_backend is None:\n                    raise',
          '                if True:\n                    raise')],
        ['failing-reset-and-access', 'failing-reset-and-reset']),

    Variant(
        'failure-tried-at-each-access', 'Every access tries to load again.',
        '0.8.13',
        [('self._failure = (generation, time.time())', 'pass')],
        ['failing-reset-and-access']),

    Variant(
        'failure-never-tried-again', 'A failure that passes stays for good.',
        '0.8.13',
        [('abs(time.time() - failed_time) < RETRY_SECS', 'True')], []),

    Variant(
        'failure-of-any-generation', 'Another reset has to wait as well.',
        '0.8.13',
        [('generation == failed_gen and', 'failed_gen is not None and')],
        ['failing-reset-and-reset']),

    Variant(
        'interrupt-logged', 'An interrupt counts as a failure.', '0.8.13',
        [('except Exception:\n                if old',
          'except BaseException:\n                if old')],
        ['interrupted-reset']),

    Variant(
        'loader-not-known', 'A constructor that uses the cache waits for '
        'itself.', '0.8.13',
        [('if self._loader is threading.current_thread():', 'if False:')],
        ['access-in-first-load', 'reset-in-load']),

    Variant(
        'receiver-left', 'On Django 1.6, backends are closed by requests too.',
        '0.8.13',
        [('        request_finished.disconnect(backend.close)\n', '')], []),

    Variant(
        'not-in-caches', 'caches.all() does not find the backend.', '2.3.4',
        [('vars(cache.caches._caches).setdefault', '{}.setdefault')], []),

    Variant(
        'close-loads', 'Closing loads a backend first.', '0.8.13',
        [('if self._backend is not None:\n            self._backend.close',
          'if True:\n            self.backend.close')], []),

    Variant(
        'truth-test', 'A backend with a length of 0 is loaded at each access.',
        '0.8.13',
        [('if generation == self._load_gen or',
          'if generation == self._load_gen and self._backend or'),
         (':\n            self._load_backend()\n\n'
          '        return self._backend\n',
          ' or not self._backend:\n            self._load_backend()\n\n'
          '        return self._backend\n'),
         (':\n            self._load_backend()\n\n        # Not through',
          ' or not self._backend:\n            self._load_backend()\n\n'
          '        # Not through')],
        []),

    Variant(
        'attribute-through-property',
        'An AttributeError in a constructor recurses.', '0.8.13',
        [('            self._load_backend()\n\n        # Not through',
          '            pass\n\n        # Not through'),
         ('getattr(self._backend, name)', 'getattr(self.backend, name)')], []),
]

#: The variants of the module for Django 3.2 and newer.
LATER_VARIANTS = [
    Variant(
        'later-generation-noted-after-build',
        'A reset that comes in the middle of a load counts as loaded.', '6.1',
        [('        backend._forwarding_gen = generation\n        cache',
          '        backend._forwarding_gen = _generations[self._cache_name]\n'
          '        cache'),
         ('            backend._forwarding_gen = generation\n',
          '            backend._forwarding_gen = '
          '_generations[self._cache_name]\n')],
        ['own-resets', 'first-access-and-reset', 'shared-resets',
         'reset-in-load', 'access-and-two-resets']),

    Variant(
        'later-old-marked-before-build',
        'A backend that others share counts as loaded again.', '6.1',
        [('            self._loaders.add(',
          '            old_backend._forwarding_gen = generation\n'
          '            self._loaders.add(')],
        ['shared-access-and-reset', 'interrupted-reset']),

    Variant(
        'later-shared-by-threads', 'All threads have the same backend.', '6.1',
        [('getattr(cache.caches._connections, self._cache_name, None)',
          '_generations.get((self._cache_name,))'),
         ('            backend._forwarding_gen = generation\n',
          '            backend._forwarding_gen = generation\n'
          '            _generations[(self._cache_name,)] = backend\n'),
         ('        cache.caches[self._cache_name] = backend\n',
          '        cache.caches[self._cache_name] = backend\n'
          '        _generations[(self._cache_name,)] = backend\n')],
        ['own-access-and-reset']),

    Variant(
        'later-not-in-caches', 'The new backend is kept nowhere.', '6.1',
        [('        cache.caches[self._cache_name] = backend\n', '')],
        ['own-access-and-reset']),

    Variant(
        'later-unmarked-is-current',
        'What others have loaded before a reset counts as loaded after it.',
        '6.1',
        [("if getattr(backend, '_forwarding_gen', None) != generation:",
          "if backend is None or getattr(\n                backend, "
          "'_forwarding_gen', generation) != generation:")],
        []),

    Variant(
        'later-old-closed-before-replaced',
        'An access may have a backend that is closed already.', '6.1',
        [('        backend._forwarding_gen = generation\n        cache',
          '        old_backend.close()\n'
          '        backend._forwarding_gen = generation\n        cache'),
         ('            old_backend.close()\n', '            pass\n')],
        []),

    Variant(
        'later-old-never-closed', 'Replaced backends are left open.', '6.1',
        [('old_backend.close()', 'pass')],
        ['own-access-and-reset', 'close-and-reset']),

    Variant(
        'later-no-count', 'Resets are not counted.', '6.1',
        [('_generations[self._cache_name] += 1', 'pass')],
        ['own-access-and-reset']),

    Variant(
        'later-count-without-lock', 'Two resets may count as one.', '6.1',
        [('with _generations_lock', 'if True')],
        ['reset-and-two-resets']),

    Variant(
        'later-reset-does-not-load', 'Loading is left to the next access.',
        '6.1',
        [('        if self._find_backend() is not None:\n'
          '            self._get_backend()\n', '')],
        []),

    Variant(
        'later-failure-raised', 'A broken configuration is an error of '
        'resets.', '6.1',
        [('            return old_backend\n        finally',
          '            raise\n        finally')],
        ['failing-reset-and-access', 'failing-reset-and-reset']),

    Variant(
        'later-failure-tried-at-each-access',
        'Every access tries to load again.', '6.1',
        [('            self._failure = (generation, time.monotonic())\n', '')],
        ['failing-reset-and-access']),

    Variant(
        'later-failure-never-tried-again',
        'A failure that passes stays for good.', '6.1',
        [('time.monotonic() - failed_time < RETRY_SECS', 'True')], []),

    Variant(
        'later-failure-of-any-generation',
        'Another reset has to wait as well.', '6.1',
        [('generation == failed_gen and', 'failed_gen is not None and')],
        ['failing-reset-and-reset']),

    Variant(
        'later-interrupt-logged', 'An interrupt counts as a failure.', '6.1',
        [('except Exception:\n            logger.exception(\'Cannot load',
          'except BaseException:\n            logger.exception(\'Cannot load')
         ],
        ['interrupted-reset']),

    Variant(
        'later-loader-not-known',
        'A constructor that uses the cache loads another backend.', '6.1',
        [(' or threading.get_ident() in self._loaders', '')],
        ['access-in-load']),

    Variant(
        'later-alias-searched',
        'A load fails if another thread adds an alias meanwhile.', '6.1',
        [('cache.caches.create_connection(self._cache_name)',
          'cache.caches.create_connection(\n                '
          '[name for name in cache.caches if name == self._cache_name][0])')],
        []),

    Variant(
        'later-close-loads', 'Closing loads a backend first.', '6.1',
        [('self._find_backend().close(', 'self.backend.close('),
         ('if self._find_backend() is not None:\n            self.backend',
          'if True:\n            self.backend')], []),

    Variant(
        'later-truth-test', 'A backend with a length of 0 is not replaced.',
        '6.1',
        [('if old_backend is None or', 'if not old_backend or')], []),

    Variant(
        'later-attribute-through-property',
        'An AttributeError in a constructor recurses.', '6.1',
        [('getattr(self._get_backend(), name)',
          'getattr(self.backend, name)')], []),
]


def apply(name, source):
    """Return the variant of that name of a fixed module, given its source."""
    variant, = (variant for variant in VARIANTS + LATER_VARIANTS
                if variant.name == name)

    for old, new in variant.changes:
        if source.count(old) != 1:
            raise ValueError('The variant %s replaces a text that is in the '
                             'module %d times, not once: %s'
                             % (name, source.count(old), old.strip()))

        source = source.replace(old, new)

    return source

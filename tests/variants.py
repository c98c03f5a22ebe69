"""Broken variants of the fixed module, each with one step of it wrong.

They show that the tests would find out. What is run on them is the regression
tests, by runtests.py, and the exploration of schedules, by schedules/.
"""

from __future__ import unicode_literals

import collections
import sys


#: A variant: what's wrong with it, the texts to replace in the module, and the
#: scenarios of schedules/ that find it. controls.tsv has the regression tests
#: that do. Only those find the last ones.
Variant = collections.namedtuple('Variant', 'name problem changes caught_by')


class VariantError(Exception):
    """A variant can't be made of a module, and the message says why."""


VARIANTS = [
    Variant(
        'no-load-lock', 'Two threads may load at once.',
        [('if not self._load_lock.acquire(resetting or self._backend is None)',
          'if False'),
         ('            self._load_lock.release()\n', '')],
        ['resets', 'reset-and-two-resets', 'first-accesses',
         'close-and-reset']),

    Variant(
        'generation-noted-after-settings',
        'A reset that comes once the settings were read counts as loaded.',
        [('            generation = _generations[self._cache_name]\n',
          '            from django.conf import settings\n'
          '            params = dict(settings.CACHES.get('
          'self._cache_name, {}))\n'
          '            generation = _generations[self._cache_name]\n'),
         ('                self._backend = self._build_backend()\n',
          '                import importlib\n\n'
          '                try:\n'
          '                    path = params.pop("BACKEND").rsplit(".", 1)\n'
          '                    module = importlib.import_module(path[0])\n'
          '                except (ImportError, KeyError):\n'
          '                    return self._build_backend()\n\n'
          '                self._backend = getattr(module, path[1])(\n'
          '                    params.pop("LOCATION", ""), params)\n')],
        ['resets', 'first-access-and-reset']),

    Variant(
        'generation-noted-after-build',
        'A reset that comes in the middle of a load counts as loaded.',
        [('            self._load_gen = generation\n        finally:\n',
          '            self._load_gen = _generations[self._cache_name]\n'
          '        finally:\n')],
        ['resets', 'access-in-load', 'reset-in-load', 'resets-of-forwarders',
         'access-and-two-resets']),

    Variant(
        'generation-published-before-first-load',
        'It is published with no backend in place, and never taken back.',
        [('                if self._backend is not None:\n',
          '                if True:\n'),
         ('                    self._load_gen = None\n', '')],
        ['first-accesses', 'failing-first-access', 'interrupted-first-access',
         'three-first-accesses']),

    Variant(
        'old-closed-before-published',
        'An access may have a backend that is closed already.',
        [('                old_backend = self._backend\n'
          '                self._backend = self._build_backend()\n',
          '                backend = self._build_backend()\n'
          '                old_backend = None\n\n'
          '                if self._backend is not None:\n'
          '                    self._backend.close()\n\n'
          '                self._backend = backend\n')],
        ['access-and-reset', 'access-and-same-reset']),

    Variant(
        'old-never-closed', 'Replaced backends are left open.',
        [('old_backend.close()', 'pass')],
        ['close-and-reset', 'forwarders']),

    Variant(
        'waiters-load-again', 'Who waited for a load loads the same again.',
        [('self._load_gen == generation or', 'False or')],
        ['first-accesses', 'access-and-reset']),

    Variant(
        'waiters-never-load',
        'A reset that waited takes what the older load has loaded.',
        [('        if not self._load_lock.acquire(resetting or '
          'self._backend is None):\n',
          '        if not self._load_lock.acquire(False):\n'
          '            if resetting or self._backend is None:\n'
          '                with self._load_lock:\n'
          '                    self._load_gen = '
          '_generations[self._cache_name]\n\n')],
        ['resets', 'first-access-and-reset']),

    Variant(
        'no-count', 'Resets are not counted.',
        [('_generations[self._cache_name] += 1', 'pass')],
        ['access-and-same-reset', 'forwarders']),

    # This is one line of Python, so it takes a thread that's stopped within
    # it: the one scenario in which threads are, on Python 3.7 and newer.
    Variant(
        'count-without-lock', 'Two resets may count as one.',
        [('with _generations_lock', 'if True')],
        ['reset-and-two-resets'] * (sys.version_info >= (3, 7))),

    Variant(
        'reset-does-not-load', 'Loading is left to the next access.',
        [('self._load_backend(resetting=True)', 'pass')],
        ['access-and-reset']),

    Variant(
        'reset-does-not-wait',
        'A reset may return while an older load is under way.',
        [('acquire(resetting or self._backend is None)',
          'acquire(self._backend is None)')],
        ['access-and-reset', 'resets']),

    Variant(
        'access-waits', 'An access waits while another thread loads.',
        [('acquire(resetting or self._backend is None)', 'acquire()')],
        ['access-and-reset']),

    Variant(
        'failure-raised', 'A broken configuration is an error of resets.',
        [(', self._cache_name)\n                return\n',
          ', self._cache_name)\n                raise\n')],
        ['failing-reset-and-access', 'failing-reset-and-reset']),

    Variant(
        'failure-retried', 'Every access tries to load a broken backend.',
        [(', self._cache_name)\n                return\n',
          ', self._cache_name)\n                self._load_gen = None\n'
          '                return\n')],
        ['failing-reset-and-access']),

    Variant(
        'interrupt-not-taken-back', 'An interrupted reset counts as loaded.',
        [('                    self._load_gen = None\n', '')],
        ['interrupted-reset']),

    Variant(
        'plain-lock', 'A constructor that uses the cache waits for itself.',
        [('if self._loader is threading.current_thread():', 'if False:')],
        ['access-in-first-load', 'reset-in-load']),

    Variant(
        'handler-indexed', "The thread's context keeps replaced backends.",
        [('if self._cache_name in handler:', 'if False:')],
        []),

    Variant(
        'receiver-left', 'On Django 1.6, backends are closed by requests too.',
        [('        request_finished.disconnect(backend.close)\n', '')],
        []),

    Variant(
        'truth-test', 'A backend with a length of 0 is loaded at each access.',
        [('self._load_gen == generation or',
          '(self._load_gen == generation and self._backend) or'),
         (':\n            self._load_backend()\n\n'
          '        return self._backend\n',
          ' or not self._backend:\n            self._load_backend()\n\n'
          '        return self._backend\n'),
         (':\n            self._load_backend()\n\n'
          '        return getattr(self._backend, name)\n',
          ' or not self._backend:\n            self._load_backend()\n\n'
          '        return getattr(self._backend, name)\n')],
        []),
]


def apply(name, source):
    """Return a variant of the fixed module.

    Args:
        name (unicode):
            The name of the variant.

        source (unicode):
            The module, as patched into any release.

    Returns:
        unicode:
        The module of the variant.

    Raises:
        VariantError:
            A text to be replaced isn't in the module exactly once, or there
            is no such variant.
    """
    variants = {variant.name: variant for variant in VARIANTS}

    if name not in variants:
        raise VariantError('There is no variant %s. There are: %s.'
                           % (name, ', '.join(sorted(variants))))

    for old, new in variants[name].changes:
        if source.count(old) != 1:
            raise VariantError('The variant %s replaces a text that is in '
                               'the module %d times, not once: %s'
                               % (name, source.count(old), old.strip()))

        source = source.replace(old, new)

    return source

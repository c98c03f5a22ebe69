"""Broken variants of the fixed module, for tests that pass without the fix.

Those tests are about what has always worked. Each of these variants breaks
that in one way, so that the test is seen to fail.
"""

import collections
import os

from running.trees import BUILD_DIR, MODULE, make_patched_tree


#: The release to run these with, and the environment. It's one in which none
#: of the tests is skipped.
VERSION = '6.1'
ENVIRONMENT = 'py311-django42'


#: The test that has to fail, and what to replace in the module.
Mutant = collections.namedtuple('Mutant', ('test', 'replacements'))


MUTANTS = (
    Mutant('AccessTests.test_default_alias', [
        ("= 'forwarded_backend'", "= 'default'"),
    ]),
    Mutant('AccessTests.test_contains', [
        ('return key in self.backend', 'return True'),
    ]),
    Mutant('AccessTests.test_close', [
        ('target.close(*args, **kwargs)', 'target.close()'),
    ]),
    Mutant('AccessTests.test_with_real_backend', [
        ("incr = _forward(str('incr'))", "incr = _forward(str('decr'))"),
    ]),
    Mutant('AccessTests.test_setattr_with_method', [
        ('self._forwarding_owner.change(name, setattr, value)',
         'self.__dict__[name] = value'),
    ]),
    Mutant('AccessTests.test_with_short_lived_forwarders', [
        ('_news.setdefault(alias, object())',
         '_news.setdefault(alias, object())\n'
         '        _logged.setdefault(None, []).append(self)'),
    ]),
    Mutant('ConfigurationTests.test_with_equal_entry', [
        ('elif wanted != self.tried:', 'elif entry is not self.entry:'),
        ('self.target is not None and self.loaded == wanted', 'False'),
    ]),
    Mutant('ConfigurationTests.test_with_override_settings', [
        ('_snapshot(settings.CACHES.get(self.alias))',
         '_logged.setdefault(("first", self.alias),\n'
         '            _snapshot(settings.CACHES.get(self.alias)))'),
    ]),
    Mutant('FailureTests.test_with_attribute_error_in_property', [
        ('        return getattr(self.backend, name)\n',
         '        try:\n'
         '            return getattr(self.backend, name)\n'
         '        except AttributeError:\n'
         '            return getattr(self.backend, name)\n'),
    ]),
    Mutant('ResetTests.test_with_other_alias', [
        ('_requested[owner.alias] = next(_request_numbers)',
         'for alias in list(_news):\n'
         '            _requested[alias] = next(_request_numbers)\n'
         '            _news[alias] = object()\n'),
    ]),
    Mutant('MemcachedTests.test_connections', [
        ('_close(replaced, self.alias)',
         '_logged.setdefault(None, []).append(replaced)'),
    ]),
)


def make_mutant_tree(mutant, sources):
    """Return a tree with a release that has a broken variant of the module.

    Args:
        mutant (Mutant):
            What's broken.

        sources (djblets_backport.source.Sources):
            Where to take the release from.

    Returns:
        str:
        The path of the tree. All but the module is that of the patched tree.

    Raises:
        ValueError:
            The module no longer has what's to be replaced.
    """
    with open(MODULE, encoding='utf-8') as fp:
        source = fp.read()

    for old, new in mutant.replacements:
        if source.count(old) != 1:
            raise ValueError('The module has %r %d times, rather than once.'
                             % (old, source.count(old)))

        source = source.replace(old, new)

    patched = os.path.join(make_patched_tree(VERSION, sources), 'djblets')
    tree = os.path.join(BUILD_DIR, 'mutants', mutant.test)
    package = os.path.join(tree, 'djblets')

    for path, original in ((package, patched),
                           (os.path.join(package, 'cache'),
                            os.path.join(patched, 'cache'))):
        os.makedirs(path, exist_ok=True)

        for name in os.listdir(original):
            target = os.path.join(path, name)

            if not os.path.lexists(target) and \
                    name not in ('cache', 'forwarding_backend.py'):
                os.symlink(os.path.join(original, name), target)

    with open(os.path.join(package, 'cache', 'forwarding_backend.py'), 'w',
              encoding='utf-8') as fp:
        fp.write(source)

    return tree

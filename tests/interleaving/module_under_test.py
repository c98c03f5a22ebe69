"""The module under test, which is executed as it is."""

from __future__ import unicode_literals

import io
import sys
import threading
import types


class ScheduledThreading(types.ModuleType):
    """What the module under test imports as :py:mod:`threading`.

    It has what a schedule allows for. Anything else that a thread could wait
    for is a missing attribute.
    """

    current_thread = staticmethod(threading.current_thread)
    local = threading.local

    def __init__(self, scheduler):
        """Initialize the module.

        Args:
            scheduler (Scheduler):
                The scheduler that the locks are for.
        """
        super(ScheduledThreading, self).__init__(str('threading'))
        self._scheduler = scheduler

    def Lock(self):
        """Return a new lock."""
        return self._scheduler.make_lock(reentrant=False)

    def RLock(self):
        """Return a new reentrant lock."""
        return self._scheduler.make_lock(reentrant=True)


def _get_inner_code(code):
    """Return the code of what's defined in some code.

    Args:
        code (code):
            The code.

    Returns:
        list of code:
        The code of functions, classes and generator expressions.
    """
    return [const for const in code.co_consts
            if isinstance(const, types.CodeType)]


class ModuleUnderTest(object):
    """The file of a module, to be loaded anew for each schedule."""

    def __init__(self, name, filename):
        """Initialize the module.

        Args:
            name (unicode):
                The name that it's imported by.

            filename (unicode):
                The file.
        """
        self.name = str(name)
        self.filename = filename

        with io.open(filename, 'rb') as fp:
            self.code = compile(fp.read(), str(filename), str('exec'),
                                dont_inherit=True)

        # This imports what the module needs, with the real threading.
        self._execute()

    def load(self, scheduler):
        """Return the module, executed anew.

        Args:
            scheduler (Scheduler):
                The scheduler that's to know of its locks.

        Returns:
            module:
            The module, which is the one to be imported from now on.
        """
        sys.modules['threading'] = ScheduledThreading(scheduler)

        try:
            return self._execute()
        finally:
            sys.modules['threading'] = threading

    def find_code(self, names):
        """Return the code of functions, and of what's defined in them.

        Args:
            names (list of unicode):
                The names of the functions, as in ``Class.method``.

        Returns:
            list of code:
            The code.

        Raises:
            ValueError:
                The module has no such function.
        """
        found = []

        for name in names:
            codes = [self.code]

            for part in name.split('.'):
                codes = [inner for code in codes
                         for inner in _get_inner_code(code)
                         if inner.co_name == part]

            if not codes:
                raise ValueError('%s has no function %s'
                                 % (self.filename, name))

            while codes:
                code = codes.pop()
                found.append(code)
                codes.extend(_get_inner_code(code))

        return found

    def _execute(self):
        """Return the module, executed in a new namespace."""
        module = types.ModuleType(self.name)
        module.__file__ = self.filename
        sys.modules[self.name] = module
        exec(self.code, module.__dict__)

        return module

"""The positive control: that the suite fails where there's no fix.

``control_table.txt`` tells which tests fail on which official release. What
passes on all of them is shown to be able to fail by :py:mod:`running.mutants`.
"""

import collections
import os
import re

from running.results import Results


_TABLE = os.path.join(os.path.dirname(os.path.abspath(__file__)),
                      'control_table.txt')


#: A release that's controlled, the environment to do it in, and what's
#: expected of each test: "x", "." or "s".
Control = collections.namedtuple('Control', ('version', 'environment',
                                             'expected'))


def load_controls():
    """Return the controls.

    Returns:
        list of Control:
        The controls, as in the table.
    """
    controls = []

    with open(_TABLE, encoding='utf-8') as fp:
        for line in fp:
            match = re.match(r'[|+ -]*\+-+ (\S+) (\S+)$', line)

            if match:
                controls.append(Control(match.group(1), match.group(2), {}))
            elif line[0] in 'x.s':
                fields = line.split()

                for control, mark in zip(controls, fields):
                    control.expected[fields[-1]] = mark

    return controls


def check_control(control, results):
    """Check that a run without the fix went as in the table.

    Args:
        control (Control):
            The control.

        results (running.results.Results):
            What came of the run.

    Returns:
        tuple:
        A 2-tuple of what came of the control (running.results.Results), in
        which each test that's in the table counts, and of a text that tells
        what should have been otherwise.
    """
    actual = dict.fromkeys(results.passed, '.')
    actual.update(dict.fromkeys(results.failed, 'x'))
    actual.update(dict.fromkeys(results.skipped, 's'))

    checked = Results([], [], [])
    lines = []

    for name in sorted(set(actual) | set(control.expected)):
        mark = actual.get(name, 'not there')
        expected = control.expected.get(name, 'not there')

        if mark == expected:
            (checked.skipped if mark == 's' else checked.passed).append(name)
        else:
            checked.failed.append(name)
            lines.append('%s without the series: %s is "%s" in '
                         'control_table.txt, and was "%s"'
                         % (control.version, name, expected, mark))

    return checked, '\n'.join(lines)


def get_never_failing(controls):
    """Return the tests that pass with and without the fix.

    Args:
        controls (list of Control):
            The controls.

    Returns:
        set of str:
        The names of the tests.
    """
    names = set()
    failing = set()

    for control in controls:
        names.update(control.expected)
        failing.update(name for name, mark in control.expected.items()
                       if mark == 'x')

    return names - failing

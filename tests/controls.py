"""The controls: which tests fail where there's no fix, or a wrong one.

``controls.tsv`` is the table of it, which ``runtests.py --record`` writes. Its
crosses are tests that have to fail. Others may: what's broken has races.
"""

import os

from variants import LATER_VARIANTS, VARIANTS


_PATH = os.path.join(os.path.dirname(os.path.abspath(__file__)),
                     'controls.tsv')


def write_controls(controls):
    """Write the table.

    Args:
        controls (dict):
            The results of the controls, by their names: for each of the tests
            whether it ``passed``, ``failed`` or was ``skipped``.
    """
    tests = sorted({test for results in controls.values() for test in results})
    rows = [['test', *controls]] + [
        [test] + ['x' if results.get(test) == 'failed' else '.'
                  for results in controls.values()]
        for test in tests
    ]

    with open(_PATH, 'w', encoding='ascii') as fp:
        fp.writelines('%s\n' % '\t'.join(row) for row in rows)


def check_control(name, results, is_narrow):
    """Compare the results of a control with the table.

    Args:
        name (str):
            The name of the control.

        results (dict):
            As for :py:func:`write_controls`, those of this control.

        is_narrow (bool):
            Whether only some of its tests were run.

    Returns:
        tuple:
        A 2-tuple of what to say of it, and whether it's as expected.
    """
    with open(_PATH, encoding='ascii') as fp:
        (_, *names), *rows = [line.rstrip('\n').split('\t') for line in fp]

    useful = {row[0] for row in rows if 'x' in row}
    idle = sorted(set(results) - useful)
    expected = {row[0] for row in rows
                if name in names and row[names.index(name) + 1] == 'x'}
    missed = sorted(test for test in expected
                    if results.get(test, is_narrow or 'passed') == 'passed')
    scenarios = {variant.name: variant.caught_by
                 for variant in VARIANTS + LATER_VARIANTS}.get(name)
    text = '%d of %d find it' % (
        sum(kind == 'failed' for kind in results.values()),
        sum(kind != 'skipped' for kind in results.values()))

    if missed:
        return '%s, but not %s' % (text, ', '.join(missed)), False
    elif name not in names:
        return '%s, but it is not in controls.tsv' % text, False
    elif idle:
        return 'no control shows that %s can fail' % ', '.join(idle), False
    elif expected:
        return '%s, as expected' % text, True
    elif scenarios:
        return 'only the schedules find it, as expected (%s)' % ', '.join(
            scenarios), True
    else:
        return 'nothing finds it', False

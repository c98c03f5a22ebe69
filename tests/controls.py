"""The positive control: which tests fail where there's no fix, or a wrong one.

``controls.tsv`` is the table of it, which ``runtests.py --record`` writes. Its
crosses are tests that have to fail. Others may: what's broken has races.
"""

import os

import variants


_PATH = os.path.join(os.path.dirname(os.path.abspath(__file__)),
                     'controls.tsv')


def write_controls(controls):
    """Write the table.

    Args:
        controls (dict):
            The results of the controls, by their names: for each of the tests
            whether it passed. Those that were skipped are left out.
    """
    tests = sorted({test for results in controls.values() for test in results})
    rows = [['test'] + list(controls)] + [
        [test] + ['.' if results.get(test, True) else 'x'
                  for results in controls.values()]
        for test in tests
    ]

    with open(_PATH, 'w', encoding='ascii') as fp:
        fp.writelines('%s\n' % '\t'.join(row) for row in rows)


def check_controls(controls):
    """Compare the results of the controls with the table.

    Args:
        controls (dict):
            As for :py:func:`write_controls`.

    Yields:
        tuple:
        A 2-tuple of the name of a control, or of a test that has to fail in
        one, and of what's wrong, which is ``None`` if nothing is.
    """
    with open(_PATH, encoding='ascii') as fp:
        (_, *names), *rows = [line.rstrip('\n').split('\t') for line in fp]

    table = {row[0]: dict(zip(names, row[1:])) for row in rows}
    caught_by = {item.name: item.caught_by for item in variants.VARIANTS}

    for name, results in controls.items():
        wrong = sorted(test for test, passed in results.items()
                       if passed and table.get(test, {}).get(name) == 'x')
        problem = None

        if name not in names or wrong:
            problem = ('On %s, these passed against controls.tsv: %s'
                       % (name, ', '.join(wrong) or 'it is not in there'))
        elif all(results.values()) and not caught_by.get(name, True):
            problem = 'Nothing finds the variant %s' % name

        yield name, problem

    for test in sorted({test for results in controls.values()
                        for test in results}):
        yield test, None if 'x' in table.get(test, {}).values() else (
            '%s fails nowhere in controls.tsv: it shows nothing' % test)

"""What's told about the runs."""

import textwrap
import xml.etree.ElementTree as ElementTree


_HEADINGS = ('threads', 'operations', 'resets', 'errors', 'stale', 'left',
             'hung')

_ROW = '%-24s %7s %10s %7s %7s %6s %5s %5s'


def format_table(results):
    """Return the table with what was counted.

    Args:
        results (list of stress.run_stress.Result):
            What came of the runs, ordered by scenario.

    Returns:
        str:
        The table.
    """
    lines = []
    scenario = None

    for result in results:
        if result.scenario != scenario:
            scenario = result.scenario
            lines += ['', _ROW % ((scenario,) + _HEADINGS)]

        name = '  %s' % result.release.name
        tally = result.tally

        if tally is None:
            lines.append('%s  not run: %s' % (name, result.skipped))
            continue

        lines.append(_ROW % (
            name, tally.threads, tally.operations, tally.resets,
            sum(tally.errors.values()), tally.stale, tally.left_open,
            tally.deadlocks))

        if tally.errors:
            lines += textwrap.wrap(
                'errors: %s' % ', '.join(
                    '%s %d' % item for item in sorted(tally.errors.items())),
                initial_indent='      ', subsequent_indent='        ')

        lines += ['      %s' % figure for figure in tally.figures]

    return '\n'.join(lines + [
        '',
        'stale: accesses served by an outdated configuration.',
        'left:  connections beyond those that live threads need.',
        'hung:  waits for a thread or a process that timed out.',
    ])


def format_faults(results):
    """Return what's not as it has to be.

    Args:
        results (list of stress.run_stress.Result):
            What came of the runs.

    Returns:
        str:
        The faults, with what helps to understand them.
    """
    return '\n'.join(
        '*** %s, %s: %s\n%s' % (result.release.name, result.scenario,
                                ', '.join(result.faults),
                                '\n'.join(result.tally.notes))
        for result in results
        if result.faults
    )


def write_xunit(path, results):
    """Write what came of the runs, in the form that nose does it.

    Args:
        path (str):
            The path of the file.

        results (list of stress.run_stress.Result):
            What came of the runs.
    """
    suite = ElementTree.Element('testsuite', {
        'name': 'stress',
        'tests': '%d' % len(results),
        'errors': '0',
        'failures': '%d' % sum(bool(result.faults) for result in results),
        'skip': '%d' % sum(result.tally is None for result in results),
    })

    for result in results:
        case = ElementTree.SubElement(suite, 'testcase', {
            'classname': 'stress.%s' % ''.join(
                word.capitalize() for word in result.scenario.split('_')),
            'name': '%s (%s)' % (result.release.name,
                                 result.release.environment),
            'time': '%.3f' % result.seconds,
        })

        if result.tally is None:
            ElementTree.SubElement(case, 'skipped', {
                'message': result.skipped,
            })
        elif result.faults:
            failure = ElementTree.SubElement(case, 'failure', {
                'message': ', '.join(result.faults),
                'type': 'stress',
            })
            failure.text = '\n'.join(result.tally.notes)

    ElementTree.ElementTree(suite).write(path, encoding='utf-8',
                                         xml_declaration=True)

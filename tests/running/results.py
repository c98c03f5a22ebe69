"""What came of test runs, as nose writes it down."""

import collections
import xml.etree.ElementTree as ElementTree


#: The names of the tests that passed, failed and were skipped.
Results = collections.namedtuple('Results', ('passed', 'failed', 'skipped'))


def read_results(path):
    """Read the results of a run of nose.

    Args:
        path (str):
            The path of the file that ``--with-xunit`` has written.

    Returns:
        Results:
        The results. The names of the tests are those of their class and
        method, without the module's.
    """
    results = Results([], [], [])

    for case in ElementTree.parse(path).getroot().iter('testcase'):
        name = '%s.%s' % (case.get('classname').rpartition('.')[2],
                          case.get('name'))

        if case.find('skipped') is not None:
            results.skipped.append(name)
        elif case.find('error') is not None or \
                case.find('failure') is not None:
            results.failed.append(name)
        else:
            results.passed.append(name)

    return results

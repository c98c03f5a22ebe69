"""What a part of the acceptance run finds: how it's told and drawn."""

import collections

from matplotlib.figure import Figure
from tabulate import tabulate

from evidence.program import DIRECTORY


#: What a part has found: a table, checks, and what's to be drawn of its
#: trials: what requests are that are not highlighted, and those that are, and
#: the start of each trial.
Result = collections.namedtuple('Result', 'headers rows checks trials labels')

#: A conclusion: what's expected, what was found, and whether the two agree.
Check = collections.namedtuple('Check', 'expected found holds')


def tell(title, result):
    """Print a result."""
    print(title)
    print(tabulate(result.rows, result.headers, 'github'), end='\n\n')

    for check in result.checks:
        print(' *  %s: %s: %s' % (
            'holds' if check.holds else 'DOES NOT HOLD', check.expected,
            check.found))

    print(flush=True)


def draw(name, result):
    """Draw requests by time and thread, with a panel for each trial."""
    ordinary, highlighted, start = result.labels
    num_rows = (len(result.trials) + 1) // 2
    figure = Figure((10, 0.8 + 1.8 * num_rows), layout='constrained')
    axes = None

    for i, trial in enumerate(result.trials):
        axes = figure.add_subplot(num_rows, 2, i + 1, sharex=axes)
        axes.axvline(0, color='black', label=start)

        for is_highlighted, style, label in ((False, 'b.', ordinary),
                                             (True, 'rx', highlighted)):
            shown = [request for request in trial.requests
                     if request['highlighted'] == is_highlighted and
                     request['start'] > trial.started - 10]
            axes.plot([request['start'] - trial.started for request in shown],
                      [request['thread'] for request in shown], style,
                      label=label, markersize=4, rasterized=True)

        axes.set_title(trial.name, fontsize=8)
        axes.set(xlabel='Seconds', ylabel='Threads', yticks=[])

    figure.legend(*axes.get_legend_handles_labels(),
                  loc='outside upper center', ncols=3)
    path = DIRECTORY / ('%s.svg' % name)
    figure.savefig(path)
    print('The picture: %s\n' % path, flush=True)

"""What came of a run: tables, plots and whether it's as expected."""

import collections
import io

import jinja2
import matplotlib
import tabulate

matplotlib.use('svg')

from matplotlib import pyplot  # noqa: E402
from matplotlib.patches import Patch  # noqa: E402

from acceptance_site.installation import SERIES, get_title  # noqa: E402
from acceptance_site.repair import PHASES  # noqa: E402
from acceptance_site.switch import get_thread  # noqa: E402


#: A table of the report.
Table = collections.namedtuple('Table', ('title', 'note', 'headers', 'rows'))

#: Something that was to be seen, and whether it was.
Expectation = collections.namedtuple('Expectation', ('text', 'met'))

#: A plot, as SVG, and what to see in it.
Plot = collections.namedtuple('Plot', ('title', 'note', 'svg'))

# These can be told apart with any kind of color vision.
MODULE_COLORS = {
    '0.8.13': '#d55e00',
    '0.8.29': '#999999',
    '6.1': '#d55e00',
    SERIES: '#0072b2',
}
SERVER_COLORS = ('#d55e00', '#0072b2', '#bbbbbb')
ERROR_COLOR = '#d55e00'
GOOD_COLOR = '#0072b2'

_PAGE = '''\
<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>The forwarding cache backend on Review Board</title>
<style>
body { font: 16px/1.5 sans-serif; color: #222; background: #fff;
       max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.6rem; } h2 { font-size: 1.2rem; margin-top: 2.5rem; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; font-size: .85rem; }
th, td { border-bottom: 1px solid #ddd; padding: .3rem .8rem .3rem 0;
         text-align: left; vertical-align: top; }
th { border-bottom: 2px solid #888; }
td.number { text-align: right; font-variant-numeric: tabular-nums; }
ul.expectations { list-style: none; padding: 0; }
.met::before { content: "\\2713"; color: #0072b2; }
.unmet::before { content: "\\2717"; color: #d55e00; }
.met::before, .unmet::before { display: inline-block; width: 1.5rem;
                               font-weight: bold; }
.note { color: #555; }
svg { max-width: 100%; height: auto; }
</style>
</head>
<body>
<h1>The forwarding cache backend on Review Board</h1>
<ul class="expectations">
{% for expectation in report.expectations %}
<li class="{{ 'met' if expectation.met else 'unmet' }}">
{{- expectation.text }}{{ '' if expectation.met else ' (this was not seen)' }}
{%- endfor %}
</ul>
{% for item in report.items %}
<h2>{{ item.title }}</h2>
<p class="note">{{ item.note }}</p>
<div class="scroll">
{% if item.svg %}
{{ item.svg|safe }}
{% else %}
<table>
<tr>{% for header in item.headers %}<th>{{ header }}{% endfor %}
{% for row in item.rows %}
<tr>{% for cell in row %}
<td{% if cell is number %} class="number"{% endif %}>{{ cell }}
{%- endfor %}
{% endfor %}
</table>
{% endif %}
</div>
{% endfor %}
</body>
</html>
'''


class Report:
    """The report of a run.

    Attributes:
        items (list):
            The tables and plots, in order.

        expectations (list of Expectation):
            What was expected.
    """

    def __init__(self):
        """Initialize the report."""
        self.items = []
        self.expectations = []

    @property
    def as_expected(self):
        """Whether everything was as expected."""
        return all(expectation.met for expectation in self.expectations)

    def add_table(self, title, note, headers, rows):
        """Add a table.

        Args:
            title (str):
                The title.

            note (str):
                What the numbers are.

            headers (list of str):
                The headers of the columns.

            rows (list of list):
                The rows.
        """
        self.items.append(Table(title, note, headers, rows))

    def add_plot(self, title, note, figure):
        """Add a plot.

        Args:
            title (str):
                The title.

            note (str):
                What to see in it.

            figure (matplotlib.figure.Figure):
                The plot.
        """
        output = io.StringIO()
        figure.savefig(output, format='svg', bbox_inches='tight',
                       metadata={'Creator': None, 'Date': None})
        pyplot.close(figure)
        svg = output.getvalue()
        self.items.append(Plot(title, note, svg[svg.index('<svg'):]))

    def expect(self, text, met):
        """Add an expectation.

        Args:
            text (str):
                What was expected.

            met (bool):
                Whether it was seen.
        """
        self.expectations.append(Expectation(text, bool(met)))

    def get_text(self):
        """Return the tables and expectations, for a terminal.

        Returns:
            str:
            The text.
        """
        parts = [
            '%s\n%s' % (item.title,
                        tabulate.tabulate(item.rows, item.headers))
            for item in self.items if isinstance(item, Table)
        ]
        parts.append('\n'.join(
            '%s %s' % ('ok    ' if met else 'NOT OK', text)
            for text, met in self.expectations))

        return '\n\n'.join(parts)

    def write_page(self, path):
        """Write the page with the tables and plots.

        Args:
            path (pathlib.Path):
                The file.
        """
        template = jinja2.Environment(
            autoescape=True, trim_blocks=True).from_string(_PAGE)
        temp_path = path.with_name(path.name + '.tmp')
        temp_path.write_text(template.render(report=self), encoding='utf-8')
        temp_path.replace(path)


def _add_exceptions(report, title, note, rows):
    """Add a table of exceptions, if there were any.

    Args:
        report (Report):
            The report.

        title (str):
            The title.

        note (str):
            What's to be said of them.

        rows (list of list):
            The rows.
    """
    if rows:
        report.add_table(
            title,
            'Seen around the application, and at the end of a traceback in '
            'the logs of gunicorn and Review Board. %s' % note,
            ['Module', 'Exception', 'Seen', 'Logged'], rows)


def _get_exception_rows(title, seen, logged):
    """Return the rows for a table of exceptions.

    Args:
        title (str):
            What they were seen with.

        seen (collections.Counter):
            Those seen around the application, by name.

        logged (collections.Counter):
            Those in the logs, by name.

    Returns:
        list of list:
        The rows, the most frequent first.
    """
    return [
        [title, name, seen[name], logged[name]]
        for name, _ in (seen + logged).most_common()
    ]


def add_race(report, results):
    """Add the results of the first part.

    Args:
        report (Report):
            The report.

        results (list of acceptance_site.race.RaceResult):
            The results.
    """
    report.add_table(
        'Review Board 2.0.16, which resets the cache on every request',
        'One process with 16 threads. Connections are to memcached.',
        ['Module', 'Requests', 'HTTP 500', 'Requests per second',
         'Connections per request'],
        [[get_title(result.module), len(result.answers), len(result.errors),
          round(result.requests_per_second, 1),
          round(result.connections_per_request, 2)]
         for result in results])
    _add_exceptions(
        report, 'Exceptions on Review Board 2.0.16',
        'A server can log one more than once.',
        [row for result in results
         for row in _get_exception_rows(get_title(result.module),
                                        result.exceptions, result.logged)])

    figure, axes = pyplot.subplots(figsize=(8, 3))

    for result in results:
        times = [0] + [answered - result.started
                       for answered, _ in result.errors] + [result.seconds]
        axes.step(times, list(range(len(times) - 1)) + [len(times) - 2],
                  where='post', label=get_title(result.module), linewidth=2,
                  color=MODULE_COLORS[result.module],
                  # These two lie on each other.
                  linestyle='--' if result.module == SERIES else '-')

    axes.set_xlabel('seconds')
    axes.set_ylabel('HTTP 500s so far')
    axes.yaxis.get_major_locator().set_params(integer=True)
    axes.legend(frameon=False)
    axes.spines[['top', 'right']].set_visible(False)
    report.add_plot('Errors over time, on Review Board 2.0.16',
                    'The same load on each module, one after another.',
                    figure)

    errors = dict((result.module, len(result.errors)) for result in results)
    report.expect('The reported bug shows with Djblets 0.8.13: %d HTTP 500s'
                  % errors['0.8.13'], errors['0.8.13'])
    report.expect('It is gone with the series: %d HTTP 500s'
                  % errors[SERIES], not errors[SERIES])


def add_switch(report, results):
    """Add the results of the second part.

    Args:
        report (Report):
            The report.

        results (list of acceptance_site.switch.SwitchResult):
            The results.
    """
    report.add_table(
        'Review Board 8.1, whose cache server is changed in the settings form',
        'A is replaced by B, as the only server or in a pool with C, which '
        'then has the number by which processes notice new settings. Requests '
        'and threads on A are those after each thread had served a request. '
        'Commands and connections are those that A itself '
        'counted from the change on. What is open in the end belongs to the '
        'main thread of each process, which used the cache when it started, '
        'and serves no requests. Where the form was saved again, a process '
        'had read the old settings back while the new ones were saved.',
        ['Layout', 'Module', 'Saves', 'Requests after it', 'of them on A',
         'Threads', 'of them on A in the end', 'Commands to A',
         'Connections to A', 'Open in the end', 'HTTP 500'],
        [[result.layout, get_title(result.module), len(result.saves),
          sum(map(len, result.later_records.values())),
          len(result.stale_requests), len(result.threads),
          len(result.stale_threads), result.old_commands,
          result.old_connections,
          '%d (%s)' % (len(result.old_open),
                       ', '.join(sorted(set(result.old_open))))
          if result.old_open else '0',
          len(result.errors)]
         for result in results])
    _add_exceptions(
        report, 'Exceptions on Review Board 8.1',
        'After a change of the cache server, Review Board loads its '
        'extensions again, which takes Django\'s list of applications apart '
        'for a moment. AppRegistryNotReady and FieldError were seen then with '
        'either module. Threads on two cache servers make it do so again and '
        'again.',
        [row for result in results
         for row in _get_exception_rows(
             '%s, %s' % (get_title(result.module), result.layout),
             result.exceptions, result.logged)])

    layouts = collections.OrderedDict()

    for result in results:
        layouts.setdefault(result.layout, []).append(result)

    for layout, pair in layouts.items():
        report.add_plot(
            'Requests per server and thread: %s' % layout,
            'Above, each request is a mark at its time and thread. Below are '
            'the requests of each thread, before the change (left) and after '
            'it (right), by the server that they used.',
            _plot_switch(pair))

    for result in results:
        if result.module == SERIES:
            report.expect(
                'With the series, no thread is left on the old server once it '
                'served a request (%s): %d requests'
                % (result.layout, len(result.stale_requests)),
                not result.stale_requests and not result.stale_threads)
        elif result.pool:
            report.expect(
                'With Djblets %s, some are on it to the end (%s): %d of %d'
                % (result.module, result.layout, len(result.stale_threads),
                   len(result.threads)),
                result.stale_threads)


def _plot_switch(results):
    """Return the plot of a change of the server.

    Args:
        results (list of acceptance_site.switch.SwitchResult):
            The results with each module.

    Returns:
        matplotlib.figure.Figure:
        The plot.
    """
    figure, all_axes = pyplot.subplots(
        2, len(results), figsize=(10, 5.5), sharey='row', squeeze=False,
        height_ratios=(3, 2), gridspec_kw={'hspace': .35, 'wspace': .05})

    for result, (marks, bars) in zip(results, zip(*all_axes)):
        threads = result.threads
        counts = dict((thread, [[0, 0, 0], [0, 0, 0]]) for thread in threads)

        for record in result.records:
            thread = get_thread(record)
            server = next((i for i in range(3) if result.uses(record, i)), 2)
            after = record['start'] > result.switched
            counts[thread][after][server] += 1
            marks.plot(record['start'] - result.switched,
                       threads.index(thread),
                       marker='x' if record['status'] == 500 else '|',
                       markersize=6,
                       color='black' if record['status'] == 500
                       else SERVER_COLORS[server])

        marks.axvline(0, color='black', linewidth=1)
        marks.set_title(get_title(result.module))
        marks.set_xlabel('seconds from the change')

        for i, thread in enumerate(threads):
            for after in (0, 1):
                bottom = 0

                for server, number in enumerate(counts[thread][after]):
                    bars.bar(i + (after - .5) * .4, number, .35,
                             bottom=bottom, color=SERVER_COLORS[server])
                    bottom += number

        labels = ['%d.%d' % (sorted(set(pid for pid, _ in threads)).index(
                                 thread[0]) + 1,
                             sum(other[0] == thread[0] and other <= thread
                                 for other in threads))
                  for thread in threads]
        marks.set_yticks(range(len(threads)), labels)
        bars.set_xticks(range(len(threads)), labels)
        bars.set_xlabel('process and thread')

        for axes in (marks, bars):
            axes.spines[['top', 'right']].set_visible(False)

    all_axes[0][0].set_ylabel('process and thread')
    all_axes[1][0].set_ylabel('requests')
    figure.legend(
        handles=[Patch(color=color, label=label) for color, label in zip(
            SERVER_COLORS, ('A, the old server', 'B, the new server',
                            'neither'))],
        loc='upper center', ncols=3, frameon=False, bbox_to_anchor=(.5, 1))

    return figure


def add_repair(report, results):
    """Add the results of the third part.

    Args:
        report (Report):
            The report.

        results (list of acceptance_site.repair.RepairResult):
            The results.
    """
    report.add_table(
        'A broken cache backend in the database, which is then repaired',
        'HTTP 500s, of the requests in each phase. It has recovered if the '
        'second half of those after the repair has none. The server is never '
        'restarted. Log lines are those that name the broken backend.',
        ['Review Board', 'Module', 'Before', 'While broken', 'Once repaired',
         'Recovered', 'Log lines'],
        [[result.release, get_title(result.module)] +
         ['%d of %d' % (result.count_errors(phase),
                        len(result.get_statuses(phase)))
          for phase in PHASES] +
         ['yes' if result.recovered else 'no', result.messages]
         for result in results])

    figure, all_axes = pyplot.subplots(
        len(results), 1, figsize=(8, 1.7 * len(results)), squeeze=False,
        gridspec_kw={'hspace': .8})

    for result, axes in zip(results, all_axes[:, 0]):
        _plot_repair(result, axes)

    all_axes[-1][0].set_xlabel('seconds')
    figure.legend(
        handles=[Patch(color=GOOD_COLOR, label='answered'),
                 Patch(color=ERROR_COLOR, label='HTTP 500'),
                 Patch(color='#eeeeee', label='broken')],
        loc='upper center', ncols=3, frameon=False, bbox_to_anchor=(.5, 1))
    report.add_plot('Errors over time, with the broken backend',
                    'Requests in each sixtieth of the time.', figure)

    for result in results:
        title = get_title(result.module)

        if result.release == '8.1' and result.module == SERIES:
            report.expect(
                'Review Board 8.1 stays up on the old backend with the '
                'series: %d HTTP 500s' % result.count_errors('broken'),
                not result.count_errors('broken'))
            report.expect(
                'It says so in its log: %d lines' % result.messages,
                result.messages)
        elif result.release == '2.0.16':
            report.expect(
                'Review Board 2.0.16 %s once it is repaired, with %s'
                % ('recovers' if result.module == SERIES
                   else 'does not recover', title),
                result.recovered == (result.module == SERIES))


def _plot_repair(result, axes):
    """Plot the answers around a broken backend.

    Args:
        result (acceptance_site.repair.RepairResult):
            The result.

        axes (matplotlib.axes.Axes):
            What to plot on.
    """
    start = result.answers[0][0]
    times = [[answered - start for answered, status in result.answers
              if (status in (0, 500)) == error] for error in (False, True)]
    axes.axvspan(result.phases['broken'][0] - start,
                 result.phases['repaired'][0] - start, color='#eeeeee')
    axes.hist(times, bins=60, stacked=True,
              color=[GOOD_COLOR, ERROR_COLOR])
    axes.set_title('Review Board %s with %s'
                   % (result.release, get_title(result.module)),
                   loc='left', fontsize='medium')
    axes.set_ylabel('requests')
    axes.spines[['top', 'right']].set_visible(False)


def add_review(report, results):
    """Add the results of the fourth part.

    Args:
        report (Report):
            The report.

        results (list of acceptance_site.review.ReviewResult):
            The results.
    """
    report.add_table(
        'The series on Review Board 8.1, with Review Bot',
        'Posted and applied with RBTools. What was posted is read back '
        'through the API, with each file as Review Board has patched it. '
        'Applied is the same if rbt patch makes the very tree that was posted '
        'from.',
        ['Posted', 'Branch', 'Commits', 'Files', 'Differs in', 'Applied',
         'Review Bot', 'Open issues'],
        [[result.title, result.branch, len(result.messages),
          len(result.files), ', '.join(result.differences) or 'nothing',
          'the same' if result.applied else 'different',
          ', '.join('%s: %s' % item
                    for item in sorted(result.status_updates.items())),
          result.issues]
         for result in results])

    *series, bad = results

    for result in series:
        report.expect(
            'Review Board has %s as it was posted, and rbt patch applies it'
            % result.title,
            not result.differences and result.applied)
        report.expect(
            'Review Bot has nothing to say of %s: %d issues'
            % (result.title, result.issues),
            not result.issues and
            set(result.status_updates.values()) == {'done-success'})

    report.expect(
        'Review Bot does have something to say of a bad file, with each tool: '
        '%d issues' % bad.issues,
        bad.issues >= 2 and
        set(bad.status_updates.values()) == {'done-failure'})

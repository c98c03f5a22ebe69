"""What was measured, as tables and plots."""

import collections
import io
import statistics

import jinja2
import matplotlib
import pyperf
import tabulate

matplotlib.use('svg')

from matplotlib import pyplot  # noqa: E402

from benchmarks.variants import (BARE, CONTROL, ENVIRONMENTS,  # noqa: E402
                                 SERIES)


#: The results of an environment: a table of ratios, what came of comparing
#: the series, a list of remarks, and a plot as SVG.
Section = collections.namedtuple(
    'Section', ('title', 'headers', 'rows', 'remarks', 'svg'))

# What's told of a difference.
FASTER = 'faster'
ALIKE = 'alike'
SLOWER = 'slower'

# These can be told apart with any kind of color vision.
_COLORS = ('#d55e00', '#e69f00', '#009e73', '#cc79a7', '#56b4e9')
_MARKERS = ('v', '^', 's', 'D', 'P')
_SERIES_COLOR = '#0072b2'

_EXPLANATION = (
    'Each cell is the median of the ratios to the bare target, one for each '
    'round, with their median absolute deviation. Memory and times alike: '
    'less is better. "%s" is the bare target measured a second time, so that '
    'what it differs by is chance. "Backend" is what Django has for a thread, '
    'and "cache" is django.core.cache.cache in front of that, which is the '
    'same on Django 1.6. A reset of the bare target is to build a new one and '
    'close the old one. The last column is what the series adds to the bare '
    'target.' % CONTROL)

_VERDICT = (
    'Two variants are said to differ in a row if nine tenths of their ratios '
    'lie to one side of 1, and the median is beyond nine tenths of what the '
    'two bare targets differ by there.')

_PAGE = '''\
<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>The cost of the forwarding cache backend</title>
<style>
body { font: 16px/1.5 sans-serif; color: #222; background: #fff;
       max-width: 84rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.6rem; } h2 { font-size: 1.2rem; margin-top: 2.5rem; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; font-size: .85rem; }
th, td { border-bottom: 1px solid #ddd; padding: .3rem .6rem .3rem 0;
         text-align: right; font-variant-numeric: tabular-nums;
         white-space: nowrap; }
th { border-bottom: 2px solid #888; }
th:first-child, td:first-child { text-align: left; }
.note { color: #555; }
svg { max-width: 100%; height: auto; }
</style>
</head>
<body>
<h1>The cost of the forwarding cache backend</h1>
{% for note in report.notes %}
<p class="note">{{ note }}</p>
{% endfor %}
{% for section in report.sections %}
<h2>{{ section.title }}</h2>
<ul>
{% for remark in section.remarks %}
<li>{{ remark }}
{% endfor %}
</ul>
<div class="scroll">
{{ section.svg|safe }}
</div>
<div class="scroll">
<table>
<tr>{% for header in section.headers %}<th>{{ header }}{% endfor %}
{% for row in section.rows %}
<tr>{% for cell in row %}<td>{{ cell }}{% endfor %}
{% endfor %}
</table>
</div>
{% endfor %}
</body>
</html>
'''


def get_ratios(benchmark, reference):
    """Return how one benchmark compares to another, round by round.

    Args:
        benchmark (pyperf.Benchmark):
            The one.

        reference (pyperf.Benchmark):
            The other.

    Returns:
        pyperf.Benchmark:
        The ratios.
    """
    return pyperf.Benchmark([
        pyperf.Run([statistics.median(run.values) /
                    statistics.median(reference_run.values)],
                   metadata={'name': benchmark.get_name()},
                   collect_metadata=False)
        for run, reference_run in zip(benchmark.get_runs(),
                                      reference.get_runs())
    ])


def _format_ratios(ratios):
    """Return ratios for a table.

    Args:
        ratios (pyperf.Benchmark):
            The ratios.

    Returns:
        str:
        The median and its spread.
    """
    return '%.2f ±%.2f' % (ratios.median(), ratios.median_abs_dev())


class Comparison:
    """Compares what was measured in an environment."""

    def __init__(self, results):
        """Initialize the comparison.

        Args:
            results (dict):
                The benchmarks (dict, by row) for each variant.
        """
        self.results = results
        self.rows = list(results[BARE])

    def get_ratios(self, row, variant, reference=BARE):
        """Return how a variant compares to another in a row.

        Args:
            row (str):
                The row.

            variant (str):
                The variant.

            reference (str, optional):
                The variant to compare it to.

        Returns:
            pyperf.Benchmark:
            The ratios.
        """
        return get_ratios(self.results[variant][row],
                          self.results[reference][row])

    def compare(self, row, variant, reference):
        """Tell whether a variant differs from another in a row.

        Args:
            row (str):
                The row.

            variant (str):
                The variant.

            reference (str):
                The variant to compare it to.

        Returns:
            str:
            ``FASTER``, ``ALIKE`` or ``SLOWER``.
        """
        ratios = self.get_ratios(row, variant, reference)
        control = self.get_ratios(row, CONTROL)
        low, high = sorted((control.median(), 1 / control.median()))
        low = min(low, control.percentile(10), 1 / control.percentile(90))
        high = max(high, control.percentile(90), 1 / control.percentile(10))

        if ratios.percentile(10) > 1 and ratios.median() > high:
            return SLOWER
        elif ratios.percentile(90) < 1 and ratios.median() < low:
            return FASTER

        return ALIKE

    def get_metadata(self, variant, name):
        """Return what the workers have noted for a variant.

        Args:
            variant (str):
                The variant.

            name (str):
                The name of the metadata.

        Returns:
            list:
            The values, in all rows and rounds.
        """
        return [
            run.get_metadata()[name]
            for benchmark in self.results[variant].values()
            for run in benchmark.get_runs()
            if name in run.get_metadata()
        ]

    def get_followers(self, variant):
        """Return who uses a new target after a reset.

        Args:
            variant (str):
                The variant.

        Returns:
            str:
            ``all``, ``caller`` or ``nobody``.
        """
        return (self.get_metadata(variant, 'followers') or ['-'])[0]


def _plot(comparison, releases):
    """Return a plot of the ratios to the bare target.

    Args:
        comparison (Comparison):
            What to plot.

        releases (tuple of str):
            The releases.

    Returns:
        str:
        The plot, as SVG.
    """
    rows = comparison.rows
    figure, axes = pyplot.subplots(figsize=(11, 1 + 0.36 * len(rows)))
    positions = list(range(len(rows)))
    styles = [
        (release, _COLORS[i], _MARKERS[i])
        for i, release in enumerate(releases)
    ] + [(SERIES, _SERIES_COLOR, 'o')]

    control = [comparison.get_ratios(row, CONTROL) for row in rows]
    axes.barh(positions,
              [item.percentile(90) - item.percentile(10) for item in control],
              left=[item.percentile(10) for item in control],
              height=0.9, color='#dddddd', label='chance')

    for i, (variant, color, marker) in enumerate(styles):
        ratios = [comparison.get_ratios(row, variant) for row in rows]
        medians = [item.median() for item in ratios]
        offset = 0.7 * (i / (len(styles) - 1) - 0.5)
        axes.errorbar(
            medians, [position + offset for position in positions],
            xerr=[[median - item.percentile(25)
                   for median, item in zip(medians, ratios)],
                  [item.percentile(75) - median
                   for median, item in zip(medians, ratios)]],
            fmt=marker, color=color, markersize=5, linewidth=1, label=variant)

    axes.axvline(1, color='#888888', linewidth=1, zorder=0)
    axes.set_xscale('log')
    axes.xaxis.set_major_formatter('{x:g}')
    axes.xaxis.set_minor_formatter(lambda x, pos: (
        '%g' % x if 0.1 < x < 10 and round(10 * x) in (5, 20, 50) else ''))
    axes.set_xlabel('times the bare target (less is better)')
    axes.set_yticks(positions, rows)
    axes.set_ylim(len(rows) - 0.4, -0.6)
    axes.legend(frameon=False, loc='lower left', bbox_to_anchor=(0, 1),
                ncols=len(styles) + 1)
    axes.spines[['top', 'right']].set_visible(False)

    output = io.StringIO()
    figure.savefig(output, format='svg', bbox_inches='tight',
                   metadata={'Creator': None, 'Date': None})
    pyplot.close(figure)
    svg = output.getvalue()

    return svg[svg.index('<svg'):]


def _get_remarks(comparison, releases):
    """Return how the series compares to the bare target and the releases.

    Args:
        comparison (Comparison):
            What to compare.

        releases (tuple of str):
            The releases.

    Returns:
        list of str:
        The remarks.
    """
    remarks = []

    gets = [row for row in comparison.rows
            if row.startswith(('memcached: get ', 'redis: get '))]
    costly = [row for row in gets
              if comparison.compare(row, SERIES, BARE) == SLOWER]

    if gets:
        remarks.append(
            'Over the bare target, a get on memcached or Redis costs %s'
            % ('nothing that could be measured.' if not costly else
               'something in %d of %d rows: %s.'
               % (len(costly), len(gets), _list_rows(comparison, costly,
                                                     BARE))))

    for release in releases:
        followers = comparison.get_followers(release)
        rows = collections.defaultdict(list)

        for row in comparison.rows:
            rows[comparison.compare(row, SERIES, release)].append(row)

        remark = ('The series is faster than %s (or takes less) in %d of %d '
                  'rows, and alike in %d.'
                  % (release, len(rows[FASTER]), len(comparison.rows),
                     len(rows[ALIKE])))

        if rows[SLOWER]:
            remark += (' It is slower (or takes more) in %s.'
                       % _list_rows(comparison, rows[SLOWER], release))

        if followers in ('caller', 'nobody'):
            remark += (' A reset of %s reaches %s, so its resets are not '
                       'like the others.'
                       % (release, {
                           'caller': 'the calling thread alone',
                           'nobody': 'no thread at all',
                       }[followers]))

        remarks.append(remark)

    return remarks


def _list_rows(comparison, rows, reference):
    """Return words for the rows in which the series is slower.

    Args:
        comparison (Comparison):
            What to compare.

        rows (list of str):
            The rows.

        reference (str):
            The variant that the series is compared to.

    Returns:
        str:
        The words.
    """
    return '; '.join(
        '"%s" (%s)' % (row, _format_ratios(
            comparison.get_ratios(row, SERIES, reference)))
        for row in rows)


class Report:
    """The report of a benchmark.

    Attributes:
        notes (list of str):
            What's to be said of all of it.

        sections (list of Section):
            The results of each environment.
    """

    def __init__(self, results, notes):
        """Initialize the report.

        Args:
            results (dict):
                For each environment, and each variant in it, the
                :py:class:`pyperf.Benchmark` for each row.

            notes (list of str):
                What's to be said of all of it.
        """
        self.notes = notes + [_EXPLANATION, _VERDICT]
        self.sections = [
            self._get_section(environment, Comparison(variants))
            for environment, variants in results.items()
        ]

    def _get_section(self, environment, comparison):
        """Return the results of an environment.

        Args:
            environment (str):
                The name of the environment.

            comparison (Comparison):
                What was measured.

        Returns:
            Section:
            The results.
        """
        releases = ENVIRONMENTS[environment]
        compared = (CONTROL,) + releases + (SERIES,)
        rows = []

        for row in comparison.rows:
            benchmark = comparison.results[BARE][row]
            median = benchmark.median()
            added = median * (
                comparison.get_ratios(row, SERIES).median() - 1)
            rows.append(
                [row, benchmark.format_value(median)] +
                [_format_ratios(comparison.get_ratios(row, variant))
                 for variant in compared] +
                ['%s%s' % ('-' if added < 0 else '+',
                           benchmark.format_value(abs(added)))])

        rows.append(
            ['after a reset, the new target is used by', '', ''] +
            [comparison.get_followers(variant) for variant in compared[1:]] +
            [''])
        rows.append(
            ['failed gets during resets', ''] +
            [str(sum(comparison.get_metadata(variant, 'errors')))
             for variant in compared] +
            [''])

        return Section(environment,
                       ['', BARE] + list(compared) + ['added'], rows,
                       _get_remarks(comparison, releases),
                       _plot(comparison, releases))

    def get_text(self):
        """Return the tables and remarks, for a terminal.

        Returns:
            str:
            The text.
        """
        return '\n\n'.join([
            '%s\n%s\n\n%s' % (
                section.title,
                tabulate.tabulate(
                    section.rows, section.headers, disable_numparse=True,
                    colalign=['left'] + ['right'] * (
                        len(section.headers) - 1)),
                '\n'.join(' *  %s' % remark for remark in section.remarks))
            for section in self.sections
        ] + self.notes)

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

"""The report: tables and conclusions on the terminal, and a page with plots.
"""

import collections
import io
import os
import platform
import time
from pathlib import Path

import jinja2
import tabulate
from matplotlib.figure import Figure

from evidence.progress import DIRECTORY
from evidence.servers import REPORTED


#: What comes of a part. ``plot`` draws on a figure, if there's anything to.
Section = collections.namedtuple('Section',
                                 'title text headers rows checks plot')

#: A conclusion: what's expected, what was found, and whether the two agree.
#: It's ``None`` if that did not come to the test, which is no success either.
Check = collections.namedtuple('Check', 'expected found holds')

_VERDICTS = {True: 'holds', False: 'does not hold', None: 'not shown'}


def report(sections, seconds):
    """Print what came of the parts, write the page, and return if all holds.
    """
    facts = [
        ['Date', time.strftime('%Y-%m-%d %H:%M %Z')],
        ['It took', '%d:%02d minutes' % divmod(seconds, 60)],
        ['Machine', '%s, %d processors, Python %s'
         % (platform.platform(), os.cpu_count(), platform.python_version())],
    ] + [
        [name, 'module with SHA-256 %s in each process, %d in all'
         % (sha256, number)]
        for (name, sha256), number in REPORTED.items()
    ]
    print(tabulate.tabulate(facts, tablefmt='plain'))
    plots = []

    for section in sections:
        print('\n%s\n\n%s\n' % (section.text.strip(),
                                tabulate.tabulate(section.rows,
                                                  section.headers)))

        for check in section.checks:
            print('%s: %s: %s' % (_VERDICTS[check.holds].upper(),
                                  check.expected, check.found))

        plots.append(_plot(section))

    environment = jinja2.Environment(
        autoescape=True, trim_blocks=True, lstrip_blocks=True,
        loader=jinja2.FileSystemLoader(str(Path(__file__).parent)))
    holds = all(check.holds for section in sections
                for check in section.checks)
    path = DIRECTORY / 'page.html'
    path.write_text(environment.get_template('page.html').render(
        facts=facts, holds=holds, parts=zip(sections, plots),
        tabulate=tabulate.tabulate, verdicts=_VERDICTS), encoding='utf-8')
    print('\n%s\n%s' % ('All of this holds.' if holds else
                        'Not all of this holds.', path))

    return holds


def plot_threads(figure, cases, marks, line):
    """Plot requests by time and thread, in panels for pairs of cases.

    A case has a name, a start, and requests with a mark each.
    """
    figure.set_size_inches(10, 0.5 + 1.6 * len(cases) // 2)
    panels = figure.subplots(len(cases) // 2, 2, sharex=True)

    for axes, case in zip(panels.flat, cases):
        threads = sorted({(request['pid'], request['thread'])
                          for request in case.requests})
        axes.set_title(case.name, fontsize=8)
        axes.axvline(0, color='black', label=line)
        axes.set_yticks([])
        axes.set_ylabel('%d threads' % len(threads))

        for mark, (label, style) in marks.items():
            points = [(request['start'] - case.start,
                       threads.index((request['pid'], request['thread'])))
                      for request in case.requests
                      if request['mark'] == mark and
                      request['start'] > case.start - 10]
            axes.plot([x for x, _ in points], [y for _, y in points], style,
                      label=label, markersize=4)

    for axes in panels[-1]:
        axes.set_xlabel('Seconds')

    figure.legend(*panels.flat[0].get_legend_handles_labels(),
                  loc='outside upper center', ncols=3)


def _plot(section):
    """Return the plot of a part as SVG."""
    fp = io.StringIO()

    if section.plot:
        figure = Figure(figsize=(10, 4), layout='constrained')
        section.plot(figure)
        figure.savefig(fp, format='svg')

    return fp.getvalue().partition('<svg')[2]

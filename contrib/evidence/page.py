"""The report, in Markdown: printed as it is, and made a page with plots."""

import collections
import io
import os
import platform
import time
import traceback

from markdown import markdown
from matplotlib.figure import Figure
from tabulate import tabulate

from evidence.progress import DIRECTORY, Failure
from evidence.servers import REPORTED


#: A conclusion: what's expected, what was found, and whether the two agree.
#: It's ``None`` if that did not come to the test, which is no success either.
Check = collections.namedtuple('Check', 'expected found holds')

_VERDICTS = {True: 'holds', False: '**does not hold**', None: '**not shown**'}

_HEAD = '''<!DOCTYPE html>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>The forwarding cache backend on Review Board</title>
<style>
body { font: 16px/1.5 sans-serif; margin: auto; max-width: 60em; padding: 1em }
table { border-collapse: collapse; display: block; font-size: 14px }
td, th { border-bottom: 1px solid #ccc; padding: .3em; vertical-align: top }
td { min-width: 5em; overflow-wrap: anywhere }
div, table { overflow-x: auto }
strong { color: #b00 }
svg { height: auto; min-width: 640px; width: 100% }
</style>
'''


def report(parts, options):
    """Run parts, tell what comes of them, and return if all of it holds.

    A part gives the headers and rows of a table, checks, and what to plot:
    cases with a name, a start and requests, which have a mark or not, labels
    for those without and with one, and for the start.
    """
    started, holds, html = time.time(), True, ''

    for part in parts:
        try:
            headers, rows, checks, plot = part.run(options)
        except Exception as e:
            if not isinstance(e, Failure):
                traceback.print_exc()

            headers, rows, plot = [], [], None
            checks = [Check('It can be run', e, None)]

        holds = holds and all(check.holds for check in checks)
        html += _tell('## ' + part.__doc__, headers, rows, [
            ' *  %s: %s: %s' % (_VERDICTS[check.holds], *check[:2])
            for check in checks])

        if plot:
            html += '<div>%s</div>' % _plot(*plot)

    path = DIRECTORY / 'page.html'
    html = _HEAD + _tell('# The forwarding cache backend on Review Board', [
        'Date', time.ctime(started)], [
        ['It took', '%d:%02d minutes' % divmod(time.time() - started, 60)],
        ['Machine', '%s, %d processors, Python %s'
         % (platform.platform(), os.cpu_count(), platform.python_version())],
        *([name, 'module with SHA-256 %s in each process, %d in all'
           % (sha256, number)] for (name, sha256), number in REPORTED.items()),
    ], ['%s of this holds.' % ('All' if holds else '**Not all**')]) + html
    path.write_text(html, encoding='utf-8')
    print(path)

    return holds


def _plot(cases, labels, line):
    """Return requests by time and thread, in panels side by side, as SVG."""
    rows = -(-len(cases) // 2)
    figure = Figure((10, 0.8 + 1.8 * rows), layout='constrained')
    axes = None

    for number, case in enumerate(cases, 1):
        axes = figure.add_subplot(rows, 2, number, sharex=axes)
        axes.axvline(0, color='black', label=line)

        for i, label in enumerate(labels):
            requests = [request for request in case.requests
                        if request['mark'] == i and
                        request['start'] > case.start - 10]
            axes.plot([request['start'] - case.start for request in requests],
                      [request['thread'] for request in requests],
                      ('b.', 'rx')[i], label=label, markersize=4,
                      rasterized=True)

        axes.set_title(case.name, fontsize=8)
        axes.set(xlabel='Seconds', ylabel='Threads', yticks=[])

    figure.legend(*axes.get_legend_handles_labels(),
                  loc='outside upper center', ncols=3)
    svg = io.StringIO()
    figure.savefig(svg, format='svg')

    return '<svg' + svg.getvalue().partition('<svg')[2]


def _tell(text, headers, rows, lines):
    """Print Markdown with a table and further lines, and return its HTML."""
    text = '\n'.join([text.rstrip(), '', tabulate(rows, headers, 'github'), '',
                      *lines, ''])
    print(text, flush=True)

    return markdown(text, extensions=['tables'])

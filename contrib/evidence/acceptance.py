"""Shows the reported bug and its fix on Review Board itself.

What it needs is installed into build/ at the first run. The exit status is 0
if everything that's claimed was shown.
"""

import importlib
import os
import platform
import shutil
import time
import traceback

from djblets_backport.check import Parser
from evidence.program import CONTRIB, Failure, enter_environment


def main():
    """Run the parts that were asked for, and return the exit status."""
    names = sorted(path.stem for path in CONTRIB.glob('evidence/parts/*.py'))
    parser = Parser(prog='acceptance', description=__doc__)
    parser.add_argument('parts', nargs='*', metavar='PART', default='all',
                        choices=['all', *names],
                        help='%s (default: all)' % ', '.join(names))
    options = parser.parse_args()

    for program in ('git', 'memcached'):
        if not shutil.which(program):
            parser.error('there is no %s on the PATH. "apt-get install %s" '
                         'brings it' % (program, program))

    with enter_environment('acceptance'):
        # The servers are on loopback.
        os.environ['no_proxy'] = '127.0.0.1,' + os.environ.get(
            'no_proxy', os.environ.get('NO_PROXY', ''))
        started = time.time()
        holds = [_run(name) for name in names
                 if name in options.parts or 'all' in options.parts]

    print('%s of this holds. %s, %d:%02d minutes, %s, %d processors' % (
        'All' if all(holds) else 'NOT ALL', time.strftime('%Y-%m-%d'),
        *divmod(time.time() - started, 60), platform.platform(),
        os.cpu_count()))

    return 0 if all(holds) else 1


def _run(name):
    """Run a part, tell what comes of it, and return if all of it holds."""
    from evidence import report

    part = importlib.import_module('evidence.parts.' + name)

    try:
        result = part.run()
    except Exception as e:
        # The other parts are run all the same.
        if not isinstance(e, Failure):
            traceback.print_exc()

        print('%s\n *  DOES NOT HOLD: It can be run: %s\n' % (
            part.__doc__, e), flush=True)

        return False

    report.tell(part.__doc__, result)

    if result.trials:
        report.draw(name, result)

    return all(check.holds for check in result.checks)

"""The third part: a broken cache backend in the database, which is repaired.

It's put there by hand, since the settings form would not accept it.
"""

import time

from acceptance_site.load import Load


#: The modules that each release is tried with.
MODULES = {
    '8.1': ('6.1', 'series'),
    '2.0.16': ('0.8.13', 'series'),
}

BROKEN_BACKEND = 'no_such_package.NoSuchCache'

NUM_THREADS = 8

#: What each phase takes at least. Errors come so fast that the requests alone
#: would leave no time to recover.
PHASE_SECONDS = 5

PHASES = ('before', 'broken', 'repaired')


class RepairResult:
    """What came of a broken backend, with one release and module.

    Attributes:
        answers (list of tuple):
            The time and status of each request.

        phases (dict):
            The times at which each phase began and ended.

        messages (int):
            The lines in the logs that name the broken backend.
    """

    def __init__(self, release, module):
        """Initialize the result.

        Args:
            release (str):
                The Review Board release.

            module (str):
                The name of the module.
        """
        self.release = release
        self.module = module
        self.phases = {}

    def get_statuses(self, phase):
        """Return the statuses of the answers in a phase.

        Args:
            phase (str):
                The phase.

        Returns:
            list of int:
            The HTTP statuses.
        """
        start, end = self.phases[phase]

        return [status for answered, status in self.answers
                if start <= answered <= end]

    def count_errors(self, phase):
        """Return the number of HTTP 500s in a phase.

        Args:
            phase (str):
                The phase.

        Returns:
            int:
            The number of them, and of requests without an answer.
        """
        return sum(status in (0, 500) for status in self.get_statuses(phase))

    @property
    def recovered(self):
        """Whether the second half after the repair was free of errors."""
        statuses = self.get_statuses('repaired')

        return not {0, 500}.intersection(statuses[len(statuses) // 2:])


def repair(run):
    """Break and repair the backend, with each release and module.

    Args:
        run (acceptance_site.run.Run):
            What the parts of the run share.

    Returns:
        list of RepairResult:
        The results.
    """
    results = []

    for release, modules in MODULES.items():
        site = run.get_site(release)

        with run.start_memcached() as memcached:
            run.make_site(site, memcached)

            for module in modules:
                result = RepairResult(release, module)
                _repair_under_load(run, site, memcached, result)
                results.append(result)

    return results


def _repair_under_load(run, site, memcached, result):
    """Break and repair the backend while there's load.

    Args:
        run (acceptance_site.run.Run):
            What the parts of the run share.

        site (acceptance_site.review_board.Site):
            The site.

        memcached (acceptance_site.memcached.Memcached):
            The cache server.

        result (RepairResult):
            What to add the results to.
    """
    memcached.flush()
    site.use_memcached(memcached)

    with run.start_server(site, result.module, 'repair', [memcached], 1,
                          NUM_THREADS) as server:
        with Load(server, run.options.clients) as load:
            for phase in PHASES:
                if phase == 'broken':
                    site.run_module('set_cache', BROKEN_BACKEND, '')
                elif phase == 'repaired':
                    site.use_memcached(memcached)

                start = time.time()
                load.wait_for(run.options.requests // 20, run.show(phase),
                              seconds=PHASE_SECONDS)
                result.phases[phase] = start, time.time()

        result.answers = load.answers
        result.messages = sum(
            BROKEN_BACKEND in line
            for line in server.read_logs().splitlines())

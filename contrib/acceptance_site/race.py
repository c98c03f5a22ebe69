"""The first part: Review Board 2.0.16, whose every request resets the cache.

This is where the bug of the original report shows: a thread finds the cache
without a backend while another one resets it.
"""

from acceptance_site.load import Load
from acceptance_site.server import count_exceptions


RELEASE = '2.0.16'
MODULES = ('0.8.13', '0.8.29', 'series')
NUM_THREADS = 16

#: It's a race. The first module's load is repeated until this many errors were
#: seen, but not for ever, and the others then get as many requests.
ENOUGH_ERRORS = 3
MAX_ROUNDS = 5


class RaceResult:
    """What came of the load, with one module.

    Attributes:
        answers (list of tuple):
            The time and status of each request.

        started (float):
            The time at which the load began.

        seconds (float):
            How long it took.

        connections (int):
            The connections that were opened to memcached.

        exceptions (collections.Counter):
            The exceptions that were seen around the application, by name.

        logged (collections.Counter):
            The exceptions in the logs, by name.
    """

    def __init__(self, module):
        """Initialize the result.

        Args:
            module (str):
                The name of the module.
        """
        self.module = module

    @property
    def errors(self):
        """The answers with an HTTP 500, or without any answer."""
        return [answer for answer in self.answers
                if answer[1] in (0, 500)]

    @property
    def requests_per_second(self):
        """The throughput."""
        return len(self.answers) / self.seconds

    @property
    def connections_per_request(self):
        """The connections to memcached that a request opened."""
        return self.connections / len(self.answers)


def race(run):
    """Put load on Review Board with each module.

    Args:
        run (acceptance_site.run.Run):
            What the parts of the run share.

    Returns:
        list of RaceResult:
        The results.
    """
    site = run.get_site(RELEASE)
    results = []

    with run.start_memcached() as memcached:
        run.make_site(site, memcached)

        max_rounds = MAX_ROUNDS

        for module in MODULES:
            result = RaceResult(module)
            max_rounds = _put_load_on(run, site, memcached, result,
                                      max_rounds, not results)
            results.append(result)

    return results


def _put_load_on(run, site, memcached, result, max_rounds, may_end):
    """Put load on Review Board.

    Args:
        run (acceptance_site.run.Run):
            What the parts of the run share.

        site (acceptance_site.review_board.Site):
            The site.

        memcached (acceptance_site.memcached.Memcached):
            The cache server.

        result (RaceResult):
            What to add the results to.

        max_rounds (int):
            How often to put the load on.

        may_end (bool):
            Whether to end when enough errors were seen.

    Returns:
        int:
        How often the load was put on.
    """
    memcached.flush()

    with run.start_server(site, result.module, 'race', [memcached], 1,
                          NUM_THREADS) as server:
        load = Load(server, run.options.clients)
        connections = memcached.total_connections
        result.answers = load.answers

        with load:
            for i in range(1, max_rounds + 1):
                load.wait_for(run.options.requests,
                              run.show('round %d' % i))

                if may_end and len(result.errors) >= ENOUGH_ERRORS:
                    break

        # All that were sent have been answered by now.
        result.connections = memcached.total_connections - connections
        result.started = load.started
        result.seconds = load.answers[-1][0] - load.started
        result.logged = server.count_logged_exceptions()
        result.exceptions = count_exceptions(server.read_records())

    return i

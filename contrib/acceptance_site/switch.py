"""The second part: the cache server is changed in the settings form.

The old server is the only one, or one of a pool of two. Processes of Review
Board tell each other about new settings by a number in the cache. When the
server is the only one, a thread that's left behind finds another number than
the other threads do, and for that reason loads the settings again. In a pool,
the number can be on the server that stays. Then nothing helps such a thread.
"""

from pymemcache.client.rendezvous import RendezvousHash

from acceptance_site.load import (Load, LoadError, SETTINGS_URL,
                                  change_cache_host, log_in)
from acceptance_site.review_board import get_location
from acceptance_site.server import count_exceptions


RELEASE = '8.1'
MODULES = ('6.1', 'series')

#: The number of processes, the number of threads in each, and whether the old
#: server is one of a pool.
LAYOUTS = ((1, 8, False), (2, 4, False), (2, 6, True))


class SwitchResult:
    """What came of changing the server, with one module in one layout.

    Attributes:
        records (list of dict):
            The records of all requests.

        ports (tuple of int):
            The ports of the old, the new and the other server.

        old_commands (int):
            The commands that came to the old server after the change, counted
            by it.

        old_connections (int):
            The connections that were opened to the old server after that.

        old_open (list of str):
            The threads whose connections to it were still open in the end.

        exceptions (collections.Counter):
            The exceptions that were seen around the application, by name.

        logged (collections.Counter):
            The exceptions in the logs, by name.
    """

    def __init__(self, module, num_processes, num_threads, pool):
        """Initialize the result.

        Args:
            module (str):
                The name of the module.

            num_processes (int):
                The number of processes.

            num_threads (int):
                The number of threads in each process.

            pool (bool):
                Whether the old server is one of a pool.
        """
        self.module = module
        self.num_processes = num_processes
        self.num_threads = num_threads
        self.pool = pool

    @property
    def layout(self):
        """What the server's like, and what was changed."""
        return '%d x %d threads, %s' % (
            self.num_processes, self.num_threads,
            'A, C to B, C' if self.pool else 'A to B')

    @property
    def saves(self):
        """The requests that saved the form."""
        return [record for record in self.records
                if record['method'] == 'POST' and
                record['path'] == SETTINGS_URL]

    @property
    def switched(self):
        """The time at which the form was saved, for good."""
        return self.saves[-1]['end']

    def get_configured(self):
        """Return the cache servers in the settings of the processes.

        Returns:
            set of str:
            The locations, as of the latest request of each process.
        """
        return set(dict((record['pid'], record['configured'])
                        for record in self.records).values())

    @property
    def threads(self):
        """The threads, as tuples of process and thread ID."""
        return sorted(set(get_thread(record) for record in self.records))

    @property
    def later_records(self):
        """The requests that began after the change, by thread."""
        later = dict((thread, []) for thread in self.threads)
        switched = self.switched

        for record in self.records:
            if record['start'] > switched:
                later[get_thread(record)].append(record)

        return later

    def uses(self, record, i):
        """Return whether a request used one of the servers.

        Args:
            record (dict):
                The request's record.

            i (int):
                The index of the server's port.

        Returns:
            bool:
            Whether it did.
        """
        return record['commands'][str(self.ports[i])] > 0

    @property
    def stale_requests(self):
        """The requests to the old server, after one by the same thread."""
        return [record for records in self.later_records.values()
                for record in records[1:] if self.uses(record, 0)]

    @property
    def stale_threads(self):
        """The threads that used the old server in one of their last requests.

        With a pool, not every request has something on each of the servers.
        """
        return [thread for thread, records in self.later_records.items()
                if any(self.uses(record, 0) for record in records[-5:])]

    @property
    def errors(self):
        """The requests that ended with an HTTP 500."""
        return [record for record in self.records if record['status'] == 500]


def get_thread(record):
    """Return the thread of a request.

    Args:
        record (dict):
            The request's record.

    Returns:
        tuple of int:
        The process and thread ID.
    """
    return record['pid'], record['thread']


def switch(run):
    """Change the cache server with each module, in each layout.

    Args:
        run (acceptance_site.run.Run):
            What the parts of the run share.

    Returns:
        list of SwitchResult:
        The results.
    """
    site = run.get_site(RELEASE)
    results = []

    with run.start_memcached() as old, run.start_memcached() as new:
        run.make_site(site, old)

        with _get_third_memcached(run, old, new) as third:
            for layout in LAYOUTS:
                for module in MODULES:
                    result = SwitchResult(module, *layout)
                    _switch_under_load(run, site, old, new, third, result)
                    results.append(result)

    return results


def _get_third_memcached(run, old, new):
    """Return a server that has the number in a pool with each other server.

    Args:
        run (acceptance_site.run.Run):
            What the parts of the run share.

        old (acceptance_site.memcached.Memcached):
            The old server, which has the number now.

        new (acceptance_site.memcached.Memcached):
            The new server.

    Returns:
        acceptance_site.memcached.Memcached:
        The server, to be started.
    """
    key = next(key for key in old.get_keys()
               if key.endswith(':siteconfig:1:generation'))

    # What's on which server depends on the addresses, as clients hash them.
    for i in range(100):
        third = run.start_memcached()

        if all(RendezvousHash([other.location, third.location]).get_node(key)
               == third.location for other in (old, new)):
            return third

    raise LoadError('No port suits the third memcached server')


def _switch_under_load(run, site, old, new, third, result):
    """Change the cache server while there's load.

    Args:
        run (acceptance_site.run.Run):
            What the parts of the run share.

        site (acceptance_site.review_board.Site):
            The site.

        old (acceptance_site.memcached.Memcached):
            The old server.

        new (acceptance_site.memcached.Memcached):
            The new server.

        third (acceptance_site.memcached.Memcached):
            The other server of the pool.

        result (SwitchResult):
            What to add the results to.
    """
    memcacheds = (old, new, third)
    others = (third,) if result.pool else ()
    new_location = get_location((new,) + others)
    num_threads = result.num_processes * result.num_threads
    result.ports = tuple(memcached.port for memcached in memcacheds)

    for memcached in memcacheds:
        memcached.flush()

    site.use_memcached(old, *others)

    with run.start_server(site, result.module,
                          'switch-pool' if result.pool else 'switch',
                          memcacheds, result.num_processes,
                          result.num_threads) as server:
        admin = log_in(server, 'admin')

        with Load(server, run.options.clients) as load:
            # Threads are started as they're needed.
            for i in range(20):
                load.wait_for(run.options.requests // 20,
                              run.show('before the change'))
                result.records = server.read_records()

                if len(result.threads) == num_threads:
                    break
            else:
                raise LoadError('Only %d of %d threads were used'
                                % (len(result.threads), num_threads))

            # Other threads can read the old settings while the new ones are
            # being saved, and keep them as if they were new. An administrator
            # would have to save them again.
            for i in range(5):
                change_cache_host(admin, server, new_location)
                old_commands = old.total_commands
                old_connections = old.total_connections
                load.wait_for(run.options.requests // 20,
                              run.show('after the change'))
                result.records = server.read_records()

                if result.get_configured() == {new_location}:
                    break
            else:
                raise LoadError('The settings are %s, rather than %s'
                                % (' and '.join(result.get_configured()),
                                   new_location))

            load.wait_for(run.options.requests // 5,
                          run.show('after the change'))

        result.records = server.read_records()
        result.old_commands = old.total_commands - old_commands
        result.old_connections = old.total_connections - old_connections
        threads = dict(
            (local_port, thread) for record in result.records
            for port, local_port, thread in record['connections']
            if port == old.port)
        result.old_open = [threads[port] for port in old.get_client_ports()]
        result.exceptions = count_exceptions(result.records)
        result.logged = server.count_logged_exceptions()

"""The load on a server: real pages and API calls, by many clients at once."""

import itertools
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import requests

from evidence.progress import Failure, show
from evidence.servers import NUM_REVIEW_REQUESTS, NUM_USERS, PASSWORD


#: Pages and API calls that all releases have. Anyone may see these.
URLS = '''
    /r/ /r/?view=all /r/%(number)d/ /users/ /users/user%(user)d/ /groups/
    /account/login/ /api/ /api/info/ /api/session/ /api/users/
    /api/users/user%(user)d/ /api/groups/ /api/review-requests/
    /api/review-requests/?counts-only=1 /api/review-requests/%(number)d/
    /api/review-requests/%(number)d/reviews/
'''.split()

#: These need a login, which half of the clients have.
USER_URLS = URLS + ['/dashboard/', '/account/preferences/']


def log_in(server, username):
    """Return a session in which a user is logged in, for pages as well."""
    session = requests.Session()
    session.get(server.root + '/api/session/', timeout=60,
                auth=(username, PASSWORD)).raise_for_status()

    return session


class Load:
    """Clients that send requests while a ``with`` statement runs."""

    def __init__(self, server, num_clients=16):
        """Log every other client in."""
        self.server = server
        self.unanswered = 0
        self._counter = itertools.count()
        self._clients = [
            (log_in(server, 'user%d' % (i % NUM_USERS + 1)), USER_URLS)
            if i % 2 else (requests.Session(), URLS)
            for i in range(num_clients)
        ]

    def __enter__(self):
        """Start the clients."""
        self._stopping = threading.Event()
        self._executor = ThreadPoolExecutor(len(self._clients))
        self._executor.map(self._send_requests, *zip(*self._clients))

        return self

    def __exit__(self, *args):
        """Stop the clients."""
        self._stopping.set()
        self._executor.shutdown()

    def _send_requests(self, session, urls):
        """Send requests with one client."""
        while not self._stopping.is_set():
            i = next(self._counter)
            path = urls[i % len(urls)] % {
                'number': i * 7 % NUM_REVIEW_REQUESTS + 1,
                'user': i * 5 % NUM_USERS + 1}

            try:
                session.get(self.server.root + path, timeout=60,
                            allow_redirects=False)
            except Exception:
                self.unanswered += 1

    def wait(self, number, what, until=lambda: False):
        """Wait for further requests, or until something is so."""
        before = len(self.server.get_requests())

        while not until():
            new = self.server.get_requests()[before:]
            show('%s: %d of %d requests' % (what, len(new), number))

            for request in new:
                if 400 <= request['status'] < 500:
                    raise Failure('HTTP status %(status)d for %(path)s'
                                  % request)

            if self.unanswered > len(self._clients):
                raise Failure('No answer to %d requests' % self.unanswered)

            if len(new) >= number:
                return False

            time.sleep(0.1)

        return True

    def use_all_threads(self):
        """Wait until each of the server's threads has answered a request."""
        self.repeat('Starting threads', lambda: self.server.num_threads == len(
            {request['thread'] for request in self.server.get_requests()}))

    def repeat(self, what, is_done, function=lambda: None):
        """Do something until it's done in all processes, ten times at most.

        Djblets tells of a new configuration before it stores it. A process
        that looks in between keeps the one before.
        """
        for _ in range(10):
            function()

            if self.wait(200, what, is_done):
                return

        raise Failure('%s: this has not reached all processes' % what)

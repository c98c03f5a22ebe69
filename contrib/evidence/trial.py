"""An installation under load: real pages and API calls, by many clients."""

import collections
import itertools
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import requests

from evidence.program import PATIENCE, Failure, show_progress
from evidence.servers import NUM_REVIEW_REQUESTS, NUM_USERS, Server


#: Pages and API calls that all releases have, and that anyone may see.
URLS = '''
    /r/ /r/?view=all /r/%(number)d/ /users/ /users/user%(user)d/ /groups/
    /account/login/ /api/ /api/info/ /api/session/ /api/users/
    /api/users/user%(user)d/ /api/groups/ /api/review-requests/
    /api/review-requests/?counts-only=1 /api/review-requests/%(number)d/
    /api/review-requests/%(number)d/reviews/
'''.split()

NUM_CLIENTS = 16

#: A change is made up to so often, until it has reached all processes. Each
#: time, it has so many requests for that.
MAX_ATTEMPTS = 30
ATTEMPT_REQUESTS = 100


class Trial(Server):
    """A server, with clients that send requests.

    At the end, ``requests`` has what the server recorded of each, which is
    ``highlighted`` if it has an error that the trial is about. How many other
    errors there are is in ``others``, by their text.
    """

    def __init__(self, site, installation, part, urls=URLS, **size):
        """Prepare it. The size is that of the server."""
        super().__init__(site, installation, part, **size)
        self.name = installation.name
        self._urls = urls
        self._counter = itertools.count()
        self._stopping = threading.Event()
        self._clients = ThreadPoolExecutor(NUM_CLIENTS)
        self._unanswered = []

    def __enter__(self):
        """Start the server and the clients."""
        super().__enter__()
        self.started = time.time()

        for _ in range(NUM_CLIENTS):
            self._clients.submit(self._send_requests)

        return self

    def __exit__(self, exc_type, *args):
        """Stop them. Clients have their last answers, if all is well."""
        self._stopping.set()
        self._clients.shutdown(wait=exc_type is None)
        super().__exit__(exc_type, *args)

        if exc_type is None and self._unanswered:
            raise Failure('no answer: %s' % self._unanswered[0])

    def _send_requests(self):
        """Send requests with one client."""
        session = requests.Session()

        while not self._stopping.is_set():
            i = next(self._counter)
            path = self._urls[i % len(self._urls)] % {
                'number': i * 7 % NUM_REVIEW_REQUESTS + 1,
                'user': i * 5 % NUM_USERS + 1}

            try:
                session.get(self.root + path, timeout=PATIENCE,
                            allow_redirects=False)
            except Exception as e:
                self._unanswered.append('%s: %s' % (path, e))

    def wait(self, number, what, is_done=lambda: False):
        """Wait for further requests, and return whether something was done.

        Once it's done, no more requests are waited for.
        """
        before = len(self.get_requests())

        while not is_done():
            new = self.get_requests()[before:]
            show_progress('%s: %d of %d requests' % (what, len(new), number))
            wrong = self._unanswered + [
                '%(path)s: HTTP status %(status)d' % request
                for request in new if 400 <= request['status'] < 500]

            if wrong:
                raise Failure('no page: %s' % wrong[0])

            if len(new) >= number:
                return False

            time.sleep(0.1)

        return True

    def repeat(self, what, is_done, function=lambda: None):
        """Do something again until it's done in all processes.

        Djblets tells of a new configuration before it stores it. A process
        that looks in between keeps the one before.
        """
        for _ in range(MAX_ATTEMPTS):
            function()

            if self.wait(ATTEMPT_REQUESTS, what, is_done):
                return

        raise Failure('%s: this has not reached all processes' % what)

    def use_all_threads(self, number):
        """Wait until each of the server's threads has answered requests."""
        start = time.time()

        def _is_done():
            counts = collections.Counter(
                request['thread'] for request in self.get_requests()
                if request['start'] >= start)

            return (len(counts) == self.num_threads and
                    min(counts.values()) >= number)

        self.repeat('%d requests for each thread' % number, _is_done)

    def sort_errors(self, is_expected=lambda *args: False):
        """Tell errors that the trial is about from all others.

        An HTTP status of 500 or more without an exception is one of those.
        """
        self.requests = self.get_requests()
        self.others = collections.Counter()

        for request in self.requests:
            others = [text for text, path in request['errors']
                      if not is_expected(request, text, path)]
            request['highlighted'] = len(others) < len(request['errors'])

            if request['status'] >= 500 and not request['errors']:
                others.append('HTTP %(status)d without exception' % request)

            self.others.update(text[:60] for text in others)

    def count(self, start=0, end=float('inf')):
        """Return how many requests of a time are highlighted, of how many."""
        found = [request['highlighted'] for request in self.requests
                 if start <= request['start'] < end]

        return sum(found), len(found)

    def make_row(self, *columns):
        """Return a row of a table, which ends with the other errors."""
        return [self.name, *columns, ', '.join(
            '%d %s' % (number, text)
            for text, number in self.others.most_common()) or 'none']

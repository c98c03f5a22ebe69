"""The load on a server: real pages and API calls, by many clients at once."""

import itertools
import threading
import time

import mechanicalsoup
import requests

from evidence.progress import Failure, show
from evidence.servers import NUM_REVIEW_REQUESTS, NUM_USERS, PASSWORD


#: Pages and API calls that all releases have. Anyone may see these.
URLS = '''
    /r/ /r/?view=all /r/%(review_request)d/ /users/ /users/user%(user)d/
    /groups/ /groups/group1/ /account/login/ /api/ /api/info/ /api/session/
    /api/users/ /api/users/user%(user)d/ /api/groups/ /api/review-requests/
    /api/review-requests/?counts-only=1
    /api/review-requests/%(review_request)d/
    /api/review-requests/%(review_request)d/reviews/
'''.split()

#: These need a login, which half of the clients have.
USER_URLS = URLS + ['/dashboard/', '/account/preferences/']


def log_in(server, username):
    """Return a browser in which a user has logged in through the form."""
    browser = mechanicalsoup.StatefulBrowser()
    browser.open(server.url + '/account/login/', timeout=60)
    browser.select_form('form:has(input[name="password"])')
    browser['username'] = username
    browser['password'] = PASSWORD
    response = browser.submit_selected(timeout=60)

    if response.status_code != 200 or '/account/login/' in browser.url:
        raise Failure('%s could not log in: HTTP status %d; see %s'
                      % (username, response.status_code, server.log))

    return browser


class Load:
    """Clients that send requests while a ``with`` statement runs."""

    def __init__(self, server, num_clients=16):
        """Log every other client in."""
        self.server = server
        # The time and HTTP status of each, which is 0 without an answer.
        self.answers = []
        self._refused = []
        self._counter = itertools.count()
        self._sessions = [
            log_in(server, 'user%d' % (i % NUM_USERS + 1)).session
            if i % 2 else requests.Session()
            for i in range(num_clients)
        ]

    def __enter__(self):
        self._stopping = threading.Event()
        self._threads = [
            threading.Thread(target=self._send_requests, daemon=True,
                             args=(session, USER_URLS if i % 2 else URLS))
            for i, session in enumerate(self._sessions)
        ]

        for thread in self._threads:
            thread.start()

        return self

    def __exit__(self, *args):
        self._stopping.set()

        for thread in self._threads:
            thread.join(90)

    def _send_requests(self, session, urls):
        """Send requests with one client."""
        while not self._stopping.is_set():
            i = next(self._counter)
            path = urls[i % len(urls)] % {
                'review_request': i * 7 % NUM_REVIEW_REQUESTS + 1,
                'user': i * 5 % NUM_USERS + 1,
            }

            try:
                status = session.get(self.server.url + path, timeout=60,
                                     allow_redirects=False).status_code
            except requests.RequestException:
                status = 0

            if 400 <= status < 500:
                self._refused.append((status, path))

            self.answers.append((time.time(), status))

    def wait(self, number, what, until=lambda: False):
        """Wait for further answers, or until something is so, if it gets so.
        """
        first = len(self.answers)
        deadline = time.monotonic() + 60 + number

        while not until():
            answered = len(self.answers) - first
            show('%s: %d of %d requests' % (what, answered, number))

            if answered >= number:
                return False

            if self._refused or time.monotonic() > deadline:
                raise Failure('%s: no more than %d of %d requests were '
                              'answered, and these refused: %s; see %s'
                              % (what, answered, number, self._refused,
                                 self.server.log))

            time.sleep(0.1)

        return True

    def use_all_threads(self):
        """Wait until each of the server's threads has answered a request."""
        number = self.server.num_processes * self.server.num_threads

        # They're started as they're needed.
        if not self.wait(4000, 'Starting %d threads' % number,
                         lambda: len(self.server.get_threads()) == number):
            raise Failure('Some threads were never used; see %s'
                          % self.server.log)

    def repeat(self, what, function, is_done):
        """Change the configuration, until it's done in all processes.

        Djblets tells of a new configuration before it stores it. A process
        that looks in between keeps the one before. What tells if it's done is
        given a time from which on requests count.
        """
        for number in range(1, 11):
            function()
            changed = time.time()

            if self.wait(200, what, lambda: is_done(changed)):
                return number

        raise Failure('%s: this has not reached all processes; see %s'
                      % (what, self.server.log))

    def is_configured(self, addresses, since):
        """Return whether all processes have these cache servers configured."""
        configured = {request['pid']: request['configured']
                      for request in self.server.get_requests()
                      if request['start'] > since}

        return ([*configured.values()] ==
                [addresses] * self.server.num_processes)

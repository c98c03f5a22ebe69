"""The load on a server: real pages and API calls, by many clients at once."""

import itertools
import random
import threading
import time

import mechanicalsoup
import requests

from djblets_backport.errors import BackportError

from acceptance_site.review_board import (NUM_REVIEW_REQUESTS, NUM_USERS,
                                          PASSWORD)


# Pages and API calls that both releases have. Anyone may see these.
URLS = [
    '/r/',
    '/r/?view=all',
    '/r/%(review_request)d/',
    '/users/',
    '/users/user%(user)d/',
    '/groups/',
    '/groups/group1/',
    '/account/login/',
    '/api/',
    '/api/info/',
    '/api/session/',
    '/api/users/',
    '/api/users/user%(user)d/',
    '/api/groups/',
    '/api/review-requests/',
    '/api/review-requests/?counts-only=1',
    '/api/review-requests/%(review_request)d/',
    '/api/review-requests/%(review_request)d/reviews/',
]

# These need a login.
USER_URLS = [
    '/dashboard/',
    '/account/preferences/',
]

SETTINGS_URL = '/admin/settings/general/'


class LoadError(BackportError):
    """The load did not go as it should."""


def log_in(server, username):
    """Log in through the form.

    Args:
        server (acceptance_site.server.Server):
            The server.

        username (str):
            The name of the user.

    Returns:
        mechanicalsoup.StatefulBrowser:
        A browser that's logged in.

    Raises:
        LoadError:
            The server did not accept the login.
    """
    browser = mechanicalsoup.StatefulBrowser()
    browser.open(server.url + '/account/login/', timeout=60)
    browser.select_form('form:has(input[name="password"])')
    browser['username'] = username
    browser['password'] = PASSWORD
    response = browser.submit_selected(timeout=60)

    if response.status_code != 200 or '/account/login/' in browser.url:
        raise LoadError('%s could not log in: HTTP status %d at %s'
                        % (username, response.status_code, browser.url))

    return browser


def change_cache_host(browser, server, location):
    """Change the cache server in the settings form.

    Args:
        browser (mechanicalsoup.StatefulBrowser):
            A browser that's logged in as the administrator.

        server (acceptance_site.server.Server):
            The server.

        location (str):
            The new location.

    Raises:
        LoadError:
            The form was not accepted.
    """
    browser.open(server.url + SETTINGS_URL, timeout=60)
    browser.select_form('#settings_form')
    browser['cache_host'] = location
    response = browser.submit_selected(allow_redirects=False, timeout=60)

    # A form with an error is shown again, rather than being left.
    if response.status_code != 302:
        raise LoadError('The settings form was not accepted: HTTP status %d '
                        'for %s; see %s'
                        % (response.status_code, location, server.log))


class Load:
    """Clients that send requests until they're stopped.

    This is a context manager, which starts and stops the clients. Half of them
    are logged in.

    Attributes:
        answers (list of tuple):
            The time and the HTTP status of each request that was answered.
            The status is 0 if there was no answer.

        started (float):
            The time at which the clients were started.
    """

    def __init__(self, server, num_clients):
        """Initialize the load, and log the clients in.

        Args:
            server (acceptance_site.server.Server):
                The server.

            num_clients (int):
                The number of clients.
        """
        self.server = server
        self.answers = []
        self.refused = []
        self.stopping = threading.Event()
        self.threads = [
            threading.Thread(target=self._send_requests, args=(i,),
                             daemon=True)
            for i in range(num_clients)
        ]
        self.sessions = [
            log_in(server, 'user%d' % (i % NUM_USERS + 1)).session
            if i % 2 else requests.Session()
            for i in range(num_clients)
        ]

    def __enter__(self):
        self.started = time.time()

        for thread in self.threads:
            thread.start()

        return self

    def __exit__(self, exc_type, *args):
        self.stopping.set()

        if exc_type is None:
            for thread in self.threads:
                thread.join(90)

    def _send_requests(self, i):
        session = self.sessions[i]
        chooser = random.Random(i)
        urls = URLS + USER_URLS if i % 2 else URLS

        # Start in different places, so that not all want the same page.
        urls = itertools.islice(itertools.cycle(urls), i, None)

        while not self.stopping.is_set():
            path = next(urls) % {
                'review_request': chooser.randint(1, NUM_REVIEW_REQUESTS),
                'user': chooser.randint(1, NUM_USERS),
            }

            try:
                status = session.get(self.server.url + path,
                                     allow_redirects=False,
                                     timeout=60).status_code
            except requests.RequestException:
                status = 0

            if 400 <= status < 500:
                self.refused.append((status, path))

            self.answers.append((time.time(), status))

    def wait_for(self, num_requests, progress, seconds=0, timeout=300):
        """Wait until a number of further requests were answered.

        Args:
            num_requests (int):
                The number of requests.

            progress (callable):
                Called with the number so far, and the number in all.

            seconds (float, optional):
                The seconds to wait at least.

            timeout (float, optional):
                The seconds to wait at most.

        Raises:
            LoadError:
                The server took too long, or refused a request.
        """
        first = len(self.answers)
        start = time.monotonic()
        deadline = start + timeout

        while (len(self.answers) - first < num_requests or
               time.monotonic() - start < seconds):
            if time.monotonic() > deadline:
                raise LoadError('%d requests took more than %d seconds; see '
                                '%s'
                                % (num_requests, timeout, self.server.log))

            if self.refused:
                raise LoadError('HTTP status %d for %s, which should be there'
                                % self.refused[0])

            progress(min(len(self.answers) - first, num_requests),
                     num_requests)
            time.sleep(0.1)

        progress(num_requests, num_requests)

"""The fourth part: the series is posted to Review Board, and reviewed.

It's posted and applied with RBTools. Review Bot's worker gets its tasks from
Redis, and looks at what was posted.
"""

import shutil
from pathlib import Path

import requests
from djblets_backport.bootstrap import ensure_environment
from djblets_backport.catalogue import MODULE_PATH, find_release
from djblets_backport.errors import BackportError
from djblets_backport.series import read_payload

from acceptance_site import processes
from acceptance_site.installation import SERIES
from acceptance_site.review_board import PASSWORD
from acceptance_site.review_bot import Redis, ReviewBot
from acceptance_site.review_repository import ReviewRepository, TOPIC


RELEASE = '8.1'

#: The releases of Djblets that the series is posted for, with their branches.
BRANCHES = {
    '0.8.13': 'release-0.8.x',
    '6.1': 'release-6.x',
}

#: The branch that ``.reviewboardrc`` is for.
DEFAULT_BRANCH = 'release-0.8.x'

AUTHOR = 'user1'
REVIEWER = 'user2'

#: What each tool has something to say of.
BAD_PATH = 'djblets/cache/bad.py'
BAD_FILE = b'import os\nx = %s\n' % (b'1' * 90)


class ReviewResult:
    """What came of posting a change.

    Attributes:
        review_request (dict):
            The review request, as the API gives it in the end.

        messages (list of str):
            The messages of the commits, as the API gives them.

        files (dict):
            The changed files as Review Board has patched them, by path.

        applied (bool):
            Whether ``rbt patch`` has made the very tree that was posted.

        status_updates (dict):
            The states of what Review Bot ran, by the name of the tool.
    """

    def __init__(self, title, branch, fields, expected_messages,
                 expected_files):
        """Initialize the result.

        Args:
            title (str):
                What was posted.

            branch (str):
                The branch that it's for.

            fields (dict):
                The summary, description and testing of the change.

            expected_messages (list of str):
                The messages of the commits.

            expected_files (dict):
                The contents of the changed files, by path.
        """
        self.title = title
        self.branch = branch
        self.fields = fields
        self.expected_messages = expected_messages
        self.expected_files = expected_files

    @property
    def differences(self):
        """The names of what isn't on Review Board as it was posted."""
        expected = dict(self.fields, branch=self.branch, public=True,
                        status='pending')
        names = [name for name, value in expected.items()
                 if self.review_request[name] != value]

        if self.messages != self.expected_messages:
            names.append('commits')

        if self.files != self.expected_files:
            names.append('files')

        return names

    @property
    def issues(self):
        """The number of open issues."""
        return self.review_request['issue_open_count']


class _Client:
    """A client of the server's API."""

    def __init__(self, server):
        """Initialize the client.

        Args:
            server (acceptance_site.server.Server):
                The server.
        """
        self.url = server.url
        self.session = requests.Session()
        self.session.auth = AUTHOR, PASSWORD

    def get(self, path, **params):
        """Return what the API answers.

        Args:
            path (str):
                The path below that of the API.

            **params (dict):
                The query's parameters.

        Returns:
            dict:
            The answer.
        """
        response = self.session.get('%s/api/%s' % (self.url, path),
                                    params=params, timeout=60)
        response.raise_for_status()

        return response.json()

    def get_bytes(self, url):
        """Return the contents of a URL.

        Args:
            url (str):
                The URL.

        Returns:
            bytes:
            The contents.
        """
        response = self.session.get(url, timeout=60)
        response.raise_for_status()

        return response.content


def split_message(message):
    """Return the fields of a review request from a commit's message.

    Args:
        message (str):
            The message, in the form of Review Board's own.

    Returns:
        dict:
        The summary, the description and the testing.
    """
    summary, body = message.split('\n\n', 1)
    description, testing = body.split('\n\nTesting Done:\n')

    return {
        'summary': summary,
        'description': description,
        # The fields for packagers come after it.
        'testing_done': testing.split('\n\nOrigin:')[0],
    }


def review(run):
    """Post the series, and a bad change, and have them reviewed.

    Args:
        run (acceptance_site.run.Run):
            What the parts of the run share.

    Returns:
        list of ReviewResult:
        The results.
    """
    redis_command = shutil.which('redis-server')

    if redis_command is None:
        raise BackportError('No redis-server was found on the PATH (Debian: '
                            'redis-server)')

    bin_dir = Path(ensure_environment(
        'acceptance-review',
        str(Path(__file__).parent / 'requirements-review.txt'),
        run.progress)).parent
    site = run.get_site(RELEASE)

    run.progress.step('Making a git repository of Djblets %s'
                      % ' and '.join(BRANCHES))
    repository = ReviewRepository(run.directory / 'review',
                                  run.modules.registry, run.progress)

    for version, branch in BRANCHES.items():
        repository.add_release(version, branch)

    with run.start_memcached() as memcached:
        run.make_site(site, memcached)

        with Redis(redis_command, run.logs / 'redis.log',
                   run.directory / 'review') as redis:
            server = run.start_server(site, SERIES, 'review', [memcached], 1,
                                      4)
            site.run_module('set_up_review', server.url.split('//')[1],
                            repository.path, redis.url)

            with server:
                poster = _Poster(run, repository, server, bin_dir)

                with ReviewBot(bin_dir, redis, run.directory / 'review',
                               run.logs / 'review-bot.log') as bot:
                    run.progress.step('Telling Review Bot what to run')
                    site.run_module('set_up_review_bot')

                    results = [poster.post_series(version)
                               for version in BRANCHES]
                    results.append(poster.post_bad_file())

                    for result in results:
                        run.progress.step('Waiting for Review Bot: %s'
                                          % result.title)
                        result.status_updates = bot.wait_for(
                            poster.client, result.review_request['id'])
                        result.review_request = poster.client.get(
                            'review-requests/%d/'
                            % result.review_request['id'])['review_request']

    return results


class _Poster:
    """What posts changes, and reads them back."""

    def __init__(self, run, repository, server, bin_dir):
        """Initialize the poster.

        Args:
            run (acceptance_site.run.Run):
                What the parts of the run share.

            repository (acceptance_site.review_repository.ReviewRepository):
                The repository.

            server (acceptance_site.server.Server):
                The server.

            bin_dir (pathlib.Path):
                The directory with ``rbt``.
        """
        self.run = run
        self.repository = repository
        self.rbt = bin_dir / 'rbt'
        self.log = run.logs / 'rbt.log'
        self.client = _Client(server)

        with open(repository.directory / '.reviewboardrc', 'a') as fp:
            fp.write('\nREVIEWBOARD_URL = %r\n' % server.url)

    def _run_rbt(self, directory, command, *args):
        """Run RBTools.

        Args:
            directory (pathlib.Path):
                The directory to run it in.

            command (str):
                The command.

            *args (tuple):
                Its arguments.
        """
        processes.run(
            [self.rbt, command, '--username', AUTHOR, '--password', PASSWORD,
             *args],
            self.log, timeout=180, env=self.repository.env, cwd=directory)

    def post_series(self, version):
        """Post the series for a release.

        Args:
            version (str):
                The version.

        Returns:
            ReviewResult:
            The result.
        """
        title = 'the series for %s' % version
        branch = BRANCHES[version]
        self.run.progress.step('Posting %s' % title)
        directory = self.repository.clone(branch, 'series-%s' % version)
        messages = self.repository.commit_series(directory, version)
        result = ReviewResult(
            title, branch, split_message(messages[0]), messages, {
                MODULE_PATH: read_payload('forwarding_backend.py'),
                find_release(version).tests_path:
                    read_payload('test_forwarding_backend.py'),
            })
        self._post(directory, result)

        return result

    def post_bad_file(self):
        """Post a change that each tool has something to say of.

        Returns:
            ReviewResult:
            The result.
        """
        self.run.progress.step('Posting a bad file')
        directory = self.repository.clone(DEFAULT_BRANCH, 'bad')
        self.repository.commit_file(directory, BAD_PATH, BAD_FILE)
        message = 'Add %s.' % BAD_PATH
        result = ReviewResult(
            'a bad file', DEFAULT_BRANCH,
            {'summary': message, 'description': 'It is bad.',
             'testing_done': 'None.'},
            [message], {BAD_PATH: BAD_FILE})
        self._post(directory, result)

        return result

    def _post(self, directory, result):
        """Post what was committed in a clone, and read it back.

        Args:
            directory (pathlib.Path):
                The clone.

            result (ReviewResult):
                What to add the results to.
        """
        args = []

        if result.branch != DEFAULT_BRANCH:
            args = ['--branch', result.branch,
                    '--tracking-branch', 'origin/%s' % result.branch]

        self._run_rbt(
            directory, 'post', '--publish', '--target-people', REVIEWER,
            '--summary', result.fields['summary'],
            '--description', result.fields['description'],
            '--testing-done', result.fields['testing_done'], *args)

        last_commit = self.repository.git(directory, 'rev-parse', TOPIC)
        self._read(result, last_commit)

        applied = self.repository.clone(result.branch,
                                        '%s-applied' % directory.name)
        self._run_rbt(applied, 'patch', result.review_request['id'])
        result.applied = (self.repository.get_tree(applied) ==
                          self.repository.get_tree(directory))

    def _read(self, result, last_commit):
        """Read through the API what was posted last.

        Args:
            result (ReviewResult):
                What to add the results to.

            last_commit (str):
                The ID of the last commit that was posted.
        """
        review_requests = self.client.get(
            'review-requests/', **{'from-user': AUTHOR})['review_requests']
        result.review_request = max(review_requests,
                                    key=lambda item: item['id'])
        diff = 'review-requests/%d/diffs/1/' % result.review_request['id']
        commits = self.client.get(diff + 'commits/')['commits']
        result.messages = [commit['commit_message'].strip()
                           for commit in commits]
        result.files = {}

        if commits[-1]['commit_id'] != last_commit:
            raise BackportError(
                'The last commit of review request %d is %s, rather than %s'
                % (result.review_request['id'], commits[-1]['commit_id'],
                   last_commit))

        for item in self.client.get(diff + 'files/')['files']:
            result.files[item['dest_file']] = self.client.get_bytes(
                item['links']['patched_file']['href'])

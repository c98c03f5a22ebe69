"""Review: the series is posted to Review Board 8.1, and reviewed as there.

It's committed with git am, and posted with rbt post. Review Bot's own tools
look at what Review Board says the changed files are.
"""

import contextlib
import functools
import io
import re
import shutil
import sys
from pathlib import Path

import requests
from reviewbot.tools.pycodestyle import PycodestyleTool
from reviewbot.tools.pyflakes import PyflakesTool
from reviewbot.tools.testing import BaseToolTestCase, ToolTestCaseMetaclass

from evidence.installation import Installation, build
from evidence.page import Check
from evidence.progress import DIRECTORY, call, say
from evidence.servers import PASSWORD, Memcached, Server, Site


CASES = (('2.0.16', '0.8.29'), ('8.1', '6.1'))
TOOLS = (
    ('pyflakes', PyflakesTool, {}),
    ('pycodestyle', PycodestyleTool, {'max_line_length': 79, 'ignore': ''}),
)
BAD_FILE = b'import os\nx = %s\n' % (b'1' * 90)

_BIN = Path(sys.executable).parent
_ROOT = DIRECTORY / 'review'

# The user's settings for git and RBTools have no say.
_call = functools.partial(call, HOME=_ROOT, XDG_CONFIG_HOME=_ROOT,
                          GIT_CONFIG_NOSYSTEM='1')
_get = functools.partial(requests.get, timeout=60)


def run(options):
    """Post the series for the releases."""
    shutil.rmtree(_ROOT, ignore_errors=True)
    _ROOT.mkdir()
    (_ROOT / '.gitconfig').write_text(
        '[user]\nname = user1\nemail = user1@example.com\n')
    _call('git', 'init', '-q', '--bare', _ROOT / 'origin')
    rows, checks = [], []

    for tool in TOOLS:
        found = _lint('bad.py', BAD_FILE, *tool)
        checks.append(Check('%s finds something in a bad file' % tool[0],
                            ', '.join(found), found != []))

    with Memcached() as cache:
        installation = Installation('8.1', '6.1', patched=True)
        site = Site(installation, cache.address)

        with Server(site, installation, 'review', 1) as server:
            requests.post(
                server.root + '/api/repositories/', timeout=60,
                auth=('admin', PASSWORD), data={
                    'name': 'Djblets', 'path': _ROOT / 'origin', 'tool': 'Git',
                }).raise_for_status()

            for release, version in CASES:
                patches = sorted(build(version).parent.glob('*.patch'))
                url = _post(server, release, version, patches)
                commits = _get(url + 'commits/').json()['total_results']
                files = {
                    item['dest_file']:
                        _get(item['links']['patched_file']['href']).content
                    for item in _get(url + 'files/').json()['files']
                }
                remarks = [remark for tool in TOOLS for path in files
                           for remark in _lint(path, files[path], *tool)]
                rows.append([version, ', '.join(files), ', '.join(remarks)])
                checks.append(Check(
                    "All commits for %s are posted, and Review Bot's tools "
                    'have nothing to say' % version,
                    '%d of %d, %d remarks on %d files' % (
                        commits, len(patches), len(remarks), len(files)),
                    commits == len(patches) and len(files) > 1 and
                    not remarks))

    return ['Djblets', 'Changed files', 'Remarks'], rows, checks, None


def _post(server, release, version, patches):
    """Post a series for a release, and return the URL of its diff."""
    official = Installation(release, version).module.parent.parent
    say('Posting the series for %s' % version)
    clone = _ROOT / version
    git = 'git', '-C', clone
    _call('git', 'clone', '-q', _ROOT / 'origin', clone)
    shutil.copytree(official, clone / 'djblets',
                    ignore=shutil.ignore_patterns('*.pyc'))
    _call(*git, 'add', '--all', '--force')
    _call(*git, 'commit', '-q', '-m', 'Djblets %s.' % version)
    _call(*git, 'push', '-q', 'origin', 'HEAD:' + version)
    _call(*git, 'checkout', '-q', '-b', 'topic')
    _call(*git, 'am', '-q', *patches)
    output = _call(
        sys.executable, _BIN / 'rbt', 'post', '--server', server.root,
        '--username', 'user1', '--password', PASSWORD, '--publish',
        '--target-people', 'user2', '--tracking-branch', 'origin/' + version,
        '--branch', version, '--guess-fields', 'yes', '--testing-done',
        'In the commits.', cwd=clone)

    return '%s/api/review-requests/%s/diffs/1/' % (
        server.root, re.search(r'#(\d+) posted', output).group(1))


def _lint(path, contents, name, tool, settings):
    """Return what one of Review Bot's tools has to say of a file."""
    case = ToolTestCaseMetaclass('_Case', (BaseToolTestCase,), {
        'tool_class': tool, 'tool_exe_config_key': name,
        'tool_exe_path': str(_BIN / name), 'preserve_path_env': True,
    })('run_tool_execute')
    case.setUpClass()
    case.setUp()

    # It prints all that it has made up.
    with contextlib.redirect_stdout(io.StringIO()):
        comments = case.run_tool_execute(
            path, contents, tool_settings=settings)[0].comments

    case.tearDown()
    case.tearDownClass()

    return ['%s: %s' % (path, comment['text'].splitlines()[0])
            for comment in comments]

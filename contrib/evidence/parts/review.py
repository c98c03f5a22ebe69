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
import zipfile
from pathlib import Path

import requests
from reviewbot.tools.pycodestyle import PycodestyleTool
from reviewbot.tools.pyflakes import PyflakesTool
from reviewbot.tools.testing import BaseToolTestCase, ToolTestCaseMetaclass

from evidence.installation import Installation, build
from evidence.program import DIRECTORY, PATIENCE, announce, call
from evidence.report import Check, Result
from evidence.servers import PASSWORD, Memcached, Server, Site


VERSIONS = ('0.8.29', '6.1')
TOOLS = {
    'pyflakes': (PyflakesTool, {}),
    'pycodestyle': (PycodestyleTool, {'max_line_length': 79, 'ignore': ''}),
}

_BIN = Path(sys.executable).parent
_ROOT = DIRECTORY / 'review'

# The user's settings for git and RBTools have no say.
_call = functools.partial(call, HOME=_ROOT, XDG_CONFIG_HOME=_ROOT,
                          GIT_CONFIG_NOSYSTEM='1')
_get = functools.partial(requests.get, timeout=PATIENCE)


def run():
    """Post the series for the releases, and review it."""
    shutil.rmtree(_ROOT, ignore_errors=True)
    _ROOT.mkdir()
    (_ROOT / '.gitconfig').write_text(
        '[user]\nname = user1\nemail = user1@example.com\n')
    rows = []
    remarks = _review({'bad.py': b'import os\nx = %s\n' % (b'1' * 90)})
    checks = [Check('Each tool finds something in a bad file',
                    ', '.join(remarks), len(remarks) >= len(TOOLS))]

    with Memcached() as cache:
        installation = Installation('8.1', build('6.1').patched)
        site = Site(installation, cache.address)

        with Server(site, installation, 'review', 1) as server:
            for version in VERSIONS:
                url = _post(server, version)
                files = {
                    item['dest_file']:
                        _get(item['links']['patched_file']['href']).content
                    for item in _get(url + 'files/').json()['files']
                }
                remarks = _review(files)
                commits = _get(url + 'commits/').json()['total_results']
                patches = len(build(version).patches)
                rows.append([version, ', '.join(files), ', '.join(remarks)])
                checks += [
                    Check('All commits for %s are posted' % version,
                          '%d of %d' % (commits, patches), commits == patches),
                    Check('There are no remarks on %s' % version,
                          '%d on %d files' % (len(remarks), len(files)),
                          len(files) > 1 and not remarks),
                ]

    return Result(['Djblets', 'Changed files', 'Remarks'], rows, checks, [],
                  None)


def _post(server, version):
    """Post a series for a release, and return the URL of its diff."""
    announce('Posting the series for %s' % version)
    path = _ROOT / version
    git = ('git', '-C', path)
    _call('git', 'init', '-q', path)

    with zipfile.ZipFile(build(version).official) as wheel:
        wheel.extractall(path)

    _call(*git, 'add', '--all', '--force')
    _call(*git, 'commit', '-q', '-m', 'Djblets %s.' % version)
    _call(*git, 'tag', 'release')
    _call(*git, 'remote', 'add', '-f', 'origin', path / '.git')
    _call(*git, 'am', '-q', *build(version).patches)
    requests.post(
        server.root + '/api/repositories/', timeout=PATIENCE,
        auth=('admin', PASSWORD),
        data={'name': version, 'path': path / '.git', 'tool': 'Git'},
    ).raise_for_status()
    output = _call(
        sys.executable, _BIN / 'rbt', 'post', '--server', server.root,
        '--username', 'user1', '--password', PASSWORD, '--publish',
        '--target-people', 'user2', '--repository', version, '--guess-fields',
        'yes', '--testing-done', 'In the commits.', 'release', 'HEAD',
        cwd=path)

    return '%s/api/review-requests/%s/diffs/1/' % (
        server.root, re.search(r'#(\d+) posted', output).group(1))


def _review(files):
    """Return what Review Bot's tools have to say of files."""
    remarks = []

    for name, (tool, settings) in TOOLS.items():
        case = ToolTestCaseMetaclass('_Case', (BaseToolTestCase,), {
            'tool_class': tool, 'tool_exe_config_key': name,
            'tool_exe_path': str(_BIN / name), 'preserve_path_env': True,
        })('run_tool_execute')

        case.setUpClass()
        case.setUp()

        # It prints all that it has made up.
        with contextlib.redirect_stdout(io.StringIO()):
            comments = [
                (path, comment['text'].splitlines()[0])
                for path in files for comment in case.run_tool_execute(
                    path, files[path], tool_settings=settings)[0].comments
            ]

        case.tearDown()
        case.tearDownClass()
        remarks += ['%s: %s' % comment for comment in comments]

    return remarks

"""Review: the series is posted to Review Board 8.1, and reviewed as there.

It's committed with git am, posted with rbt post, and applied with rbt patch.
Review Bot's own tools look at what Review Board says the changed files are.
"""

import contextlib
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

from evidence.installation import Installation, build, download
from evidence.page import Check, Section
from evidence.progress import DIRECTORY, call, say
from evidence.servers import PASSWORD, Memcached, Server, Site


VERSIONS = ('0.8.29', '6.1')
TOOLS = (
    ('pyflakes', PyflakesTool, {}),
    ('pycodestyle', PycodestyleTool, {'max_line_length': 79, 'ignore': ''}),
)
BAD_FILE = b'import os\nx = %s\n' % (b'1' * 90)
_BIN = Path(sys.executable).parent
_ROOT = DIRECTORY / 'review'


def run(options):
    """Post the series for the releases."""
    shutil.rmtree(_ROOT, ignore_errors=True)
    _ROOT.mkdir()
    (_ROOT / '.gitconfig').write_text(
        '[user]\nname = user1\nemail = user1@example.com\n')
    _call('git', 'init', '-q', '--bare', _ROOT / 'origin.git')

    with Memcached() as cache:
        installation = Installation('8.1', '6.1', patched=True)
        site = Site(installation, cache.address)
        site.change('add_repository', _ROOT / 'origin.git')

        with Server(site, installation, 'review', 1) as server:
            rows = [_post(server, version) for version in VERSIONS]

    bad = [len(_lint('bad.py', BAD_FILE, *tool)) for tool in TOOLS]
    checks = [Check('Each tool finds something in a bad file',
                    '%d and %d remarks' % tuple(bad), all(bad))]

    for version, posted, files, same, remarks in rows:
        checks += [
            Check('All commits were posted for %s' % version,
                  '%d of %d' % posted, posted[0] == posted[1] > 0),
            Check('rbt patch makes the same tree for %s' % version, same,
                  same),
            Check("Review Bot's tools have nothing to say of %s" % version,
                  '%d remarks on %d files' % (len(remarks), len(files)),
                  not remarks and len(files) > 1),
        ]

    return Section(
        'Review', __doc__,
        ['Djblets', 'Commits', 'Changed files', 'Same tree', 'Remarks'],
        [[version, '%d of %d' % posted, '\n'.join(files), same,
          '\n'.join(remarks) or '0']
         for version, posted, files, same, remarks in rows], checks, None)


def _post(server, version):
    """Post the series for a release, and return what came of it."""
    say('Posting the series for %s' % version)
    clone, applied = _ROOT / version, _ROOT / (version + '-applied')
    origin = _ROOT / 'origin.git'
    git = 'git', '-C', clone
    branch = 'release-%s' % version
    patches = sorted(build(version).parent.glob('*.patch'))

    with zipfile.ZipFile(download(version)) as fp:
        fp.extractall(clone)

    _call('git', 'init', '-q', clone)
    _call(*git, 'add', '--all', '--force')
    _call(*git, 'commit', '-q', '-m', 'Djblets %s.' % version)
    _call(*git, 'remote', 'add', 'origin', origin)
    _call(*git, 'push', '-q', 'origin', 'HEAD:' + branch)
    _call(*git, 'checkout', '-q', '-b', 'topic')
    _call(*git, 'am', '-q', *patches)

    rbt = sys.executable, _BIN / 'rbt'
    options = ('--server', server.url, '--username', 'user1', '--password',
               PASSWORD)
    number = re.search(r'#(\d+) posted', _call(
        *rbt, 'post', *options, '--publish', '--target-people', 'user2',
        '--tracking-branch', 'origin/' + branch, '--branch', branch,
        '--guess-fields', 'yes', '--testing-done', 'In the commits.',
        cwd=clone)).group(1)
    _call('git', 'clone', '-q', '--branch', branch, origin, applied)
    _call(*rbt, 'patch', *options, number, cwd=applied)
    _call('git', '-C', applied, 'add', '--all')

    def get(name):
        return requests.get('%s/api/review-requests/%s/diffs/1/%s/'
                            % (server.url, number, name),
                            timeout=60).json()[name]

    files = {
        item['dest_file']: requests.get(
            item['links']['patched_file']['href'], timeout=60).content
        for item in get('files')
    }
    same = (_call('git', '-C', applied, 'write-tree') ==
            _call(*git, 'write-tree') and
            all((clone / path).read_bytes() == contents
                for path, contents in files.items()))

    return (version, (len(get('commits')), len(patches)), sorted(files), same,
            [remark for path, contents in files.items() for tool in TOOLS
             for remark in _lint(path, contents, *tool)])


def _call(*argv, cwd=None):
    """Run git or RBTools without the user's settings."""
    return call(argv, env={'HOME': str(_ROOT)}, cwd=cwd)


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

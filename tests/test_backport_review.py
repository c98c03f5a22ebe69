"""Tests of the series with Review Board's own tools.

Review Bot's tools look at each changed file as they would for a review request
that's posted with the series. RBTools applies the series, and makes the diffs
that it would post.
"""

import json
import os

from djblets_backport.bootstrap import ensure_environment
from djblets_backport.catalogue import MODULE_PATH, find_release
from djblets_backport.progress import Progress
from djblets_backport.series import make_series, read_payload

from backport_testcase import (RELEASES, BackportTestCase, get_files, need,
                               write_tree)


_REQUIREMENTS = b'''\
RBTools==6.0
kgb==7.3
pycodestyle==2.12.1
pyflakes==3.2.0
reviewbot-worker==4.1
'''

#: Runs Review Bot's tools on files, with the harness of its own tests.
_REVIEW_BOT = '''
import json
import os
import sys
import unittest

from reviewbot.tools.pycodestyle import PycodestyleTool
from reviewbot.tools.pyflakes import PyflakesTool
from reviewbot.tools.testing import (BaseToolTestCase, ToolTestCaseMetaclass,
                                     integration_test)


BIN_DIR = os.path.dirname(sys.executable)
COMMENTS = []


@integration_test()
def lint(self):
    for path in sys.argv[1:]:
        with open(path, 'rb') as fp:
            review = self.run_tool_execute(
                filename=os.path.basename(path), file_contents=fp.read(),
                tool_settings={'max_line_length': 79})[0]

        COMMENTS.append([self.tool_class.name, os.path.basename(path),
                         [comment['text'] for comment in review.comments]])


class PycodestyleTests(BaseToolTestCase, metaclass=ToolTestCaseMetaclass):
    preserve_path_env = True
    tool_class = PycodestyleTool
    tool_exe_config_key = 'pycodestyle'
    tool_exe_path = os.path.join(BIN_DIR, 'pycodestyle')
    test_files = lint


class PyflakesTests(BaseToolTestCase, metaclass=ToolTestCaseMetaclass):
    preserve_path_env = True
    tool_class = PyflakesTool
    tool_exe_config_key = 'pyflakes'
    tool_exe_path = os.path.join(BIN_DIR, 'pyflakes')
    test_files = lint


loader = unittest.defaultTestLoader
result = unittest.TextTestRunner().run(unittest.TestSuite(
    loader.loadTestsFromTestCase(test_class)
    for test_class in (PycodestyleTests, PyflakesTests)))
print(json.dumps({
    'comments': COMMENTS,
    'ran': result.testsRun,
    'sound': result.wasSuccessful() and not result.skipped,
}))
'''

#: Applies patches with RBTools, and gives what it would post.
_RBTOOLS = '''
import json
import pathlib
import subprocess
import sys

from rbtools.clients.git import GitClient
from rbtools.diffs.patches import Patch

client = GitClient()
client.setup()
info = client.get_repository_info()
patcher = client.get_patcher(
    patches=[Patch(path=pathlib.Path(path)) for path in sys.argv[1:]],
    repository_info=info)
applied = [result.success for result in patcher.patch()]
subprocess.check_call(['git', 'add', '-A', 'djblets'])
subprocess.check_call(['git', '-c', 'user.name=A', '-c',
                       'user.email=a@b.invalid', 'commit', '-q', '-m',
                       'Applied.'])
revisions = client.parse_revision_spec(['release..HEAD'])
print(json.dumps({
    'applied': applied,
    'diff': client.diff(revisions)['diff'].decode('utf-8'),
}))
'''


class ReviewTests(BackportTestCase):
    """Tests of the series with Review Board's own tools."""

    def setUp(self):
        super(ReviewTests, self).setUp()
        need('git')
        self.python = ensure_environment(
            'review', self.write('requirements.txt', _REQUIREMENTS),
            Progress())

    def run_review_bot(self, *paths):
        """Run Review Bot's tools.

        Args:
            *paths (tuple of str):
                The paths of the files to look at.

        Returns:
            list:
            The comments. Each item has the names of the tool and the file,
            and the texts of the comments.
        """
        script = self.write('review_bot.py', _REVIEW_BOT.encode('utf-8'))
        environ = dict(os.environ, PATH='%s:%s' % (
            os.path.dirname(self.python), os.environ['PATH']))
        output = self.run_command(self.python, script, *paths, env=environ)
        result = json.loads(output.splitlines()[-1])
        self.assertEqual(result['ran'], 2, output)
        self.assertTrue(result['sound'], output)

        return result['comments']

    def test_review_bot(self):
        """Testing Review Bot has nothing to say of the changed files"""
        paths = [
            self.write(name, read_payload(name))
            for name in ('forwarding_backend.py', 'test_forwarding_backend.py')
        ]
        comments = self.run_review_bot(*paths)

        self.assertEqual(len(comments), 4)

        for tool, name, texts in comments:
            self.assertEqual(texts, [], (tool, name))

    def test_review_bot_with_bad_file(self):
        """Testing Review Bot does say something of a bad file"""
        comments = self.run_review_bot(
            self.write('bad.py', b'import os\nx = %s\n' % (b'1' * 90)))

        self.assertEqual(
            [(name, len(texts)) for _, name, texts in comments],
            [('bad.py', 1), ('bad.py', 1)])

    def test_rbtools(self):
        """Testing RBTools applies the series, and posts just that"""
        script = self.write('rbtools_script.py', _RBTOOLS.encode('utf-8'))

        for version in RELEASES:
            release = find_release(version)
            module = get_files(version)[MODULE_PATH]
            tree = write_tree(self.path(version, 'tree'),
                              {MODULE_PATH: module})
            patches = write_tree(
                self.path(version, 'patches'),
                make_series(module, release.tests_path, 'x'))
            env = dict(os.environ, GIT_CONFIG_GLOBAL=os.devnull,
                       GIT_CONFIG_NOSYSTEM='1', HOME=self.dir)

            for args in (['init', '-q'], ['add', '.'],
                         ['-c', 'user.name=A', '-c', 'user.email=a@b.invalid',
                          'commit', '-q', '-m', 'Release.'],
                         ['remote', 'add', 'origin', tree],
                         ['branch', 'release']):
                self.run_command('git', *args, cwd=tree, env=env)

            output = self.run_command(
                self.python, script,
                *(os.path.join(patches, name)
                  for name in sorted(os.listdir(patches))[:-1]),
                cwd=tree, env=env)
            result = json.loads(output.splitlines()[-1])
            self.assertEqual(result['applied'], [True, True])

            for path, name in ((MODULE_PATH, 'forwarding_backend.py'),
                               (release.tests_path,
                                'test_forwarding_backend.py')):
                with open(os.path.join(tree, path), 'rb') as fp:
                    self.assertEqual(fp.read(), read_payload(name))

                self.assertIn('+++ b/%s\n' % path, result['diff'])

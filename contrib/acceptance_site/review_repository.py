"""A git repository of official releases, and what's posted from it."""

import os
import shutil
import subprocess
from pathlib import Path

from djblets_backport.archive import read_files
from djblets_backport.catalogue import MODULE_PATH, find_release
from djblets_backport.series import make_series

from acceptance_site.processes import ProcessError


#: The project's settings for RBTools.
REVIEWBOARDRC = Path(__file__).parents[2] / '.reviewboardrc'

#: The name of the branch with what's posted.
TOPIC = 'topic'


class ReviewRepository:
    """A repository with a branch of official code for each release.

    What's posted is committed in a clone of its own.

    Attributes:
        path (pathlib.Path):
            The repository that Review Board knows.

        env (dict):
            The environment for git and RBTools, without the user's settings.
    """

    def __init__(self, directory, registry, progress):
        """Make the repository anew, without any branch.

        Args:
            directory (pathlib.Path):
                The directory to make it in.

            registry (djblets_backport.archive.Registry):
                Where the releases are taken from.

            progress (djblets_backport.progress.Progress):
                What shows the progress.
        """
        self.directory = directory
        self.path = directory / 'origin.git'
        self.registry = registry
        self.progress = progress
        home = directory / 'home'
        self.env = {
            key: value
            for key, value in os.environ.items()
            if not key.startswith(('GIT_', 'RBTOOLS_'))
        }
        self.env.update(
            GIT_AUTHOR_EMAIL='user1@example.com',
            GIT_AUTHOR_NAME='user1',
            GIT_COMMITTER_EMAIL='user1@example.com',
            GIT_COMMITTER_NAME='user1',
            GIT_CONFIG_GLOBAL=os.devnull,
            GIT_CONFIG_NOSYSTEM='1',
            HOME=str(home))

        shutil.rmtree(directory, ignore_errors=True)
        home.mkdir(parents=True)
        # RBTools finds it above the clones.
        shutil.copy(REVIEWBOARDRC, directory)
        self.git(directory, 'init', '-q', '--bare', self.path)

    def git(self, directory, *args):
        """Run git.

        Args:
            directory (pathlib.Path):
                The directory to run it in.

            *args (tuple):
                Its arguments.

        Returns:
            str:
            Its output.

        Raises:
            acceptance_site.processes.ProcessError:
                It failed, or took too long.
        """
        argv = ['git', *map(str, args)]

        try:
            return subprocess.run(
                argv, cwd=directory, env=self.env, check=True, timeout=120,
                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                stderr=subprocess.PIPE, encoding='utf-8').stdout.strip()
        except subprocess.CalledProcessError as e:
            raise ProcessError('%s failed: %s' % (' '.join(argv),
                                                  ' '.join(e.stderr.split())))
        except subprocess.TimeoutExpired:
            raise ProcessError('%s took more than 120 seconds'
                               % ' '.join(argv))

    def add_release(self, version, branch):
        """Add the official files of a release, as a branch.

        Args:
            version (str):
                The version.

            branch (str):
                The name of the branch.
        """
        archive = find_release(version).sdist
        files = read_files(self.registry.fetch(
            archive.filename, archive.sha256, self.progress))
        directory = self.directory / ('release-%s' % version)
        self.git(self.directory, 'init', '-q', directory)

        for name, data in files.items():
            path = directory / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)

        self.git(directory, 'add', '--all', '--force')
        self.git(directory, 'commit', '-q', '-m', 'Djblets %s.' % version)
        self.git(directory, 'push', '-q', self.path, 'HEAD:' + branch)

    def clone(self, branch, name):
        """Return a clone with nothing but a branch of official code.

        Args:
            branch (str):
                The name of the branch.

            name (str):
                The name of the clone.

        Returns:
            pathlib.Path:
            The directory.
        """
        directory = self.directory / name
        self.git(self.directory, 'clone', '-q', '--branch', branch, self.path,
                 directory)
        self.git(directory, 'checkout', '-q', '-b', TOPIC)

        return directory

    def commit_series(self, directory, version):
        """Commit the series in a clone, as its users do.

        Args:
            directory (pathlib.Path):
                The clone.

            version (str):
                The version of the official code in it.

        Returns:
            list of str:
            The messages of the commits.
        """
        patches = self.directory / ('patches-%s' % version)
        patches.mkdir()
        files = make_series((directory / MODULE_PATH).read_bytes(),
                            find_release(version).tests_path,
                            'Djblets %s' % version)

        for name, data in files.items():
            (patches / name).write_bytes(data)

        names = files['series'].decode('ascii').split()
        self.git(directory, 'am', '-q', *(patches / name for name in names))

        return [self.git(directory, 'log', '-1', '--format=%B', revision)
                for revision in ('HEAD~1', 'HEAD')]

    def commit_file(self, directory, path, data):
        """Commit a file in a clone.

        Args:
            directory (pathlib.Path):
                The clone.

            path (str):
                The path of the file in it.

            data (bytes):
                The contents of the file.
        """
        (directory / path).write_bytes(data)
        self.git(directory, 'add', path)
        self.git(directory, 'commit', '-q', '-m', 'Add %s.' % path)

    def get_tree(self, directory):
        """Return what's in a clone, whether it's committed or not.

        Args:
            directory (pathlib.Path):
                The clone.

        Returns:
            str:
            The ID of the tree, which depends on every byte and mode.
        """
        self.git(directory, 'add', '--all', '--force')

        return self.git(directory, 'write-tree')

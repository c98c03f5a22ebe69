"""Makes the patch series for a release.

The series is the output of git, which is given everything that could make a
difference to it, so that it's the same on every machine.
"""

import os
import shutil
import string
import subprocess
import tempfile
import textwrap

from . import REVISION_DATE
from .archive import get_blob_id
from .catalogue import (DEFECTS, MODULE_PATH, find_content_versions,
                        get_defects)
from .errors import BackportError


_HERE = os.path.dirname(os.path.abspath(__file__))

#: The address is one that can't exist.
_AUTHOR = "The project's contributors"
_EMAIL = 'contributors@djblets-backport.invalid'


def read_payload(name):
    """Return one of our modules for Djblets.

    Args:
        name (str):
            The name of the file.

    Returns:
        bytes:
        The contents of the file.
    """
    # setup.py installs them beside this module. In a checkout, they're where
    # they are in Djblets.
    for directory in (os.path.join(_HERE, 'payload'),
                      os.path.join(_HERE, '..', '..', 'djblets', 'cache')):
        path = os.path.join(directory, name)

        if os.path.exists(path):
            with open(path, 'rb') as fp:
                return fp.read()

    raise BackportError('%s is missing: this is neither a checkout nor an '
                        'installed djblets-backport' % name)


def check_module(data, where):
    """Check that a module is one that the series can be made for.

    Args:
        data (bytes):
            The contents of the module.

        where (str):
            Where it was found.

    Returns:
        str:
        The git blob ID of the module.

    Raises:
        djblets_backport.errors.BackportError:
            The module isn't that of any release.
    """
    blob = get_blob_id(data)

    if data == read_payload('forwarding_backend.py'):
        raise BackportError('%s is patched already' % where)

    if get_defects(blob) is None or not find_content_versions(blob):
        raise BackportError(
            '%s was modified: the git blob ID of its %s is %s, which is not '
            'that of any release. Put the release\'s own file back first.'
            % (where, MODULE_PATH, blob))

    return blob


def _run_git(directory, *args):
    """Run git, regardless of how it's set up for the user or machine.

    Args:
        directory (str):
            The repository to run it in.

        *args (tuple of str):
            The arguments.

    Raises:
        djblets_backport.errors.BackportError:
            There's no git, or it failed.
    """
    # The names of variables that tell git where its repository is are many.
    env = {
        key: value
        for key, value in os.environ.items()
        if not key.startswith('GIT_')
    }
    env.update({
        'GIT_ATTR_NOSYSTEM': '1',
        'GIT_AUTHOR_DATE': '%sT00:00:00Z' % REVISION_DATE,
        'GIT_AUTHOR_EMAIL': _EMAIL,
        'GIT_AUTHOR_NAME': _AUTHOR,
        'GIT_COMMITTER_DATE': '%sT00:00:00Z' % REVISION_DATE,
        'GIT_COMMITTER_EMAIL': _EMAIL,
        'GIT_COMMITTER_NAME': _AUTHOR,
        'GIT_CONFIG_GLOBAL': os.devnull,
        'GIT_CONFIG_NOSYSTEM': '1',
        # Before git 2.32, the variable above isn't known.
        'HOME': directory,
        'XDG_CONFIG_HOME': directory,
        'LC_ALL': 'C',
        'TZ': 'UTC',
    })

    try:
        process = subprocess.run(
            ['git', '-c', 'core.autocrlf=false', '-c', 'core.fileMode=true',
             '-c', 'core.attributesFile=%s' % os.devnull,
             '-c', 'core.hooksPath=%s' % os.devnull,
             '-c', 'commit.gpgSign=false'] + list(args),
            cwd=directory, env=env, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            encoding='utf-8', errors='backslashreplace')
    except FileNotFoundError:
        raise BackportError('git was not found; the series is made with it')

    if process.returncode:
        raise BackportError('git %s failed: %s'
                            % (args[0],
                               ' '.join(process.stdout.split()) or
                               'exit status %d' % process.returncode))


def _get_message(name, blob):
    """Return the commit message of a patch.

    Args:
        name (str):
            The name of the message's file.

        blob (str):
            The git blob ID of the module that's patched.

    Returns:
        str:
        The message.
    """
    with open(os.path.join(_HERE, 'messages', name), encoding='ascii') as fp:
        template = string.Template(fp.read())

    return template.substitute(
        date=REVISION_DATE,
        defects='\n'.join(
            textwrap.fill(DEFECTS[defect], 72, initial_indent='* ',
                          subsequent_indent='  ')
            for defect in get_defects(blob)))


def _commit(directory, path, data, message):
    """Commit a file.

    Args:
        directory (str):
            The repository.

        path (str):
            The path of the file in it.

        data (bytes):
            The contents of the file.

        message (str):
            The commit message.
    """
    full_path = os.path.join(directory, path)
    os.makedirs(os.path.dirname(full_path), exist_ok=True)

    with open(full_path, 'wb') as fp:
        fp.write(data)

    os.chmod(full_path, 0o644)
    _run_git(directory, 'add', '-f', path)
    _run_git(directory, 'commit', '-q', '--no-verify', '--cleanup=verbatim',
             '-m', message)


def make_series(module, tests_path, where):
    """Return the patch series for a module.

    Args:
        module (bytes):
            The contents of the released module.

        tests_path (str):
            The path that the tests go to.

        where (str):
            Where the module was found.

    Returns:
        dict:
        The contents of the files (bytes) by name: the patches, and ``series``.

    Raises:
        djblets_backport.errors.BackportError:
            The module was modified, or git failed.
    """
    blob = check_module(module, where)
    directory = tempfile.mkdtemp(prefix='djblets-backport-')

    try:
        repository = os.path.join(directory, 'repository')
        patches = os.path.join(directory, 'patches')
        os.mkdir(repository)
        _run_git(repository, 'init', '-q', '--template=')
        _commit(repository, MODULE_PATH, module, 'The release.\n')
        _run_git(repository, 'tag', 'release')
        _commit(repository, MODULE_PATH,
                read_payload('forwarding_backend.py'),
                _get_message('0001.txt', blob))
        _commit(repository, tests_path,
                read_payload('test_forwarding_backend.py'),
                _get_message('0002.txt', blob))
        _run_git(repository, 'format-patch', '-q', '-o', patches,
                 '--binary', '--diff-algorithm=myers',
                 '--dst-prefix=b/', '--src-prefix=a/', '--full-index',
                 '--inter-hunk-context=0', '--no-attach', '--no-cc',
                 '--no-color', '--no-cover-letter', '--no-ext-diff',
                 '--no-indent-heuristic', '--no-notes', '--no-renames',
                 '--no-signature', '--no-textconv',
                 '--no-thread', '--no-to', '--numbered',
                 '--stat=72', '--subject-prefix=PATCH', '--suffix=.patch',
                 '--unified=3', '--zero-commit', 'release..HEAD')
        files = {}

        for name in sorted(os.listdir(patches)):
            with open(os.path.join(patches, name), 'rb') as fp:
                files[name] = fp.read()

        files['series'] = ''.join('%s\n' % name
                                  for name in sorted(files)).encode('ascii')

        return files
    finally:
        shutil.rmtree(directory)

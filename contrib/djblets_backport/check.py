"""Tells what a server has.

A server's Djblets is looked at from outside. None of its code is run.
"""

import base64
import glob
import hashlib
import json
import os
import re
import subprocess
import zipfile

from . import REVISION
from .archive import get_blob_id
from .catalogue import (DEFECTS, MODULE_PATH, find_content_versions,
                        get_defects)
from .errors import BackportError
from .series import read_payload


#: What may be found, and the exit status for each.
SOUND = 'sound'
AFFECTED = 'affected'
UNKNOWN = 'unknown'

EXIT_STATUSES = {
    SOUND: 0,
    AFFECTED: 1,
    UNKNOWN: 2,
}


def get_search_path(python):
    """Return where a Python looks for modules.

    Args:
        python (str):
            The path or name of the Python.

    Returns:
        list of str:
        The directories and eggs.

    Raises:
        djblets_backport.errors.BackportError:
            It can't be run.
    """
    try:
        process = subprocess.run(
            [python, '-c', 'import json, sys; print(json.dumps(sys.path))'],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, cwd='/')
    except OSError as e:
        raise BackportError('%s cannot be run: %s' % (python, e.strerror))

    if process.returncode:
        raise BackportError('%s cannot be run: %s'
                            % (python, ' '.join(os.fsdecode(
                                process.stderr).split())))

    # The empty name stands for the current directory, which is ours.
    return [path for path in json.loads(os.fsdecode(process.stdout)) if path]


def get_site_path(directory):
    """Return where to look for modules in a site-packages directory.

    Args:
        directory (str):
            The directory.

    Returns:
        list of str:
        The directory, and the eggs in it.

    Raises:
        djblets_backport.errors.BackportError:
            There's no such directory.
    """
    if not os.path.isdir(directory):
        raise BackportError('%s is not a directory' % directory)

    return [directory] + sorted(
        glob.glob(os.path.join(glob.escape(directory), '[Dd]jblets-*.egg')))


def _read(path, name):
    """Return the contents of a file in a directory or zipped egg.

    Args:
        path (str):
            The path of the directory or egg.

        name (str):
            The name of the file in it.

    Returns:
        bytes:
        The contents, or ``None`` if there's no such file.
    """
    try:
        if os.path.isfile(path):
            with zipfile.ZipFile(path) as archive:
                return archive.read(name)

        with open(os.path.join(path, *name.split('/')), 'rb') as fp:
            return fp.read()
    except (FileNotFoundError, KeyError, NotADirectoryError,
            zipfile.BadZipFile):
        return None
    except OSError as e:
        raise BackportError('%s cannot be read: %s'
                            % (os.path.join(path, name), e.strerror))


def _find_metadata(path):
    """Return what was recorded when a Djblets was installed.

    Args:
        path (str):
            The path of the directory or egg that it's in.

    Returns:
        tuple:
        A 2-tuple of the version and the contents of ``RECORD`` (str). Each is
        ``None`` if it's not known.
    """
    names = ['EGG-INFO/PKG-INFO']

    for pattern in ('[Dd]jblets-*.dist-info/METADATA',
                    '[Dd]jblets*.egg-info/PKG-INFO',
                    '[Dd]jblets*.egg-info'):
        names += [
            os.path.relpath(found, path)
            for found in sorted(glob.glob(os.path.join(glob.escape(path),
                                                       pattern)))
        ]

    for name in names:
        if os.path.isdir(os.path.join(path, name)):
            continue

        data = _read(path, name)
        match = re.search(br'^Version: (\S+)', data or b'', re.MULTILINE)

        if match:
            record = _read(path, '%s/RECORD' % os.path.dirname(name))

            return (match.group(1).decode('utf-8', 'replace'),
                    (record or b'').decode('utf-8', 'replace'))

    return None, None


def _get_recorded_revision(version, record, module):
    """Return the revision that a patched wheel says it has.

    Args:
        version (str):
            The version that's installed.

        record (str):
            The contents of ``RECORD``.

        module (bytes):
            The contents of the module.

    Returns:
        int:
        The revision, or ``None`` if there's none, or if the module isn't the
        one that was installed.
    """
    match = re.search(r'\+forwarding\.(\d+)$', version or '')
    digest = base64.urlsafe_b64encode(hashlib.sha256(module).digest())
    line = '%s,sha256=%s,' % (MODULE_PATH,
                              digest.decode('ascii').rstrip('='))

    if match and line in (record or ''):
        return int(match.group(1))

    return None


def check(search_path):
    """Return what's found.

    Args:
        search_path (list of str):
            The directories and eggs to look in, in that order.

    Returns:
        dict:
        What's found:

        ``state``:
            One of ``sound``, ``affected`` and ``unknown``.

        ``path``:
            The path of Djblets, or ``None``.

        ``version``:
            The version of Djblets, or ``None``.

        ``blob``:
            The git blob ID of the module, or ``None``.

        ``releases``:
            The releases that have this module.

        ``revision``:
            The revision of the series that's applied, or ``None``.

        ``defects``:
            The names of the defects.

        ``summary``:
            All that as a sentence.
    """
    result = {
        'state': UNKNOWN,
        'path': None,
        'version': None,
        'blob': None,
        'releases': [],
        'revision': None,
        'defects': [],
    }

    for path in search_path:
        if _read(path, 'djblets/__init__.py') is not None:
            break
    else:
        result['summary'] = ('No Djblets was found in %s.'
                             % ', '.join(search_path))

        return result

    module = _read(path, MODULE_PATH)
    version, record = _find_metadata(path)
    result.update({
        'path': os.path.join(path, 'djblets'),
        'version': version,
    })
    name = 'Djblets %s' % (version or 'of an unknown version')

    if module is None:
        result.update({
            'state': SOUND,
            'summary': '%s has no forwarding cache backend: there is nothing '
                       'to fix.' % name,
        })

        if _read(path, MODULE_PATH + 'c') is not None:
            result.update({
                'state': UNKNOWN,
                'summary': '%s has its forwarding cache backend in bytecode '
                           'alone.' % name,
            })

        return result

    blob = get_blob_id(module)
    defects = get_defects(blob)
    revision = _get_recorded_revision(version, record, module)

    if module == read_payload('forwarding_backend.py'):
        revision = REVISION

    result.update({
        'blob': blob,
        'releases': find_content_versions(blob),
    })

    if revision is not None:
        result.update({
            'state': SOUND,
            'revision': revision,
            'summary': '%s is patched: it has revision %d of the series.'
                       % (name, revision),
        })
    elif defects is not None:
        result.update({
            'state': AFFECTED,
            'defects': list(defects),
            'summary': '%s is affected:' % name,
        })
    else:
        result['summary'] = (
            '%s has a forwarding cache backend that is not that of any known '
            'release or revision: its git blob ID is %s.' % (name, blob))

    return result


def format_result(result):
    """Return what's found, for people.

    Args:
        result (dict):
            What's found.

    Returns:
        str:
        The text.
    """
    lines = []

    if result['path']:
        lines.append(result['path'])

    lines.append(result['summary'])
    lines += ['  * %s' % DEFECTS[name] for name in result['defects']]

    return '\n'.join(lines)

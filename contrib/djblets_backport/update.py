"""Adds new releases to a checkout, and brings ``check.py`` up to date.

What that knows of releases and of the series is generated, since it has to run
on its own.
"""

import os
import re
import tempfile
import textwrap

from . import BackportError, BadInput, CHECKOUT, HERE
from .archives import download, fetch, get_sha256, read, run_pip
from .check import MODULE_PATH, get_blob_id, normalize
from .releases import (ARCHIVES, ARCHIVES_PATH, RELEASES, get_version,
                       get_words, make_tables, parse_version)
from .series import get_changes


_CHECK_PATH = os.path.join(HERE, 'check.py')

#: What is generated of it.
_GENERATED = re.compile('(?s)(?<= from here\n).*?(?=# to here)')


def update():
    """Add new releases, update ``check.py``, and return lines on that."""
    # This also has to work where a new release has another module.
    lines = _write({_CHECK_PATH: make_check(ARCHIVES)})
    new = _download_new()

    if new:
        archives = _merge(new)
        lines += _write({
            _CHECK_PATH: make_check(archives),
            ARCHIVES_PATH: ''.join('%s  %s\n' % (sha256, name)
                                   for name, sha256 in archives.items()),
        }) + ['%s was added.' % name for name in new]

    return lines or ['Nothing is new.']


def is_outdated():
    """Return whether ``check.py`` lacks what should be generated of it."""
    return make_check(ARCHIVES) != _read(_CHECK_PATH)


def make_check(archives):
    """Return what ``check.py`` should be, given all archives."""
    if not CHECKOUT:
        raise BadInput('releases --update and --check are for a checkout, and '
                       'not for what is installed in %s' % HERE)

    modules, releases = make_tables(archives)
    text, patched = 'MODULES = {\n', {}

    for module in modules:
        files = fetch(releases[module.releases[0]]).files
        source = get_changes(files, module)[0].files[MODULE_PATH]
        patched[get_blob_id(normalize(source))] = (
            'siteconfig' if 'siteconfig' in module.defects else '')
        text += "    '%s': ('%s', '''\n%s'''),\n" % (
            module.blob_id, get_words(module.releases), textwrap.fill(
                ' '.join(module.defects), 75, initial_indent=' ' * 8,
                subsequent_indent=' ' * 8, break_on_hyphens=False))

    text += '}\nPATCHED = {\n%s}\n' % ''.join(
        "    '%s': '%s',\n" % item for item in patched.items())

    return _GENERATED.sub(lambda match: text, _read(_CHECK_PATH))


def _download_new():
    """Return the SHA-256s of the archives of new releases, by their names."""
    output = run_pip('index', 'versions', 'djblets')
    first, *_ = map(parse_version, RELEASES)
    new = {}

    for version in re.search('versions: (.*)', output).group(1).split(', '):
        # Those before the first one don't have the module.
        if version in RELEASES or parse_version(version) < first:
            continue

        with tempfile.TemporaryDirectory() as temp_dir:
            path = download('djblets-%s-py3-none-any.whl' % version, temp_dir)
            new[os.path.basename(path)] = get_sha256(path)
            blob_id = get_blob_id(normalize(read(path).files[MODULE_PATH]))

        _, releases = make_tables(_merge(new))

        if blob_id != releases[version].module.blob_id:
            raise BackportError('%s has another module than those before it, '
                                '%s, which needs a row in releases.tsv'
                                % (version, blob_id))

    return new


def _merge(new):
    """Return all archives, oldest first."""
    return dict(sorted({**ARCHIVES, **new}.items(), key=lambda item: (
        parse_version(get_version(item[0])))))


def _read(path):
    """Return the text of a file."""
    with open(path, encoding='utf-8') as fp:
        return fp.read()


def _write(files):
    """Write files that differ, each all at once, and return lines on that."""
    lines = []

    for path, text in files.items():
        if text != _read(path):
            with open(path + '.new', 'w', encoding='utf-8') as fp:
                fp.write(text)

            os.replace(path + '.new', path)
            lines.append('%s was brought up to date.' % path)

    return lines

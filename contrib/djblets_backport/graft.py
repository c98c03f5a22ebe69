"""Grafts our change into a release's own files.

The release's module and ours are compared as syntax trees. What has the same
code in both, apart from docstrings and comments, keeps the release's text.
What doesn't takes ours, under the release's docstring, and what is new comes
in where our module has it. The result is then proven to have our code.
"""

import ast
import collections
import copy
import re


#: Methods of the release that the change has another one for.
_REPLACED = {'__getattribute__'}

#: Names that only a module with our change has, and the revision of that.
_PATCHED = {'_Owner': 1, '_generations': 2}


class GraftError(Exception):
    """The change can't be grafted into a file, and the message says why."""


#: A statement: its node, the blank lines and comments above it, its lines, and
#: the slice of these that is its docstring.
_Part = collections.namedtuple('_Part', 'node lead lines docstring')


def graft_module(source, ours):
    """Return a release's forwarding backend module with our change.

    Args:
        source (str):
            The release's module.

        ours (str):
            Our module.

    Returns:
        str:
        The patched module.

    Raises:
        GraftError:
            The module is patched already, or the change doesn't fit it.
    """
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError) as e:
        raise GraftError('is not a Python module: %s' % e)

    _, parts = _split(tree, source.splitlines())

    for name, revision in _PATCHED.items():
        if name in parts:
            raise GraftError('is patched already, by revision %d' % revision)

    if 'ForwardingCacheBackend' not in parts:
        raise GraftError('has no class ForwardingCacheBackend')

    if not any('unicode_literals' in name for name in parts):
        ours = _adapt_to_python3(ours)

    our_tree = ast.parse(ours)
    result = '\n'.join(_merge(tree, source.splitlines(),
                              our_tree, ours.splitlines())) + '\n'

    if _get_code(ast.parse(result)) != _get_code(our_tree):
        raise GraftError('has a class that the change does not fit')

    return result


def graft_siteconfig(source):
    """Return siteconfig's module with its change, or None if it has none."""
    old = 'isinstance(cache, ForwardingCacheBackend)'

    if source.count(old) != 1:
        return None

    return source.replace(old, "hasattr(cache, 'reset_backend')")


def _get_docstring(node):
    """Return the statement that is a node's docstring, if it has one."""
    if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef)) and \
       ast.get_docstring(node, clean=False) is not None:
        return node.body[0]

    return None


def _get_code(node):
    """Return what a node does: no docstrings, nor imports from the future."""
    node = copy.deepcopy(node)

    for child in ast.walk(node):
        if _get_docstring(child):
            del child.body[0]

    if isinstance(node, ast.Module):
        node.body = [child for child in node.body if not _is_future(child)]

    return ast.dump(node)


def _is_future(node):
    """Return whether a statement is an import from the future."""
    return isinstance(node, ast.ImportFrom) and node.module == '__future__'


def _get_name(node):
    """Return the name that tells a statement from its neighbours."""
    if isinstance(node, ast.Assign):
        node = node.targets[0]

    return (getattr(node, 'name', None) or getattr(node, 'id', None) or
            ast.dump(node))


def _split(node, lines):
    """Return the first lines of a module or class, and its parts by name."""
    docstring = _get_docstring(node)
    start = getattr(node, 'lineno', 0)
    end = docstring.end_lineno if docstring else start
    head = lines[max(start - 1, 0):end]
    parts = {}

    for child in node.body:
        if child is not docstring:
            first = min(item.lineno for item in
                        [child] + getattr(child, 'decorator_list', []))
            inner = _get_docstring(child)
            parts[_get_name(child)] = _Part(
                child, lines[end:first - 1], lines[first - 1:child.end_lineno],
                slice(inner.lineno - first, inner.end_lineno - first + 1)
                if inner else slice(0))
            end = child.end_lineno

    return head, parts


def _merge(theirs, their_lines, ours, our_lines):
    """Return the lines of the release's module or class with our change."""
    result, their_parts = _split(theirs, their_lines)
    _, our_parts = _split(ours, our_lines)
    above = dict(zip(list(their_parts)[1:], their_parts))
    futures = [(name, part) for name, part in their_parts.items()
               if name not in our_parts and _is_future(part.node)]
    previous = None

    for name, part in their_parts.items():
        if name not in our_parts and name not in _REPLACED and \
           not isinstance(part.node, (ast.Import, ast.ImportFrom)):
            raise GraftError('has %s, which the change would lose' % name)

    for name, part in futures + list(our_parts.items()):
        released = their_parts.get(name, part)

        # What separates two statements only stays if both do.
        result += (released if above.get(name) == previous else part).lead

        if isinstance(part.node, ast.ClassDef):
            result += _merge(released.node, their_lines, part.node, our_lines)
        elif _get_code(released.node) == _get_code(part.node):
            result += released.lines
        else:
            lines = list(part.lines)
            lines[part.docstring] = released.lines[released.docstring]
            result += lines

        previous = name

    return result


def _adapt_to_python3(ours):
    """Return our module for the releases that need Python 3 and Django 3.2."""
    for text in ('from __future__ import unicode_literals\n\n',
                 '\nimport django\n'
                 'from django.core.signals import request_finished\n'):
        ours = ours.replace(text, '')

    # Of what depends on Django's version, the first branch is left.
    return re.sub(r'(?ms)^        if django\.VERSION.*?\n(.*?)'
                  r'^        elif django\.VERSION.*?(?=^    def )',
                  lambda match: re.sub('(?m)^    ', '', match.group(1)) + '\n',
                  ours)

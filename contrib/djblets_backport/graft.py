"""Grafts our change into a release's own files.

The release's module and ours are compared as syntax trees. What has the same
code in both, apart from docstrings and comments, keeps the release's text.
What doesn't takes our text, and what is new comes in where our module has it.
The result is then proven to have our code.
"""

import ast
import collections
import copy
import re


#: Methods of the releases that the change has others for.
_REPLACED_METHODS = {'__getattribute__'}

#: Methods whose docstring begins like the release's, with two paragraphs that
#: are still true, and goes on like ours.
_EXTENDED_DOCSTRINGS = {'_load_backend', 'reset_backend'}

#: Names that only a module with our change has, and the revision of that.
_PATCHED_NAMES = {'_Owner': 1, 'RETRY_SECS': 3, '_generations': 2}


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
            Our module for that release.

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

    for name, revision in _PATCHED_NAMES.items():
        if name in parts:
            raise GraftError('is patched already, by revision %d' % revision)

    if 'ForwardingCacheBackend' not in parts:
        raise GraftError('has no class ForwardingCacheBackend')

    if '"""Returns' not in source:
        # Docstrings are in the imperative from 0.9 on.
        ours = re.sub(r'("""[A-Z]\w+)s\b', r'\1', ours)

    our_tree = ast.parse(ours)
    result = '\n'.join(_merge(tree, source.splitlines(),
                              our_tree, ours.splitlines())) + '\n'

    if _get_code(ast.parse(result)) != _get_code(our_tree):
        raise GraftError('has a class that the change does not fit')

    return result


def graft_siteconfig(source):
    """Return siteconfig's module with its change, or None if it has none.

    Args:
        source (str):
            The release's module.

    Returns:
        str:
        The patched module.
    """
    old = 'isinstance(cache, ForwardingCacheBackend)'

    if source.count(old) != 1:
        return None

    return source.replace(old, "hasattr(cache, 'reset_backend')")


def replace_parts(ours, others):
    """Return one of our modules with functions and methods of another one.

    Args:
        ours (str):
            The module.

        others (str):
            The module with the functions and methods. Those that ``ours`` does
            not have are added at the end of it, or of the class.

    Returns:
        str:
        The resulting module.
    """
    return '\n'.join(_replace(ast.parse(ours), ours.splitlines(),
                              ast.parse(others), others.splitlines())) + '\n'


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


def _merge(released, released_lines, ours, our_lines):
    """Return the lines of the release's module or class with our change."""
    result, released_parts = _split(released, released_lines)
    _, our_parts = _split(ours, our_lines)
    names = list(released_parts)
    names_above = dict(zip(names[1:], names))
    futures = [(name, part) for name, part in released_parts.items()
               if name not in our_parts and _is_future(part.node)]
    previous = None

    for name, part in released_parts.items():
        if name not in our_parts and name not in _REPLACED_METHODS and \
           not isinstance(part.node, (ast.Import, ast.ImportFrom)):
            raise GraftError('has %s, which the change would lose' % name)

    for name, part in futures + list(our_parts.items()):
        old_part = released_parts.get(name)
        has_same_lead = old_part and names_above.get(name) == previous

        # What separates two statements only stays if both do.
        result += (old_part if has_same_lead else part).lead

        if old_part is None:
            result += part.lines
        elif isinstance(part.node, ast.ClassDef):
            result += _merge(old_part.node, released_lines,
                             part.node, our_lines)
        else:
            result += _merge_statement(name, old_part, part)

        previous = name

    return result


def _merge_statement(name, released, ours):
    """Return the lines of a statement that the release has, too."""
    docstring = released.lines[released.docstring]

    if name in _EXTENDED_DOCSTRINGS and docstring:
        paragraphs = '\n'.join(docstring[:-1]).split('\n\n')[:2]
        docstring = ('\n\n'.join(paragraphs).split('\n') +
                     ours.lines[ours.docstring][1:])
    elif _get_code(released.node) == _get_code(ours.node):
        return released.lines

    lines = list(ours.lines)
    lines[ours.docstring] = docstring

    return lines


def _replace(ours, our_lines, others, other_lines):
    """Return the lines of a module or class of ours with parts of another."""
    result, our_parts = _split(ours, our_lines)
    _, other_parts = _split(others, other_lines)

    for name, part in our_parts.items():
        other = other_parts.pop(name, part)
        result += part.lead

        if isinstance(part.node, ast.ClassDef) and other is not part:
            result += _replace(part.node, our_lines, other.node, other_lines)
        else:
            result += other.lines

    for part in other_parts.values():
        if isinstance(part.node, (ast.ClassDef, ast.FunctionDef)):
            result += part.lead + part.lines

    return result

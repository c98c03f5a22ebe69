"""Grafts our change into a release's own files.

The release's module and ours are compared as syntax trees. What has the same
code in both, apart from docstrings and comments, keeps the release's text.
What doesn't takes ours, under the release's docstring, and what is new comes
in where our module has it. The result is then proven to have our code.
"""

import ast
import collections
import copy


#: Methods of the release that the change has another one for.
_REPLACED = {'__getattribute__'}

#: Names that only a module with our change has, and the revision of that.
_PATCHED = {'_Owner': 1, '_generations': 2}


class GraftError(Exception):
    """The change can't be grafted into a file, and the message says why."""


#: A statement: its node, the blank lines and comments above it, and its lines.
_Part = collections.namedtuple('_Part', ('node', 'lead', 'lines'))


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
    tree = _parse(source)
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
    """Return a release's ``siteconfig/django_settings.py`` with its change.

    Args:
        source (str):
            The release's module.

    Returns:
        str:
        The patched module. ``None`` if there is nothing to change.
    """
    old = 'isinstance(cache, ForwardingCacheBackend)'

    if source.count(old) != 1:
        return None

    return source.replace(old, "hasattr(cache, 'reset_backend')")


def _parse(source):
    """Return the syntax tree of a file."""
    try:
        return ast.parse(source)
    except (SyntaxError, ValueError) as e:
        raise GraftError('is not a Python module: %s' % e)


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
    parts = collections.OrderedDict()

    for child in node.body:
        if child is not docstring:
            first = min(item.lineno for item in
                        [child] + getattr(child, 'decorator_list', []))
            parts[_get_name(child)] = _Part(child, lines[end:first - 1],
                                            lines[first - 1:child.end_lineno])
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
            result += _replace_docstring(part, released)

        previous = name

    return result


def _replace_docstring(part, released):
    """Return the lines of our function with the release's docstring."""
    before, _, after = _split_docstring(part)

    return before + _split_docstring(released)[1] + after


def _split_docstring(part):
    """Return a function's lines before, in and after its docstring."""
    docstring = _get_docstring(part.node)

    if not docstring:
        return part.lines, [], []

    first = part.node.end_lineno - len(part.lines) + 1
    start, end = docstring.lineno - first, docstring.end_lineno - first + 1

    return part.lines[:start], part.lines[start:end], part.lines[end:]


def _adapt_to_python3(ours):
    """Return our module for the releases that need Python 3.

    These also need Django 3.2. So only the first branch is left where the
    version of Django is asked for, and no import that nothing else uses.
    """
    lines = ours.splitlines()
    tree = ast.parse(ours)

    branches = [
        (node, function.end_lineno)
        for function in ast.walk(tree)
        if isinstance(function, ast.FunctionDef)
        for node in function.body
        if (isinstance(node, ast.If) and
            'django.VERSION' in lines[node.lineno - 1])
    ]

    for node, end in reversed(branches):
        lines[node.lineno - 1:end] = [
            line[4:] for line in lines[node.lineno:node.body[-1].end_lineno]
        ]

    tree = ast.parse('\n'.join(lines))
    head, parts = _split(tree, lines)
    used = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}

    for part in parts.values():
        node = part.node

        if (_is_future(node) or
            (isinstance(node, (ast.Import, ast.ImportFrom)) and
             node.names[0].name not in used)):
            continue

        head += part.lead + part.lines

    return '\n'.join(head) + '\n'

"""YAML read safely, with the line of every value for error messages.

Scalars follow the core schema of YAML 1.2 (https://yaml.org/spec/1.2.2/#103-core-schema), not
PyYAML's YAML 1.1: `4e-5` is a number, `no` (also Norwegian) and `1:30` are text.
"""

from __future__ import annotations

import io
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import yaml

from soritune.errors import UserError
from soritune.files import open_regular
from soritune.recipe.slips import (
    CURLY_QUOTES,
    FULL_WIDTH_COLON,
    dash_without_space,
    explain,
    missing_colon,
)

Scalar = str | int | float | bool | None
# An alias may repeat a part of the document; more values than this are not a recipe but an attack.
MAX_NODES = 50_000
_MAX_BRACKETS = 50  # in each other

_NULL = re.compile(r"null|Null|NULL|~|")
_BOOL = re.compile(r"true|True|TRUE|false|False|FALSE")
_INT = re.compile(r"[-+]?[0-9]{1,300}")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")


@dataclass(frozen=True)
class Node:
    """A value and its line.

    `line` (from 1) is that of the key for an entry of a mapping, of the item for one of a list.
    Exactly one of `scalar`, `entries` and `items` is in use; `kind` says which.
    """

    line: int
    kind: str  # "scalar", "mapping" or "list"
    scalar: Scalar = None
    entries: Mapping[str, Node] = field(default_factory=dict)
    items: tuple[Node, ...] = ()

    def child(self, step: str | int) -> Node | None:
        """Return the entry or item `step`, None where there is none."""
        if isinstance(step, str):
            return self.entries.get(step)
        return self.items[step] if 0 <= step < len(self.items) else None

    def line_of(self, loc: tuple[str | int, ...]) -> int:
        """Return the line of the deepest value along `loc`; steps that do not exist are skipped."""
        node = self
        for step in loc:
            node = node.child(step) or node
        return node.line

    def value(self) -> object:
        """Return the value as dicts, lists and scalars."""
        if self.kind == "mapping":
            return {key: entry.value() for key, entry in self.entries.items()}
        if self.kind == "list":
            return [item.value() for item in self.items]
        return self.scalar


def read_document(path: Path, keys: Collection[str] = ()) -> Node:
    """Read the YAML mapping in `path`.

    Args:
        keys: words that are keys somewhere in it, by which a missing colon is recognised.

    Raises:
        UserError: one line with file and line, for a file that is missing, unreadable, empty, not
            YAML, not a mapping, or that gives a key twice.
    """
    if path.is_dir():
        raise UserError(f"{path}: is a folder; name the recipe's YAML file")
    try:
        with io.TextIOWrapper(open_regular(path), encoding="utf-8-sig") as file:
            text = file.read()
    except FileNotFoundError:
        raise UserError(f"{path}: no such file; name an existing recipe") from None
    except UnicodeDecodeError:
        raise UserError(f"{path}: is not UTF-8 text; save the recipe as UTF-8") from None
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror}") from None
    try:
        root = yaml.compose(text, Loader=_Loader)
    except yaml.MarkedYAMLError as error:
        line, problem = explain(text, error, keys)
        raise UserError(f"{path}:{line}: {problem}") from None
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise UserError(
            f"{path}:{line}: not valid YAML: character U+{error.character:04X} is not allowed"
        ) from None
    except RecursionError:
        raise UserError(f"{path}: is nested too deeply for a recipe") from None
    if root is None:
        raise UserError(
            f"{path}: is empty; a recipe needs name, output, language, model and corpora"
        )
    node = _Builder(path).build(root, root.start_mark.line + 1)
    if node.kind != "mapping":
        raise UserError(f"{path}:{node.line}: a recipe is a mapping of keys, not a {node.kind}")
    return node


class _Loader(yaml.SafeLoader):
    """Stops at brackets in brackets: PyYAML's time grows with the square of their depth."""

    def fetch_flow_collection_start(self, token: type[yaml.Token]) -> None:
        if self.flow_level >= _MAX_BRACKETS:
            raise RecursionError
        super().fetch_flow_collection_start(token)


class _Builder:
    """Converts PyYAML's nodes to `Node`; nothing is ever constructed from a tag."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.num_nodes = 0
        self.open: set[int] = set()

    def build(self, node: yaml.Node, line: int) -> Node:
        self.num_nodes += 1
        if id(node) in self.open or self.num_nodes > MAX_NODES:
            raise UserError(f"{self.path}:{line}: an alias (*name) repeats too much")
        if not node.tag.startswith("tag:yaml.org,2002:") or ":python/" in node.tag:
            tag = node.tag.replace("tag:yaml.org,2002:", "!!")
            raise UserError(f"{self.path}:{line}: tag {tag} is not allowed in a recipe")
        self.open.add(id(node))
        try:
            if isinstance(node, yaml.MappingNode):
                return self.mapping(node, line)
            if isinstance(node, yaml.SequenceNode):
                items = (self.build(item, item.start_mark.line + 1) for item in node.value)
                return Node(line, "list", items=tuple(items))
            self.check_scalar(node)
            return Node(line, "scalar", scalar=_scalar(node))
        finally:
            self.open.remove(id(node))

    def check_scalar(self, node: yaml.Node) -> None:
        """Raise UserError for text that is valid YAML and surely not what was meant."""
        text, style = str(node.value), getattr(node, "style", None)
        problem = None
        if style is None and text[:1] in CURLY_QUOTES and text:
            problem = 'the quotation marks are curly ones (“ ”); write straight ones (")'
        elif style is None and re.match(rf"[A-Za-z_][\w-]*\s*{FULL_WIDTH_COLON}", text):
            problem = missing_colon(text, ())
        elif style == '"' and re.match("[A-Za-z]:", text) and not text.isprintable():
            # C:\temp with \t for a tab.
            problem = (
                'a backslash in double quotes (") has a meaning of its own; write the path with / '
                "or in single quotes"
            )
        if problem is not None:
            raise UserError(f"{self.path}:{node.start_mark.line + 1}: {problem}")

    def check_list(self, node: yaml.Node) -> None:
        """Raise UserError for text below its key that was meant as a list."""
        if isinstance(node, yaml.ScalarNode) and node.style is None:
            problem = dash_without_space(str(node.value))
            if problem is not None:
                raise UserError(f"{self.path}:{node.start_mark.line + 1}: {problem}")

    def mapping(self, node: yaml.MappingNode, line: int) -> Node:
        entries: dict[str, Node] = {}
        for key_node, value_node in node.value:
            key_line = key_node.start_mark.line + 1
            if not isinstance(key_node, yaml.ScalarNode):
                raise UserError(f"{self.path}:{key_line}: a key must be a word")
            self.check_scalar(key_node)
            key = str(key_node.value)
            if key == "<<":
                raise UserError(
                    f'{self.path}:{key_line}: merge keys (<<) are not read; use "like" in a case'
                )
            if key in entries:
                raise UserError(
                    f'{self.path}:{key_line}: key "{key}" is given twice '
                    f"(first in line {entries[key].line})"
                )
            if value_node.start_mark.line + 1 > key_line:
                self.check_list(value_node)
            entries[key] = self.build(value_node, key_line)
        return Node(line, "mapping", entries=entries)


def _scalar(node: yaml.Node) -> Scalar:
    text = str(node.value)
    if isinstance(node, yaml.ScalarNode) and node.style in ("'", '"', "|", ">"):
        return text
    if _NULL.fullmatch(text):
        return None
    if _BOOL.fullmatch(text):
        return text.lower() == "true"
    if _INT.fullmatch(text):
        return int(text)
    if _FLOAT.fullmatch(text):
        return float(text)
    return text

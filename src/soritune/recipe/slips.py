"""What is not YAML, in a person's words and at the line of the mistake.

PyYAML reports where it gave up, which is often the line after the mistake, in the words of its
grammar. The usual slips are looked for in the text itself.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection

import yaml

FULL_WIDTH_COLON = "\uff1a"
CURLY_QUOTES = "“”„‘’"

# What word processors, chats and Korean keyboards write for a space and for a dash.
_ODD_SPACE = "\u00a0\u2000-\u200a\u202f\u205f\u3000"
_DASHES = "-\u2013\u2014"

_KEY = r"[A-Za-z_][\w-]*"
_INDENT = re.compile(r"[ \t]*")
_OPENS = {"sequence": ("[", "]"), "mapping": ("{", "}")}


def explain(text: str, error: yaml.MarkedYAMLError, keys: Collection[str]) -> tuple[int, str]:
    """Return the line of a mistake (from 1) and what is wrong there.

    Args:
        text: of the document.
        error: that PyYAML raised.
        keys: words that are keys somewhere in a recipe.
    """
    mark = error.problem_mark or error.context_mark
    problem = ", ".join(part for part in (error.context, error.problem) if part)
    stopped = mark.line if mark else 0
    begun = error.context_mark.line if error.context_mark else stopped
    lines = text.splitlines() or [""]
    stopped, begun = (min(number, len(lines) - 1) for number in (stopped, begun))
    looks: tuple[Callable[[], tuple[int, str] | None], ...] = (
        lambda: _tab(lines, stopped, problem),
        lambda: _odd_space(lines, stopped),
        lambda: _merge_mark(lines, stopped),
        lambda: _backslash(lines, begun, problem),
        lambda: _open_quote(begun, problem),
        lambda: _full_width_colon(lines, stopped),
        lambda: _curly_quote(lines, stopped),
        lambda: _dash(lines, stopped),
        lambda: _missing_colon(lines, stopped, keys),
        lambda: _open_bracket(begun, problem),
        lambda: _mark_at_start(lines, stopped, problem),
        lambda: _second_document(stopped, problem),
        lambda: _two_colons(lines, stopped, problem),
        lambda: _indentation(lines, stopped, problem),
    )
    found = next((each for each in (look() for look in looks) if each is not None), None)
    return found or (stopped + 1, f"not valid YAML: {' '.join(problem.split())}")


def missing_colon(word: str, keys: Collection[str]) -> str | None:
    """Return what is wrong with text that stands where a key and its value should; None: nothing.

    `mode lora` and `mode:lora` are one word to YAML, and so is `mode：lora`.
    """
    if FULL_WIDTH_COLON in word:
        key = word.partition(FULL_WIDTH_COLON)[0].strip()
        return f'the colon after "{key}" is a full-width one ({FULL_WIDTH_COLON}); write {key}: …'
    match = re.match(rf"({_KEY})(\s+|:)(?=[^\s:])", word)
    if match is None or match[1] not in keys:
        return None
    if match[2] == ":":
        return f'a space is missing after the colon of "{match[1]}"; write {match[1]}: …'
    return f'a colon is missing after "{match[1]}"; write {match[1]}: …'


def dash_without_space(text: str) -> str | None:
    """Return what is wrong with a line of a list that YAML takes for text; None: nothing.

    `-mine` and `– mine` are words.
    """
    match = re.match(rf"([{_DASHES}])( ?)([^\W\d].*)", text)
    if match is None or (match[1] == "-" and match[2]):
        return None
    entry = match[3].split()[0]
    if match[1] == "-":
        return f"a space is missing after the dash; write - {entry}"
    return f"the dash is a long one ({match[1]}); write - {entry}"


def _dash(lines: list[str], stopped: int) -> tuple[int, str] | None:
    for number in _back_from(lines, stopped)[:3]:
        found = dash_without_space(lines[number].strip())
        if found is not None:
            return number + 1, found
    return None


def _odd_space(lines: list[str], stopped: int) -> tuple[int, str] | None:
    for number in _back_from(lines, stopped):
        match = re.match(rf"[ \t]*(?:- )?(?:{_KEY}:)?[ \t]*([{_ODD_SPACE}])", lines[number])
        if match is not None:
            return number + 1, (
                f"the line has a special space (U+{ord(match[1]):04X}); replace it by an ordinary "
                "one"
            )
    return None


def _merge_mark(lines: list[str], stopped: int) -> tuple[int, str] | None:
    for number in _back_from(lines, stopped):
        if re.match(r"(<{7}|={7}|>{7})( |$)", lines[number]):
            return number + 1, (
                "a merge of two versions was not finished; keep one of them and remove the lines "
                "<<<<<<<, ======= and >>>>>>>"
            )
    return None


def _second_document(stopped: int, problem: str) -> tuple[int, str] | None:
    if "expected a single document" not in problem:
        return None
    return stopped + 1, "the line --- begins a second document; remove it"


def _tab(lines: list[str], stopped: int, problem: str) -> tuple[int, str] | None:
    if r"'\t'" not in problem:
        return None
    where = "begins with a tab" if lines[stopped].lstrip(" ").startswith("\t") else "has a tab"
    return stopped + 1, f"the line {where}; YAML takes spaces only, so replace it by spaces"


def _backslash(lines: list[str], begun: int, problem: str) -> tuple[int, str] | None:
    if "double-quoted" not in problem or "escape" not in problem:
        return None
    return begun + 1, (
        'a backslash in double quotes (") has a meaning of its own; write the path with / or in '
        "single quotes, such as 'C:\\recordings\\list.csv'"
    )


def _open_quote(begun: int, problem: str) -> tuple[int, str] | None:
    if "quoted scalar" not in problem:
        return None
    return begun + 1, "a quotation mark is not closed; add the second one"


def _full_width_colon(lines: list[str], stopped: int) -> tuple[int, str] | None:
    """Search backwards: the line at which the parser stopped comes after the mistake."""
    for number in _back_from(lines, stopped):
        match = re.match(rf"\s*(?:- )?[{{\s]*({_KEY})\s*{FULL_WIDTH_COLON}", lines[number])
        inside = re.search(rf"[{{,]\s*({_KEY})\s*{FULL_WIDTH_COLON}", lines[number])
        found = match or inside
        if found is not None:
            return number + 1, str(missing_colon(f"{found[1]}{FULL_WIDTH_COLON}", ()))
    return None


def _curly_quote(lines: list[str], stopped: int) -> tuple[int, str] | None:
    if not set(lines[stopped]) & set(CURLY_QUOTES):
        return None
    return stopped + 1, 'the quotation marks are curly ones (“ ”); write straight ones (")'


def _missing_colon(lines: list[str], stopped: int, keys: Collection[str]) -> tuple[int, str] | None:
    for number in _back_from(lines, stopped):
        word = lines[number].strip().removeprefix("- ")
        if re.match(rf"{_KEY}\s*:(\s|$)", word):
            if number < stopped:
                return None
            continue
        alone = word if word in keys else None
        found = f'a colon is missing after "{alone}"' if alone else missing_colon(word, keys)
        if found is not None:
            return number + 1, found
    return None


def _open_bracket(begun: int, problem: str) -> tuple[int, str] | None:
    match = re.search(r"flow (sequence|mapping)", problem)
    if match is None:
        return None
    opens, closes = _OPENS[match[1]]
    return begun + 1, f"{opens} is not closed; add {closes} (and a comma between two entries)"


def _mark_at_start(lines: list[str], stopped: int, problem: str) -> tuple[int, str] | None:
    kinds = ("cannot start any token", "scanning an alias", "undefined alias")
    if not any(kind in problem for kind in kinds):
        return None
    return stopped + 1, "a value begins with a mark that means something to YAML; put it in quotes"


def _two_colons(lines: list[str], stopped: int, problem: str) -> tuple[int, str] | None:
    """`title: one: two`: the second colon would begin another mapping."""
    if "mapping values are not allowed" not in problem:
        return None
    if len(re.findall(r":(?:\s|$)", _without_comment(lines[stopped]))) < 2:
        return None
    return stopped + 1, "a value with a colon in it needs quotes; or one entry is written a line"


def _indentation(lines: list[str], stopped: int, problem: str) -> tuple[int, str] | None:
    kinds = ("<block end>", "mapping values are not allowed", "<document start>")
    if not any(kind in problem for kind in kinds):
        return None
    own = _width(lines[stopped])
    above = _back_from(lines, stopped)[1:]
    if not above:
        return None
    before = _width(lines[above[0]])
    if own > before:
        return stopped + 1, (
            f"the line begins with {_spaces(own)}, the one above, which has a value already, with "
            f"{_spaces(before)}; give both the same indentation"
        )
    odd = _odd_one_above(lines, stopped)
    if odd is not None:
        return odd + 1, (
            f"the line begins with {_spaces(_width(lines[odd]))}, those that belong to it with "
            f"{_spaces(own)}; give all the same indentation"
        )
    widths = sorted({_width(lines[number]) for number in above})
    near = [width for width in widths if width < own][-1:] + [w for w in widths if w > own][:1]
    fitting = " or ".join(map(str, near or [before]))
    return stopped + 1, (
        f"the line begins with {_spaces(own)}, which fits no line above it; give it {fitting}"
    )


def _odd_one_above(lines: list[str], stopped: int) -> int | None:
    """Return the line that begins a block further right than most of its lines; None: none does."""
    own = _width(lines[stopped])
    deeper = []
    for number in _back_from(lines, stopped)[1:]:
        if _width(lines[number]) <= own:
            break
        deeper.append(number)
    if not deeper:
        return None
    first = deeper[-1]
    opened = _back_from(lines, first)[1:]
    if not opened or _width(lines[opened[0]]) >= own:  # own is where the block itself stands
        return None
    siblings = [number for number in deeper if _width(lines[number]) == _width(lines[first])]
    following = 0
    for line in lines[stopped:]:
        if _without_comment(line).strip():
            if _width(line) < own:
                break
            following += _width(line) == own
    return first if following > len(siblings) else None


def _back_from(lines: list[str], stopped: int) -> list[int]:
    """Return the numbers (from 0) of lines with content, from `stopped` backwards."""
    return [n for n in range(stopped, -1, -1) if _without_comment(lines[n]).strip()]


def _without_comment(line: str) -> str:
    return re.sub(r"(^|\s)#.*", "", line)


def _width(line: str) -> int:
    return len(_INDENT.match(line)[0])  # type: ignore[index]  # it matches any line


def _spaces(number: int) -> str:
    return {0: "no space", 1: "1 space"}.get(number, f"{number} spaces")

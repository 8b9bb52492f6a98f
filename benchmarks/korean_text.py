"""Libraries for Korean numerals and spaces on the hand-made cases of tests/korean_cases.tsv.

python benchmarks/korean_text.py [--spoken MANIFEST]

Each library that is installed is measured, the others are named; docs/korean-text.md has the
versions. "right" is one of the outputs of the case, "right but for spaces" the same without
them. Times are of this machine, for one sentence. `--spoken` takes a list of recordings in JSON
lines with `text` as written and `text_spoken` as said, and prints where our words are others.
"""

from __future__ import annotations

import argparse
import json
import random
import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from soritune.errors import UserError
from soritune.languages.ko import normalize, spell_numbers, unify
from soritune.languages.ko.numerals import sino

CASES_FILE = Path(__file__).parent.parent / "tests" / "korean_cases.tsv"
Convert = Callable[[str], str]
NUMBER = re.compile(r"\d[\d,]*(?:\.\d+)?")


@dataclass(frozen=True)
class Case:
    """A text, its right outputs, and the heading that it belongs to."""

    task: str
    kind: str
    given: str
    right: tuple[str, ...]


def read_cases() -> Iterator[Case]:
    """The cases of the file, in its order."""
    kind = ""
    for line in CASES_FILE.read_text(encoding="utf-8").splitlines():
        if line.startswith("# -- "):
            kind = re.sub(r" \(.*|: .*|, .*", "", line.removeprefix("# -- "))
        elif not line.startswith(("#", "task\t")):
            task, given, right = line.split("\t")
            yield Case(task, kind, given, tuple(right.split("|")))


def ours_spell() -> Convert:
    """This project."""
    return lambda text: spell_numbers(unify(text))


def nemo_spell() -> Convert:
    """NVIDIA NeMo text processing: grammars of weighted transducers."""
    from nemo_text_processing.text_normalization.normalize import Normalizer

    normalize: Convert = Normalizer(input_case="cased", lang="ko").normalize
    return normalize


def voxnorm_spell() -> Convert:
    """Written to spoken forms in several languages."""
    import voxnorm

    return lambda text: str(voxnorm.normalize(text, lang="ko"))


def brighto_spell() -> Convert:
    """Normaliser for speech synthesis in seven languages."""
    from brighto_norm4tts import TTSNormalizer

    normalize: Convert = TTSNormalizer("ko").normalize
    return normalize


def g2pkk_spell() -> Convert:
    """The number rules of g2pK."""
    from g2pkk.numerals import convert_num

    convert: Convert = convert_num
    return convert


def num2words_spell() -> Convert:
    """Knows numbers alone: each number of the text is put through it."""
    from num2words import num2words

    def word(found: re.Match[str]) -> str:
        plain = found.group().replace(",", "")
        return str(num2words(float(plain) if "." in plain else int(plain), lang="ko"))

    return lambda text: NUMBER.sub(word, text)


def hangeul_spell() -> Convert:
    """Knows whole numbers alone: each of the text is put through it."""
    from hangeul import num2han

    return lambda text: re.sub(r"\d[\d,]*", lambda found: str(num2han(found.group())), text)


def kocer_spell() -> Convert:
    """Knows readings of a number before its counter: the first that it would hold equal."""
    from kocer.normalize import normalize
    from kocer.numbers import NUMBER as KOCER_NUMBER
    from kocer.numbers import options

    def convert(text: str) -> str:
        text = normalize(text, punct=True)
        return str(
            KOCER_NUMBER.sub(
                lambda found: [*options(found.group(), text[found.end() :]), found.group()][1], text
            )
        )

    return convert


SPELL: dict[str, Callable[[], Convert]] = {
    "soritune": ours_spell,
    "nemo_text_processing": nemo_spell,
    "voxnorm": voxnorm_spell,
    "brighto-norm4tts": brighto_spell,
    "kocer": kocer_spell,
    "num2words": num2words_spell,
    "hangeul": hangeul_spell,
    "g2pkk": g2pkk_spell,
}


def main() -> None:
    """Print a table of numerals and one of spaces."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--spoken", type=Path)
    manifest = parser.parse_args().spoken
    if manifest is not None:
        spoken_as_written(manifest)
        return
    cases = list(read_cases())
    chosen = [case for case in cases if case.task == "spell"]
    kinds = list(dict.fromkeys(case.kind for case in chosen))
    sizes = [sum(case.kind == kind for case in chosen) for kind in kinds]
    heads = [f"{kind} ({size})" for kind, size in zip(kinds, sizes, strict=True)]
    print(f"\ndigits to words: {len(chosen)} cases\n")
    print("| library | right | right but for spaces | ms | " + " | ".join(heads) + " |")
    print("|---|" + "---|" * (3 + len(kinds)))
    for name, make in SPELL.items():
        print(row(name, make, chosen, kinds))
    numbers()
    spaces(cases)


def row(name: str, make: Callable[[], Convert], cases: list[Case], kinds: list[str]) -> str:
    """One library's line: of each heading, what is right but for spaces."""
    try:
        convert = make()
        label = f"{name} {version(name)}"
    except (ImportError, PackageNotFoundError):
        return f"| {name} | not installed |"
    right = spaced = 0
    of_kind = dict.fromkeys(kinds, 0)
    started = time.perf_counter()
    for case in cases:
        output = attempt(convert, case.given)
        right += output in case.right
        if squeezed(output) in map(squeezed, case.right):
            spaced += 1
            of_kind[case.kind] += 1
    each_ms = 1000 * (time.perf_counter() - started) / len(cases)
    cells = [f"{right}", f"{spaced}", f"{each_ms:.2f}", *map(str, of_kind.values())]
    return f"| {label} | " + " | ".join(cells) + " |"


def attempt(convert: Convert, text: str) -> str:
    """Return a library's output; one that fails on a text has none."""
    try:
        return convert(text)
    except Exception as error:
        return f"({type(error).__name__})"


def squeezed(text: str) -> str:
    """`text` without spaces."""
    return text.replace(" ", "")


def spoken_as_written(manifest: Path) -> None:
    """Sentences with digits or capitals, as we read them and as they were read."""
    lines = map(json.loads, manifest.read_text(encoding="utf-8").splitlines())
    pairs = {line["text"]: line["text_spoken"] for line in lines if line.get("text_spoken")}
    chosen = {text: said for text, said in pairs.items() if re.search(r"[\dA-Z]", text)}
    other = 0
    for text, said in chosen.items():
        ours = normalize(text, numerals="words", letters="hangul")
        if re.sub(r"\W", "", ours) != re.sub(r"\W", "", said):
            other += 1
            print(f"  {ours}\n  {said}\n")
    print(f"{len(chosen) - other} of {len(chosen)} as they were said, but for spaces and marks")


def numbers() -> None:
    """Whole numbers beside num2words, which knows them up to 10^72."""
    try:
        from num2words import num2words
    except ImportError:
        return
    draw = random.Random(1)
    sample = [draw.randrange(10**size) for size in range(1, 20) for _ in range(500)]
    other = [n for n in sample if sino(n) != num2words(n, lang="ko")]
    print(f"\nwhole numbers beside num2words: {len(sample) - len(other)} of {len(sample)} equal")
    for number in other[:3]:
        print(f"  {number:,}: {sino(number)} | {num2words(number, lang='ko')}")


def spaces(cases: list[Case]) -> None:
    """Kiwi alone, and Kiwi with numerals kept together: missing spaces, and spoken sentences."""
    try:
        from soritune.languages.ko.spacing import _kiwi, correct_spacing, spacing_version

        label = spacing_version()
        kiwi = _kiwi()
    except (ImportError, UserError) as error:
        print(f"\nspaces: {error}")
        return
    repaired = [case for case in cases if case.task == "space"]
    spoken = [case.right[0] for case in cases if case.task == "spell" and " " in case.right[0]]
    print(f"\nspaces: {label}\n")
    print(
        f"| | missing spaces put in ({len(repaired)}) | all spaces of {len(spoken)} spoken "
        "sentences put back: precision, recall | of those, left as they are | ms |\n"
        "|---|---|---|---|---|"
    )
    alone: Convert = partial(kiwi.space, reset_whitespace=False)
    for name, convert in (("Kiwi", alone), ("soritune with Kiwi", correct_spacing)):
        right = sum(convert(case.given) in case.right for case in repaired)
        kept = sum(convert(sentence) == sentence for sentence in spoken)
        found = wanted = both = 0
        started = time.perf_counter()
        for sentence in spoken:
            one, other = boundaries(convert(squeezed(sentence))), boundaries(sentence)
            found, wanted, both = found + len(one), wanted + len(other), both + len(one & other)
        each_ms = 1000 * (time.perf_counter() - started) / len(spoken)
        share = f"{both / found:.2f}, {both / wanted:.2f}"
        print(f"| {name} | {right} | {share} | {kept} | {each_ms:.2f} |")


def boundaries(text: str) -> set[int]:
    """Where spaces stand, in letters before them."""
    places: set[int] = set()
    letters = 0
    for character in text:
        if character == " ":
            places.add(letters)
        else:
            letters += 1
    return places


if __name__ == "__main__":
    main()

"""Sources without splits of their own: divided by speaker and sentence."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Annotated, Literal, NamedTuple, Self

from pydantic import BaseModel, Field, PrivateAttr

from soritune.errors import UserError
from soritune.languages.setting import LanguageCode
from soritune.sources.options import SourceOptions
from soritune.sources.split import (
    NOTHING_ASSIGNED,
    Assignments,
    Keys,
    Shares,
    assignments_of,
    split_entries,
)
from soritune.utterance import Split, sentence_key


@dataclass(frozen=True)
class DivisionBasis:
    """How a source is divided. What was in test can only stay there while this is the same.

    Attributes:
        by: "speaker", "sentence"; the speaker only where one is named.
    """

    by: tuple[str, ...]
    test_share: float
    dev_share: float
    seed: int


@dataclass
class DivisionMemory:
    """What a corpus remembers of its division, while its source is read again.

    Attributes:
        before: basis and assignments of the corpus as it was; None where there is none.
        basis, assignments: those of the entries just read; None where they were not divided.
    """

    before: tuple[DivisionBasis, Assignments] | None = None
    basis: DivisionBasis | None = None
    assignments: Assignments = field(default_factory=Assignments)

    def kept(self, basis: DivisionBasis) -> Assignments:
        """Return what must stay where it was."""
        if self.before is None or self.before[0] != basis:
            return NOTHING_ASSIGNED
        return self.before[1]


class DividedSource(SourceOptions):
    """Settings of a source that is divided where it names no splits itself.

    Test and dev share no speaker and no sentence with train (`split_by`; where nobody is named,
    no sentence).
    """

    split_by: list[Literal["speaker", "sentence"]] = Field(["speaker", "sentence"], min_length=1)
    test_share: Annotated[float, Field(ge=0, lt=1)] = 0.1
    dev_share: Annotated[float, Field(ge=0, lt=1)] = 0.05
    seed: int = 0
    _memory: DivisionMemory = PrivateAttr(default_factory=DivisionMemory)

    @property
    def memory(self) -> DivisionMemory:
        """What was divided before, and is now; not a setting."""
        return self._memory

    def remembering(self, memory: DivisionMemory) -> Self:
        """Return the same settings with another memory."""
        copy = self.model_copy()
        copy._memory = memory
        return copy


class OwnRecordings(DividedSource):
    """Settings of a source of the user's own recordings, in any language.

    `language` is that of entries that name none; None: the recipe's.
    """

    language: LanguageCode | None = None

    def in_language(self, language: str) -> Self:
        return self if self.language else self.model_copy(update={"language": language})

    @property
    def default_language(self) -> str:
        """The language of entries that name none. Raises UserError where it is not known."""
        if self.language is None:
            raise UserError("the source names no language. Add language to its settings.")
        return self.language


class Unusable(NamedTuple):
    """Why an entry cannot be used: `reason` and `detail` of its `Rejected`."""

    reason: str
    detail: str


def divide(
    spoken: Iterable[tuple[str | None, str]], settings: DividedSource, where: str
) -> list[Split | Unusable]:
    """Return the split of each entry (speaker, transcript), in their order.

    Holds speaker and sentence of every entry, no audio. Raises UserError where they cannot be
    split as asked; `where` begins its message.
    """
    entries = [(speaker, sentence_key(text)) for speaker, text in spoken]
    by_speaker = "speaker" in settings.split_by and any(speaker for speaker, _ in entries)
    by_sentence = "sentence" in settings.split_by
    if not by_speaker and not by_sentence:
        raise UserError(
            f"{where}: split_by speaker needs the speakers' names and none is there; name their "
            f"column, or set split_by: [sentence]"
        )
    # Who is not named could be a speaker of the test: such entries cannot be split by speaker.
    # An empty transcript is not a sentence; prepare puts it into the quarantine wherever it is.
    keys = [
        Keys(speaker if by_speaker else None, sentence if by_sentence else None)
        for speaker, sentence in entries
        if sentence and (speaker or not by_speaker)
    ]
    basis = DivisionBasis(
        tuple(name for name, does in (("speaker", by_speaker), ("sentence", by_sentence)) if does),
        settings.test_share,
        settings.dev_share,
        settings.seed,
    )
    memory = settings.memory
    shares = Shares(basis.test_share, basis.dev_share)
    try:
        splits = split_entries(keys, shares, basis.seed, memory.kept(basis))
    except UserError as error:
        raise UserError(f"{where}: {error}") from error
    memory.basis, memory.assignments = basis, assignments_of(keys, splits)
    shared_out = iter(splits)
    outcome: list[Split | Unusable] = []
    for speaker, sentence in entries:
        if not sentence:
            outcome.append(Unusable("empty-text", "the transcript has no letter or digit"))
        elif by_speaker and not speaker:
            outcome.append(Unusable("no-speaker", "names no speaker though others do"))
        else:
            split = next(shared_out)
            outcome.append(CONFLICT if split is None else split)
    return outcome


def remembering(source: BaseModel, memory: DivisionMemory) -> BaseModel:
    """Return a source that divides as `memory` says; others as they are."""
    return source.remembering(memory) if isinstance(source, DividedSource) else source


CONFLICT = Unusable("split-conflict", "its speaker and its sentence belong to different splits")

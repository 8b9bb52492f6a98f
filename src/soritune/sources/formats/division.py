"""Sources without splits of their own: divided by speaker and sentence."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Literal, NamedTuple, Self

from pydantic import Field

from soritune.errors import UserError
from soritune.languages.setting import LanguageCode
from soritune.sources.options import SourceOptions
from soritune.sources.split import Keys, Shares, split_entries
from soritune.utterance import Split, sentence_key


class DividedSource(SourceOptions):
    """Settings of a source that is divided where it names no splits itself.

    Test and dev share no speaker and no sentence with train (`split_by`; where nobody is named,
    no sentence).
    """

    split_by: list[Literal["speaker", "sentence"]] = Field(["speaker", "sentence"], min_length=1)
    test_share: Annotated[float, Field(ge=0, lt=1)] = 0.1
    dev_share: Annotated[float, Field(ge=0, lt=1)] = 0.05
    seed: int = 0


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
    try:
        shared_out = iter(
            split_entries(keys, Shares(settings.test_share, settings.dev_share), settings.seed)
        )
    except UserError as error:
        raise UserError(f"{where}: {error}") from error
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


CONFLICT = Unusable("split-conflict", "its speaker and its sentence belong to different splits")

"""What a recipe may say of every corpus, whatever its source."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, PositiveInt

from soritune.augment.config import Augmentation
from soritune.augment.files import files_identity
from soritune.languages.form import TextForm
from soritune.sources.exclude import ids_identity
from soritune.sources.sound import SoundForm

SharedPolicy = Literal["keep", "drop-from-train"]


class SourceOptions(BaseModel):
    """Base of every source's settings.

    `max_hours` and `max_utterances` limit the training split: the utterances with the smallest
    digests of their ids are taken, so they are spread over the speakers, and more of them
    include those of less. Dev and test are never cut.
    `shared_sentences` says what becomes of training utterances whose sentence is in dev or
    test, `shared_speakers` the same of speakers. `exclude` is a list of ids to leave out, one a
    line. `license` overrides what is known of the source. `augment` says how clips are changed for
    training; in all splits, `text` says how transcripts are written, `trim_silence_s` how much
    silence stays at the ends of a clip, and `remove_offset` removes a constant offset.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    max_hours: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = None
    max_utterances: PositiveInt | None = None
    shared_sentences: SharedPolicy = "drop-from-train"
    shared_speakers: SharedPolicy = "keep"
    exclude: Path | None = None
    trim_silence_s: Annotated[float, Field(ge=0.05, allow_inf_nan=False)] | None = None
    remove_offset: bool = False
    license: Annotated[str, Field(min_length=1)] | None = None
    augment: Augmentation | None = None
    text: TextForm | None = None

    def in_language(self, language: str) -> Self:
        """Return the settings with `language` for what has no language of its own."""
        return self

    @property
    def sound(self) -> SoundForm:
        """The form of the clips."""
        return SoundForm(self.trim_silence_s, self.remove_offset)


def options_of(source: BaseModel) -> SourceOptions:
    """Return the common options of a source; the defaults where its settings know none."""
    return source if isinstance(source, SourceOptions) else SourceOptions()


def described_options(source: BaseModel) -> dict[str, Any]:
    """Return settings of a source as JSON values; common options that were not changed are left
    out.

    So a new common option does not require every corpus again.
    """
    described: dict[str, Any] = source.model_dump(mode="json")
    for name, field in SourceOptions.model_fields.items():
        if name in described and described[name] == field.default:
            del described[name]
    options = options_of(source)
    if options.exclude is not None:
        described["exclude"] = ids_identity(options.exclude)
    form = options.text
    if form is not None:
        described["text"] = form.described()
    augmentation = options.augment
    if augmentation is not None and augmentation.stored and augmentation.paths():
        described["augment"]["files"] = files_identity(augmentation.paths())
    if augmentation is not None and not augmentation.stored:
        described.pop("augment", None)  # nothing of it is in the corpus
    return described

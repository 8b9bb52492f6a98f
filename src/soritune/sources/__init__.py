"""Sources of recordings, one file each.

To add one:

1. write `formats/<name>.py` (a form of files) or `corpora/<name>.py` (a published data set) with a
   frozen pydantic model whose `source: Literal["<name>"]` and further fields are what a recipe may
   say, and `read(source)`, which yields `Utterance`s in an order that never changes, and
   `Rejected` for entries that it cannot use; what makes the whole source useless (no such file,
   no network) raises UserError;
2. add the model to `SourceConfig` and a line to `READERS` below.

`read` checks and decodes no audio (`prepare` does) and holds no more than it must: `audio` is a
path, the bytes of a file, or something that renders itself.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import BaseModel, Field

from soritune.sources.corpora import (
    aihub,
    common_voice,
    fleurs,
    kspon,
    minds14,
    non_speech,
    zeroth,
)
from soritune.sources.corpora.aihub import AihubSource
from soritune.sources.corpora.common_voice import CommonVoiceSource
from soritune.sources.corpora.demo import source as demo
from soritune.sources.corpora.demo.source import DemoSource
from soritune.sources.corpora.fleurs import FleursSource
from soritune.sources.corpora.kspon import KsponSource
from soritune.sources.corpora.minds14 import Minds14Source
from soritune.sources.corpora.non_speech import NonSpeechSource
from soritune.sources.corpora.zeroth import ZerothSource
from soritune.sources.formats import folder, hub, kaldi, lhotse, manifest, subtitles, webdataset
from soritune.sources.formats.folder import FolderSource
from soritune.sources.formats.hub import HubSource
from soritune.sources.formats.kaldi import KaldiSource
from soritune.sources.formats.lhotse import LhotseSource
from soritune.sources.formats.manifest import ManifestSource
from soritune.sources.formats.subtitles import SubtitlesSource
from soritune.sources.formats.webdataset import WebDatasetSource
from soritune.sources.hub_tables import Published
from soritune.sources.limits import limit_factor
from soritune.sources.options import described_options, options_of
from soritune.utterance import Rejected, Utterance

SourceConfig = Annotated[
    ManifestSource
    | FolderSource
    | KaldiSource
    | LhotseSource
    | ZerothSource
    | CommonVoiceSource
    | Minds14Source
    | FleursSource
    | KsponSource
    | AihubSource
    | WebDatasetSource
    | HubSource
    | SubtitlesSource
    | DemoSource
    | NonSpeechSource,
    Field(discriminator="source"),
]
"""What a recipe may say under `corpora`; `source` selects one."""


@dataclass(frozen=True)
class Reader:
    """How a source is read; each function takes its config.

    `check` raises UserError where files that the settings name are not there, as far as that is
    cheap to know; `count` is the number of entries where that is cheap to know (None: unknown);
    `identity` is text that changes when the files behind an unchanged config do, so that they are
    read again; `published` is what is known of a data set on the hub before it is there (None: it
    is there, or made here); `disjoint` means that its splits share no sentence by the way they were
    made, so that `prepare` need not read the source again to find out.
    """

    read: Callable[[Any], Iterator[Utterance | Rejected]]
    count: Callable[[Any], int | None] = lambda source: None
    identity: Callable[[Any], str] = lambda source: ""
    published: Callable[[Any], Published | None] = lambda source: None
    disjoint: bool = False
    check: Callable[[Any], None] = lambda source: None


def _digest(entries: Iterable[Utterance | Rejected]) -> str:
    """For entries that are computed: their text changes when the code that makes them does."""
    digest = hashlib.sha256()
    for entry in entries:
        digest.update(repr(entry).encode("utf-8", "backslashreplace"))
    return digest.hexdigest()


READERS: dict[type[BaseModel], Reader] = {
    ManifestSource: Reader(manifest.read, manifest.count, manifest.identity),
    FolderSource: Reader(folder.read, folder.count, folder.identity),
    KaldiSource: Reader(kaldi.read, kaldi.count, kaldi.identity),
    LhotseSource: Reader(lhotse.read, lhotse.count, lhotse.identity),
    ZerothSource: Reader(zeroth.read, zeroth.count, zeroth.identity, zeroth.published),
    CommonVoiceSource: Reader(
        common_voice.read,
        common_voice.count,
        common_voice.identity,
        common_voice.published,
        disjoint=True,
    ),
    Minds14Source: Reader(
        minds14.read, minds14.count, minds14.identity, minds14.published, disjoint=True
    ),
    FleursSource: Reader(fleurs.read, identity=fleurs.identity, published=fleurs.published),
    KsponSource: Reader(kspon.read, kspon.count, kspon.identity),
    AihubSource: Reader(aihub.read, identity=aihub.identity),
    WebDatasetSource: Reader(webdataset.read, identity=webdataset.identity, check=webdataset.check),
    HubSource: Reader(hub.read, identity=hub.identity, published=hub.published),
    SubtitlesSource: Reader(subtitles.read, subtitles.count, subtitles.identity),
    DemoSource: Reader(
        demo.read,
        count=lambda source: source.train + source.dev + source.test,
        identity=lambda source: _digest(demo.read(source)),
        disjoint=True,
    ),
    NonSpeechSource: Reader(
        non_speech.read,
        count=lambda source: len(non_speech.SOUNDS) * len(non_speech.DURATIONS_S),
        identity=lambda source: _digest(non_speech.read(source)),
        disjoint=True,
    ),
}


def read_source(source: BaseModel) -> Iterator[Utterance | Rejected]:
    """Yield entries of a source in their order. Raises UserError where it cannot be read at all."""
    return READERS[type(source)].read(source)


def check_source(source: BaseModel) -> None:
    """Raise UserError where files that a source names are not there, if that is cheap to know."""
    READERS[type(source)].check(source)


def count_source(source: BaseModel) -> int | None:
    """Return the number of entries of a source where that is cheap to know, else None."""
    count = READERS[type(source)].count(source)
    augmentation = options_of(source).augment
    if count is None or augmentation is None:
        return count
    return count * (1 + augmentation.num_copies)  # as if all were of the training split


def published_source(source: BaseModel) -> Published | None:
    """Return what is known of a source that would have to be got first, else None."""
    return READERS[type(source)].published(source)


def splits_are_disjoint(source: BaseModel) -> bool:
    """Return whether the splits of a source share no sentence by the way they were made."""
    return READERS[type(source)].disjoint


def describe_source(source: BaseModel) -> dict[str, Any]:
    """Return the config and the identity of what it points to, as JSON values.

    Equal descriptions promise equal entries, which is how `prepare` knows that it is done.
    """
    identity = READERS[type(source)].identity(source)
    described = described_options(source)
    if (factor := limit_factor()) != 1:
        described["limit_factor"] = factor
    return {**described, "identity": identity} if identity else described

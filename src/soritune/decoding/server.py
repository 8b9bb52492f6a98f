"""A model behind a server with OpenAI's audio API: `openai:http://127.0.0.1:8000/v1#model`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from soritune.errors import UserError

if TYPE_CHECKING:
    from soritune.decoding.engine_openai import OpenAIEngine

OPENAI = "openai:"
CONCURRENCY = 8
"""Requests at a time."""


@dataclass(frozen=True)
class ServerModel:
    """What a server at `url` (up to and with `/v1`) calls `name`. What that is, only it knows."""

    url: str
    name: str

    @property
    def device(self) -> str:
        """What stands for the device in records of speed, whose times include the network."""
        return f"a server, {CONCURRENCY} requests at a time"

    def engine(self) -> OpenAIEngine:
        """Return what asks it."""
        from soritune.decoding.engine_openai import OpenAIEngine

        return OpenAIEngine(self.url, self.name, CONCURRENCY)


def server_model(source: str) -> ServerModel | None:
    """Return the model that a source names, None where it is not on a server.

    Raises:
        UserError: an address that is not one, holds a password, or names no model.
    """
    if not source.startswith(OPENAI):
        return None
    url, _, name = source.removeprefix(OPENAI).partition("#")
    usual = "Give one like openai:http://127.0.0.1:8000/v1#model"
    try:
        parts = urlsplit(url)
        known = parts.scheme in ("http", "https") and bool(parts.hostname)
        _ = parts.port  # raises ValueError where it is not a number
    except ValueError:
        known = False
    if not known:
        raise UserError(f'{source}: "{url}" is not an address. {usual}')
    if parts.username is not None:
        raise UserError(
            f"{OPENAI}{parts.scheme}://…@{parts.hostname}: an address stands in reports, so it "
            "must not hold a key. Set OPENAI_API_KEY in its place"
        )
    if not name.strip():
        raise UserError(f"{source}: which model of the server is not said. {usual}")
    return ServerModel(url, name)

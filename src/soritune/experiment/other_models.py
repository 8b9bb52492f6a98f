"""Models that are not of the recipe, scored on its sets by `evaluate --model`.

<output>/models/<name>/   model.json (where it is and what it was), hypotheses/, scores/

Each is a row of its own in the report. Nothing of the recipe's cases depends on it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from soritune.decoding.server import ServerModel, server_model
from soritune.errors import UserError
from soritune.experiment.fingerprint import base_identity
from soritune.experiment.loading import NO_BEAMS
from soritune.files import json_sha256, read_regular, write_atomically
from soritune.recipe import Recipe
from soritune.recipe.schema import ORIGINAL, Name
from soritune.tasks import Request, Task

FOLDER = "models"
_FILE = "model.json"
# Parts of a path that name no model: runs/NAME/cases/CASE/model.
_NAMELESS = ("model", "cases")


@dataclass(frozen=True)
class OtherModel:
    """A model as it was when it was evaluated.

    Attributes:
        source: as `load` takes it; a folder absolutely.
        identity: of its content and that of all that it is built on; of a model on a server, of
            its address and name.
    """

    name: str
    source: str
    identity: str


_MODEL = TypeAdapter(OtherModel)
_NAME: TypeAdapter[str] = TypeAdapter(Name)


def read_other_models(output: Path) -> dict[str, OtherModel]:
    """Return the models that were evaluated in an output folder, by name."""
    found = {}
    for path in sorted((output / FOLDER).glob(f"*/{_FILE}")):
        try:
            model = _MODEL.validate_json(read_regular(path))
        except (OSError, ValidationError):
            continue
        found[path.parent.name] = model
    return found


def add_other_model(recipe: Recipe, output: Path, source: str, name: str | None) -> OtherModel:
    """Record a model that is to be evaluated; another one of its name gives way.

    Args:
        name: in the report; None: that of its folder.

    Raises:
        UserError: no such model, a name that cannot be used.
    """
    from soritune.models.record import stable_name

    server = server_model(source)
    identity = _identity(source) if server is None else base_identity(source, None)
    name = _default_name(source, server) if name is None else name
    _check_name(name, recipe)
    model = OtherModel(name, stable_name(source), identity)
    text = json.dumps(asdict(model), ensure_ascii=False, indent=2) + "\n"
    path = output / FOLDER / name / _FILE
    if path.exists() and name not in read_other_models(output):
        raise UserError(
            f"{path}: soritune has not written it and would replace it. Give the model another "
            "name with --name."
        )
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, text.encode())
    return model


def what_it_can(
    recipe: Recipe, model: OtherModel, evaluations: Sequence[str]
) -> tuple[list[str], dict[str, str]]:
    """Return the evaluations that a model can do, and why not for the others."""
    server = server_model(model.source)
    check = _family_check(model.source) if server is None else server.engine().check
    refused = {name: _refusal(recipe, check, name) for name in evaluations}
    if server is not None:
        refused |= {name: NO_BEAMS for name in evaluations if recipe.evaluate[name].beams > 1}
    return (
        [name for name, reason in refused.items() if reason is None],
        {name: reason for name, reason in refused.items() if reason is not None},
    )


def _identity(source: str) -> str:
    from soritune.models.open import open_chain

    chain = open_chain(source)
    built_on = [str(addition.folder) for addition in chain.additions]
    identities = [base_identity(each, None) for each in (*built_on, str(chain.base_folder))]
    return json_sha256({"built_on": identities})


def _family_check(source: str) -> Callable[[Request], None]:
    from soritune.models.open import open_chain

    return open_chain(source).family.check_request


def _refusal(recipe: Recipe, check: Callable[[Request], None], evaluation: str) -> str | None:
    settings = recipe.evaluate[evaluation]
    language = settings.source_language or getattr(
        recipe.corpora[settings.corpus], "language", None
    )
    to = None if settings.task is Task.ASR else settings.to
    try:
        check(Request(settings.task, language, to))
    except UserError as error:
        return str(error)
    return None


def _default_name(source: str, server: ServerModel | None) -> str:
    """Return what a model is called: the last part of its place that is a name."""
    if server is not None:
        return server.name.rstrip("/").rpartition("/")[2]
    path = Path(source).resolve() if Path(source).is_dir() else Path(source)
    parts = [part for part in path.parts if part not in _NAMELESS]
    return parts[-1].rpartition(":")[2] if parts else source


def _check_name(name: str, recipe: Recipe) -> None:
    if name in (ORIGINAL, *recipe.cases):
        raise UserError(
            f'"{name}" is a case of the recipe; give the model another name with --name'
        )
    try:
        _NAME.validate_python(name)
    except ValidationError:
        raise UserError(
            f'"{name}" cannot name a row of the report (letters, digits, - _ + and .); give the '
            "model a name with --name"
        ) from None

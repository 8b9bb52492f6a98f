"""`publish`: a trained case as a repository of the hub, with a card that says what it is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from soritune.errors import UserError
from soritune.export.card import RESULTS_FILE
from soritune.export.export import Exported, export
from soritune.hub import is_hub_id
from soritune.models.record import EXPORT_FILE, RECORD_FILE
from soritune.models.shards import Advance

PUBLISHED = "published"
# Weights of an earlier publication; what else is in the repository stays.
_REPLACED = ["*.safetensors", "*.safetensors.index.json", RESULTS_FILE]

_LOGIN = "set HF_TOKEN to one that may write there, or run: hf auth login"
_AGAIN = "check the network and run the same command again"


@dataclass(frozen=True)
class Published:
    """What was written, and where it was uploaded to; `url` is None for a dry run."""

    exported: Exported
    url: str | None


def publish(
    case: Path,
    repository: str,
    *,
    layout: str | None = None,
    out: Path | None = None,
    license: str | None = None,
    private: bool = False,
    dry_run: bool = False,
    progress: Callable[[int], Advance] | None = None,
) -> Published:
    """Export a trained case with its card and upload it in one commit.

    Args:
        case: `runs/NAME/cases/CASE`, or its `model`.
        repository: `owner/name`; it is made where it does not exist.
        layout: of the export; None: the complete model in the family's layout for transformers.
        out: folder to write; None: `published` in the folder of the case.
        license: as the hub names it; None: that of the base's own card.
        private: of a repository that is made here.
        dry_run: write the folder and upload nothing.
        progress: see `export`.

    Raises:
        UserError: not a trained case, a name that the hub does not take, no access, no network.
    """
    check_repository(repository)
    model = case_model(case)
    done = export(
        str(model),
        layout or _whole_layout(model),
        out or model.parent / PUBLISHED,
        force=out is None,
        progress=progress,
        repository=repository,
        license=license,
    )
    return Published(done, None if dry_run else upload(done.out, repository, private=private))


def check_repository(repository: str) -> None:
    """Raise UserError for what is not `owner/name`, with the hub's own rule."""
    from huggingface_hub.errors import HFValidationError
    from huggingface_hub.utils import (  # type: ignore[attr-defined]  # at run time it is
        validate_repo_id,
    )

    try:
        validate_repo_id(repository)
    except HFValidationError as error:
        raise UserError(f"--to {repository}: {str(error).splitlines()[0]}") from None
    if not is_hub_id(repository):
        raise UserError(f"--to {repository}: is not owner/name; give both")


def case_model(case: Path) -> Path:
    """Return the trained model of a case's folder. Raises UserError where there is none."""
    for folder in (case, case / "model"):
        if (folder / RECORD_FILE).is_file():
            return folder
    raise UserError(
        f"{case}: holds no trained model; give the folder of a trained case, "
        "runs/NAME/cases/CASE (a base is not published again)"
    )


def upload(folder: Path, repository: str, *, private: bool) -> str:
    """Upload a folder in one commit; return its address.

    A repository that soritune has not written is not touched.
    """
    import httpx2
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HfHubHTTPError, LocalTokenNotFoundError, OfflineModeIsEnabled

    api = HfApi()
    try:
        made = api.create_repo(repository, private=private, exist_ok=True)
        names = set(api.list_repo_files(repository)) - {".gitattributes", "README.md"}
        if names and EXPORT_FILE not in names:
            raise UserError(
                f"{repository}: holds {min(names)} and nothing that soritune published; "
                "choose another --to"
            )
        api.upload_folder(
            repo_id=repository,
            folder_path=folder,
            commit_message="Publish with soritune",
            delete_patterns=_REPLACED,
        )
    except LocalTokenNotFoundError:
        raise UserError(f"{repository}: no token of the hub; {_LOGIN}") from None
    except OfflineModeIsEnabled:
        raise UserError(
            f"{repository}: HF_HUB_OFFLINE is set; unset it, or add --dry-run to write "
            f"{folder} alone"
        ) from None
    except HfHubHTTPError as error:
        status = error.response.status_code
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        advice = _LOGIN if status in (401, 403) else "try again later"
        raise UserError(f"{repository}: the hub refused it ({reason}); {advice}") from None
    except (OSError, httpx2.HTTPError) as error:
        raise UserError(f"{repository}: the hub cannot be reached ({error}); {_AGAIN}") from None
    return str(made)


def _whole_layout(model: Path) -> str:
    from soritune.models.stored import open_stored

    return open_stored(str(model)).family.whole_target

"""A model on a server in the table of a recipe: `base: openai:URL#NAME`, `evaluate --model`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import made_experiment as made
import pytest
import test_listening_engines as engines
from test_other_models import evaluate

from soritune.decoding.server import ServerModel, server_model
from soritune.errors import UserError

server, folder = engines.server, made.folder
LINE = json.dumps({"text": "네"})
CASES = """cases:
  first: {mode: lora, train: [mine]}
  second: {like: first, mode: lora+audio, epochs: 4}
"""


@pytest.fixture(autouse=True)
def in_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("soritune.experiment.preparation.default_workers", lambda: 0)


def on_server(folder: Path, url: str, **changes: str) -> Path:
    """Write a recipe whose base is the server's model `m`."""

    def changed(text: str) -> str:
        text = text.replace(f"base: {folder / 'base'}", f"base: 'openai:{url}#m'")
        for old, new in {CASES: "", **changes}.items():
            assert old in text
            text = text.replace(old, new)
        return text

    made.write_recipe(folder, changed)
    return folder / "recipe.yaml"


def records(folder: Path, kind: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads((folder / "out/results.json").read_text())[kind]
    return found


def test_a_base_on_a_server_is_evaluated_and_nothing_is_asked_twice(
    folder: Path, server: tuple[str, type[engines.Server]]
) -> None:
    url, kind = server
    recipe = on_server(folder, url)
    kind.answers = [(200, LINE)] * 8
    shown = evaluate(recipe)
    assert shown.exit_code == 0, shown.output
    # 안녕하세요, 감사합니다, 네, 아니요: 14 characters, of which 네 is right once.
    cer = next(each for each in records(folder, "scores") if each["metric"] == "cer")
    assert (cer["case"], cer["value"]) == ("original", pytest.approx(100 * 13 / 14))
    speed = records(folder, "speed")[0]
    assert speed["audio_per_s"] == pytest.approx(speed["audio_s"] / speed["decoding_s"])
    assert (speed["tokens_per_s"], speed["batch_size"]) == (None, None)
    assert speed["device"] == "a server, 8 requests at a time"
    routes = [request.split(b"\n")[0] for request in kind.requests]
    assert sorted(routes) == [b"/v1/audio/transcriptions"] * 4 + [b"/v1/audio/translations"] * 4
    assert evaluate(recipe).exit_code == 0
    assert len(kind.requests) == 8


def test_what_was_answered_is_kept_and_the_rest_is_asked_again(
    folder: Path, server: tuple[str, type[engines.Server]]
) -> None:
    url, kind = server
    recipe = folder / "recipe.yaml"
    options = ("--evaluation", "korean", "--model", f"openai:{url}#owner/peer")
    kind.answers = [(200, LINE), (413, "too large"), (200, LINE), (503, "busy")]
    shown = evaluate(recipe, *options)
    assert shown.exit_code == 2, shown.output
    assert "1 of 4 utterances have no answer (first: test-" in shown.stderr, shown.stderr
    assert f"{url}: 413 too large" in shown.stderr
    assert len(kind.requests) == 5  # the busy server was asked again
    kind.answers = [(200, LINE)]
    assert evaluate(recipe, *options).exit_code == 0
    assert len(kind.requests) == 6
    assert {each["case"] for each in records(folder, "scores")} == {"peer"}
    # Another name on the same server is another model.
    kind.answers = [(200, LINE)] * 4
    evaluate(recipe, *options[:-1], f"openai:{url}#owner/other")
    assert len(kind.requests) == 10


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({CASES: CASES}, 'only be evaluated, not trained; leave out "cases"'),
        ({"task: ast,": "task: ast-cot,"}, "no chain of thought"),
        ({"task: asr": "task: asr, beams: 4"}, "a server decodes as it is set up there"),
        ({"#m'": "#m', revision: main"}, '"revision" is for the hub'),
        ({"#m": ""}, "which model of the server is not said"),
        ({"http://": "ftp://"}, "is not an address"),
        ({"http://": "http://me:secret@"}, "must not hold a key"),
    ],
)
def test_a_recipe_that_a_server_cannot_do_is_refused_in_one_line(
    folder: Path, changes: dict[str, str], said: str
) -> None:
    shown = evaluate(on_server(folder, "http://127.0.0.1:9/v1", **changes))
    assert (shown.exit_code, said in shown.stderr) == (2, True), shown.output
    assert len(shown.stderr.strip().splitlines()) == 1
    assert "secret" not in shown.output
    assert "recipe.yaml:" in shown.stderr


def test_a_server_that_is_not_there_is_said(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("soritune.decoding.engine_openai.FIRST_WAIT_S", 0.001)
    monkeypatch.setattr("soritune.decoding.engine_openai.LONGEST_WAIT_S", 0.001)
    shown = evaluate(on_server(folder, "http://127.0.0.1:9/v1"))
    assert shown.exit_code == 2, shown.output
    assert "Start the server, and run the same command again" in shown.stderr


def test_names_of_models_on_servers() -> None:
    assert server_model("openai:https://h/v1#a/b#c") == ServerModel("https://h/v1", "a/b#c")
    assert server_model("openai/whisper-tiny") is None
    for source in ("openai:", "openai:http://#m", "openai:http://h:x/v1#m", "openai:h:80/v1#m"):
        with pytest.raises(UserError, match="is not an address"):
            server_model(source)


REAL = """name: real
output: {output}
language: en
model: {{base: builtin:tiny}}
corpora:
  english: {{source: demo, language: en, train: 0, dev: 0, test: 6, seed: 5}}
evaluate:
  english: {{corpus: english, task: asr}}
"""


def test_this_projects_server_gives_the_figures_of_its_model(tmp_path: Path) -> None:
    pytest.importorskip("uvicorn", reason="the server needs soritune[serve]")
    from serving_server import running, tiny

    from soritune.serving.settings import ServerSettings

    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(REAL.format(output=tmp_path / "out"))
    with running(ServerSettings(), tiny()) as address:
        shown = evaluate(recipe, "--model", f"openai:{address}/v1#tiny")
        assert shown.exit_code == 0, shown.output
    assert evaluate(recipe).exit_code == 0
    texts = [
        {
            each["id"]: each["transcript"]
            for each in map(json.loads, (tmp_path / "out" / path).read_text().splitlines())
        }
        for path in (
            "models/tiny/hypotheses/english.jsonl",
            "cases/original/hypotheses/english.jsonl",
        )
    ]
    assert texts[0] == texts[1]
    assert len(texts[0]) == 6
    assert all(texts[0].values())

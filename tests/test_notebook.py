"""The notebook runs from top to bottom, and what is committed of it is small."""

from __future__ import annotations

import importlib.util
import os
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

ROOT = Path(__file__).parent.parent
NOTEBOOK = ROOT / "notebooks/korean_speech.ipynb"
MAX_BYTES = 500_000

nbformat = pytest.importorskip("nbformat")
nbclient = pytest.importorskip("nbclient")
if importlib.util.find_spec("ipykernel") is None or importlib.util.find_spec("matplotlib") is None:
    pytest.skip("the extra `notebook` is not installed", allow_module_level=True)


def read(**settings: object) -> Any:
    """The notebook with other settings."""
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    (cell,) = [cell for cell in notebook.cells if cell.source.startswith("AFTER = ")]
    cell.source += "".join(f"\n{name} = {value!r}" for name, value in settings.items())
    return notebook


def executed(folder: Path, **settings: object) -> dict[str, str]:
    """Run the notebook in a folder, in a kernel; its printed and shown output by cell."""
    notebook = read(**settings)
    nbclient.NotebookClient(
        notebook, timeout=300, resources={"metadata": {"path": folder}}
    ).execute()
    return {cell.source: text(cell) for cell in notebook.cells if cell.cell_type == "code"}


def text(cell: object) -> str:
    """All that a cell put out."""
    parts = []
    for output in cell.outputs:  # type: ignore[attr-defined]
        data = output.get("data", {})
        parts += [output.get("text", ""), data.get("text/html", data.get("text/plain", ""))]
    return "".join(parts)


@pytest.fixture
def one_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    """The kernel imports this code and takes one thread."""
    source = [str(ROOT / "src"), *filter(None, [os.environ.get("PYTHONPATH")])]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(source))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")


def rows_of_the_table(outputs: dict[str, str]) -> list[list[str]]:
    (table,) = [text for source, text in outputs.items() if "evaluate_hypotheses" in source]
    return [re.findall(r"<td[^>]*>(.*?)</td>", row) for row in table.split("<tr>")[2:]]


def test_the_notebook_runs_on_a_model_that_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The base stands for a trained model, so both rows of a speed are the same.

    The cells run here: a kernel would import for seconds what is imported.
    """
    matplotlib = pytest.importorskip("matplotlib")
    matplotlib.use("agg")
    from matplotlib import pyplot

    monkeypatch.chdir(tmp_path)
    speeds = {"slow": 0.7, "fast": 1.4}
    notebook = read(AFTER="builtin:tiny", SENTENCES=1, SPEEDS=speeds)
    names: dict[str, object] = {"__name__": "notebook"}
    outputs, shown = {}, []
    monkeypatch.setattr("IPython.display.display", lambda shown_now: shown.append(shown_now.data))
    for cell in notebook.cells:
        if cell.cell_type == "code":
            shown.clear()
            exec(compile(cell.source, "cell", "exec", dont_inherit=True), names)
            outputs[cell.source] = "".join(shown)
    rows = rows_of_the_table(outputs)
    assert [row[:2] for row in rows] == [[s, m] for s in speeds for m in ("before", "after")]
    assert [row[2:] for row in rows[0::2]] == [row[2:] for row in rows[1::2]]
    (heard,) = [text for source, text in outputs.items() if "log_mel" in source]
    assert heard.count("<audio") == 2
    assert len(pyplot.gcf().axes) == 2
    pyplot.close("all")


@pytest.mark.slow
@pytest.mark.usefixtures("one_thread")
def test_the_notebook_takes_recordings_and_the_texts_beside_them(tmp_path: Path) -> None:
    """One with its text and no translation: a CER, and no BLEU."""
    tone = 0.1 * np.sin(np.arange(20_000) / 9)
    soundfile.write(tmp_path / "talk.flac", tone, 22_050)
    (tmp_path / "talk.txt").write_text("안녕하세요\n", encoding="utf-8")
    recordings = [str(tmp_path / "talk.flac")]
    outputs = executed(tmp_path, AFTER="builtin:tiny", RECORDINGS=recordings)
    rows = rows_of_the_table(outputs)
    assert len(rows) == 6
    assert all("[" in row[2] and row[3:] == ["–", "–"] for row in rows)


def test_the_committed_notebook_is_of_one_run_and_small() -> None:
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    counts = [cell.execution_count for cell in code]
    assert counts in (list(range(1, len(code) + 1)), [None] * len(code))
    assert not [o for cell in code for o in cell.outputs if o.output_type == "error"]
    assert NOTEBOOK.stat().st_size < MAX_BYTES
    assert "soritune" in code[0].source
    assert "pip" in code[0].source

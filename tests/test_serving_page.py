"""The server's page in a browser with a made-up microphone."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

chromium = pytest.importorskip("chromium")
pytest.importorskip("fastapi", reason="the server needs soritune[serve]")

from serving_server import english_clips, running, tiny  # noqa: E402

from soritune.serving.page import FOLDER  # noqa: E402
from soritune.serving.settings import ServerSettings  # noqa: E402

pytestmark = pytest.mark.skipif(chromium.CHROMIUM is None, reason="Chromium is not installed")

DONE = "document.getElementById('status').textContent.startsWith('Done')"


@pytest.fixture(scope="module")
def spoken(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A recording for the microphone, and its sentence."""
    clip, sentence = english_clips(2)[1]
    path = tmp_path_factory.mktemp("sound") / "spoken.wav"
    pause = np.zeros(16_000, np.float32)
    soundfile.write(path, np.concatenate([pause, clip, *[pause] * 30]), 16_000)
    return path, sentence


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    with running(ServerSettings(api_keys=("k",)), tiny()) as address:
        yield address


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory, address: str, spoken: Any) -> Iterator[Any]:
    flags = (
        "--use-fake-device-for-media-stream",
        "--use-fake-ui-for-media-stream",
        f"--use-file-for-fake-audio-capture={spoken[0]}",
        "--lang=en",
    )
    with chromium.opened(tmp_path_factory.mktemp("profile"), *flags) as page:
        page.resize(390, 900)
        page.open(address)
        page.run("localStorage.setItem('interface', 'en'); sessionStorage.setItem('key', 'k')")
        page.open(f"{address}/")
        page.wait_for("document.getElementById('model').options.length === 2")
        yield page


def choose(page: Any, path: Path) -> None:
    document = page.call("DOM.getDocument")["root"]["nodeId"]
    found = page.call("DOM.querySelector", nodeId=document, selector="#file")["nodeId"]
    page.call("DOM.setFileInputFiles", files=[str(path)], nodeId=found)


def test_a_file_is_transcribed_translated_and_compared(page: Any, tmp_path: Path) -> None:
    clip, sentence = english_clips(2)[1]
    path = tmp_path / "clip.wav"
    soundfile.write(path, clip, 16_000)
    page.run("document.getElementById('to').value = 'ko'")
    page.run("document.getElementById('compare').value = 'other'")
    choose(page, path)
    page.wait_for(DONE)
    text = "document.querySelector('#segments [contenteditable]').textContent"
    assert page.run(text) == sentence
    assert page.run("document.getElementById('other-text').textContent") == sentence
    assert page.run("document.querySelectorAll('#other-text del, #other-text ins').length") == 0
    assert page.run("document.getElementById('direct-text').textContent")
    assert page.run("document.getElementById('chain-source').textContent") == sentence
    assert page.run("document.documentElement.scrollWidth <= innerWidth")  # a phone shows all


def test_a_correction_is_in_the_downloads_and_the_history(page: Any) -> None:
    page.run(
        "const box = document.querySelector('#segments [contenteditable]');"
        "box.textContent = 'corrected <b>words</b>';"
        "box.dispatchEvent(new Event('input')); box.dispatchEvent(new Event('blur'))"
    )
    page.run(
        "globalThis.original = URL.createObjectURL;"
        "URL.createObjectURL = (blob) => { globalThis.saved = blob; return 'blob:x' }"
    )
    page.run("HTMLAnchorElement.prototype.click = () => {}")
    page.run("document.querySelector('[data-format=srt]').click()")
    page.run("URL.createObjectURL = globalThis.original")
    content = page.run("globalThis.saved.text()")
    assert content.startswith("1\n00:00:0")
    assert content.endswith("\ncorrected <b>words</b>\n")
    assert "corrected <b>" in page.run("document.getElementById('history').textContent")
    assert page.run("document.querySelectorAll('#history b').length") == 0


def test_a_recording_waits_for_a_server_that_is_gone(page: Any) -> None:
    page.run("document.getElementById('to').value = document.getElementById('compare').value = ''")
    page.run("globalThis.real = fetch; globalThis.fetch = () => Promise.reject(new TypeError())")
    page.run("document.getElementById('again').click()")
    page.wait_for("document.getElementById('status').textContent.startsWith('The server does not')")
    page.run("globalThis.fetch = globalThis.real; document.getElementById('again').click()")
    page.wait_for(DONE)
    assert page.run("document.querySelector('#segments [contenteditable]').textContent")


def test_the_microphone_is_heard_while_it_speaks(page: Any, spoken: tuple[Path, str]) -> None:
    page.run("document.getElementById('record').click()")
    page.wait_for("document.getElementById('live').textContent.length > 10")
    assert page.run("document.getElementById('record').getAttribute('aria-pressed')") == "true"
    page.run("document.getElementById('record').click()")
    page.wait_for("/Done|Nothing/.test(document.getElementById('status').textContent)")
    page.wait_for("document.getElementById('player').duration > 1")


def test_the_interface_has_two_languages(page: Any) -> None:
    page.run("document.getElementById('interface').click()")
    assert page.run("document.documentElement.lang") == "ko"
    assert "녹음" in page.run("document.getElementById('record').textContent")
    empty = "[...document.querySelectorAll('[data-text]')].filter((e) => !e.textContent).length"
    assert page.run(empty) == 0


def test_no_other_host_is_asked_and_nothing_is_complained_of(page: Any, address: str) -> None:
    foreign = [
        url for url in page.requests if not url.startswith((address, "blob:", "about:", "data:"))
    ]
    assert not foreign
    assert not [each for each in page.complaints if "401" not in each]  # before the key was set


def test_the_page_is_small() -> None:
    files = [path for path in FOLDER.iterdir() if path.suffix in (".js", ".html", ".css")]
    assert sum(len(path.read_text().splitlines()) for path in files) <= 1000

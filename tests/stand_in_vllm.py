"""Stands in for vLLM's server: writes down its options and answers. Usage: as vLLM's module.

`FAKE_VLLM` names a folder. `words` there gets the options and `pid` the process; `answer` is what
it answers; a file `refuse` ends it at once, one `slow` lets it take requests and never answer.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

FOLDER = Path(os.environ["FAKE_VLLM"])


class Answers(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self._send({"data": [{"id": "m", "owned_by": "vllm"}]})

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        written = FOLDER / f"asked-{threading.get_ident()}"  # two may come at once
        written.write_bytes(self.path.encode() + b"\n" + body)
        written.replace(FOLDER / "asked")
        if (FOLDER / "slow").exists():
            time.sleep(600)
        self._send(json.loads((FOLDER / "answer").read_text()))

    def _send(self, answer: object) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(json.dumps(answer).encode())

    def log_message(self, *_: object) -> None:
        pass


def main() -> None:
    words = sys.argv[1:]
    (FOLDER / "words").write_text(json.dumps(words))
    if (FOLDER / "refuse").exists():
        sys.exit(3)
    # As vLLM's engine core: a process of the group that may outlive the first.
    child = subprocess.Popen(["sleep", "600"])
    (FOLDER / "pid").write_text(f"{os.getpid()} {child.pid}")
    port = int(words[words.index("--port") + 1])
    ThreadingHTTPServer(("127.0.0.1", port), Answers).serve_forever(0.05)


if __name__ == "__main__":
    main()

"""A hub on this machine: as much of its HTTP API as an upload of a folder needs."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

TOKEN = "hf_stand_in"


@dataclass
class Hub:
    """What it holds: `files` by repository and path, `private` by repository, and its log."""

    url: str = ""
    files: dict[str, dict[str, bytes]] = field(default_factory=dict)
    private: dict[str, bool] = field(default_factory=dict)
    objects: dict[str, bytes] = field(default_factory=dict)
    commits: list[str] = field(default_factory=list)
    calls: list[str] = field(default_factory=list)
    fails_at: str = ""
    """Part of a path that is answered with 503."""


@contextmanager
def standing_in() -> Iterator[Hub]:
    """Serve an empty hub on a free port of 127.0.0.1."""
    hub = Hub()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, format: str, *args: Any) -> None:
            pass

        def do_GET(self) -> None:
            self._answer()

        def do_POST(self) -> None:
            self._answer()

        def do_PUT(self) -> None:
            self._answer()

        def _answer(self) -> None:
            if self.headers.get("Transfer-Encoding") == "chunked":
                body = b""
                while size := int(self.rfile.readline(), 16):
                    body += self.rfile.read(size)
                    self.rfile.readline()
                self.rfile.readline()
            else:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            path = self.path.partition("?")[0]
            hub.calls.append(f"{self.command} {path}")
            if self.headers.get("Authorization") != f"Bearer {TOKEN}" and "/store/" not in path:
                status, content = 401, {"error": "Invalid username or password."}
            elif hub.fails_at and hub.fails_at in path:
                status, content = 503, {"error": "busy"}
            else:
                status, content = answer(hub, self.command, path, body)
            sent = json.dumps(content).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(sent)))
            if status == 401:
                self.send_header("X-Error-Message", "Invalid username or password.")
            self.end_headers()
            self.wfile.write(sent)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    hub.url = f"http://127.0.0.1:{server.server_port}"
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def answer(hub: Hub, method: str, path: str, body: bytes) -> tuple[int, Any]:
    """Return status and content of one request."""
    if path == "/api/repos/create":
        asked = json.loads(body)
        name = "/".join(filter(None, [asked.get("organization"), asked["name"]]))
        if name in hub.files:
            return 409, {"error": "exists", "url": f"{hub.url}/{name}"}
        hub.files[name] = {".gitattributes": b""}
        hub.private[name] = asked.get("private") or asked.get("visibility") == "private"
        return 200, {"url": f"{hub.url}/{name}", "name": name}
    if path == "/api/validate-yaml":
        assert json.loads(body)["content"].startswith("---\n")
        return 200, {"errors": [], "warnings": []}
    if found := re.fullmatch(r"/store/(\w+)", path):
        assert hashlib.sha256(body).hexdigest() == found[1]
        hub.objects[found[1]] = body
        return 200, {}
    if path.endswith(".git/info/lfs/objects/batch"):
        wanted = json.loads(body)["objects"]
        return 200, {
            "transfer": "basic",
            "objects": [
                {**each, "actions": {"upload": {"href": f"{hub.url}/store/{each['oid']}"}}}
                for each in wanted
            ],
        }
    found = re.fullmatch(r"/api/models/([^/]+/[^/]+)(/.*)?", path)
    if not found or found[1] not in hub.files:
        return 404, {"error": "Repository not found"}
    return of_repository(hub, found[1], found[2] or "", body)


def of_repository(hub: Hub, name: str, action: str, body: bytes) -> tuple[int, Any]:
    """Return status and content of a request about one repository."""
    files = hub.files[name]
    if action.startswith("/tree/main"):
        return 200, [
            {"type": "file", "path": path, "size": len(content), "oid": "0" * 40}
            for path, content in files.items()
        ]
    if action == "/preupload/main":
        return 200, {
            "files": [
                {
                    "path": each["path"],
                    "uploadMode": "lfs" if each["path"].endswith(".safetensors") else "regular",
                    "shouldIgnore": False,
                    "oid": None,
                }
                for each in json.loads(body)["files"]
            ]
        }
    if action == "/commit/main":
        for line in body.splitlines():
            entry = json.loads(line)
            value = entry["value"]
            if entry["key"] == "header":
                hub.commits.append(value["summary"])
            elif entry["key"] == "file":
                files[value["path"]] = base64.b64decode(value["content"])
            elif entry["key"] == "lfsFile":
                files[value["path"]] = hub.objects[value["oid"]]
            elif entry["key"] == "deletedFile":
                del files[value["path"]]
        return 200, {"success": True, "commitUrl": f"{hub.url}/{name}/commit/1", "commitOid": "1"}
    if action in ("", "/revision/main"):
        return 200, {"id": name, "sha": "1", "siblings": [], "private": hub.private[name]}
    return 404, {"error": f"no {action}"}

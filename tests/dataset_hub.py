"""A Hugging Face Hub on this machine that hands out datasets, as far as the library `datasets` asks for them.

In: a `DatasetHub` with repositories of files. Out: its address; who asked for what is kept.

Not covered: models, uploads, the dataset viewer (see `hub_server` for the rest of a Hub).
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import re
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, unquote, urlsplit

Files = dict[str, bytes]


@dataclass
class DatasetHub:
    repositories: dict[str, Files] = field(default_factory=dict)
    url: str = ""
    revisions: dict[tuple[str, str], Files] = field(default_factory=dict)  # of a repository, besides main
    private: dict[str, str] = field(default_factory=dict)  # repository to the token that opens it
    gated: set[str] = field(default_factory=set)
    broken: set[str] = field(default_factory=set)  # repositories at which the Hub fails
    dropped: set[str] = field(default_factory=set)  # repositories at which it hangs up
    log: list[tuple[str, str]] = field(default_factory=list)  # method and path

    def files(self, repo: str, revision: str) -> Files | None:
        """Of a revision by its name or its commit."""
        named = {"main": self.repositories[repo]} | {
            name: files for (owner, name), files in self.revisions.items() if owner == repo
        }
        return named.get(revision) or next((files for files in named.values() if commit_of(files) == revision), None)


def commit_of(files: Files) -> str:
    return hashlib.sha1(repr(sorted(files.items())).encode()).hexdigest()


@contextlib.contextmanager
def serve_datasets(hub: DatasetHub) -> Iterator[DatasetHub]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            path = unquote(urlsplit(self.path).path)
            hub.log.append((self.command, path))
            found = re.match(r"/api/datasets/([^/]+/[^/]+)(?:/(.*))?$", path) or re.match(
                r"/datasets/([^/]+/[^/]+)/(resolve/.*)$", path
            )
            if found is None:
                self.error(404, "", "no such route")
            else:
                self.answer(found[1], found[2] or "revision/main", body)

        do_POST = do_HEAD = do_GET  # noqa: N815

        def answer(self, repo: str, asked: str, body: bytes) -> None:
            token = (self.headers.get("Authorization") or "").removeprefix("Bearer ")
            if repo in hub.dropped:
                self.close_connection = True
            elif repo in hub.broken:
                self.error(503, "", "over capacity")
            elif repo not in hub.repositories or hub.private.get(repo, token) != token:
                self.error(404 if repo not in hub.repositories else 401, "RepoNotFound", "Repository not found")
            elif repo in hub.gated and asked.startswith("resolve/"):
                self.error(401, "GatedRepo", "Access to this dataset is restricted")
            else:
                self.route(repo, asked, body)

        def route(self, repo: str, asked: str, body: bytes) -> None:
            what, _, rest = asked.partition("/")
            revision, _, path = rest.partition("/")
            if what == "revision":
                revision, path = rest, ""
            files = hub.files(repo, revision)
            if files is None:
                self.error(404, "RevisionNotFound", "Invalid rev id")
            elif what == "resolve":
                self.file(files, path)
            elif what == "tree":
                self.tree(files, path)
            elif what == "paths-info":
                form = json.loads(body) if body.startswith(b"{") else parse_qs(body.decode())
                self.send([entry for entry in entries(files) if entry["path"] in form.get("paths", [])])
            else:
                siblings = [{"rfilename": name, "size": len(data)} for name, data in files.items()]
                self.send({"id": repo, "sha": commit_of(files), "private": False, "tags": [], "siblings": siblings})

        def file(self, files: Files, path: str) -> None:
            if path not in files:
                self.error(404, "EntryNotFound", "Entry not found", {"X-Repo-Commit": commit_of(files)})
                return
            tag = f'"{hashlib.sha1(files[path]).hexdigest()}"'
            self.send(files[path], headers={"ETag": tag, "X-Repo-Commit": commit_of(files)})

        def tree(self, files: Files, folder: str) -> None:
            start = f"{folder}/" if folder else ""
            below = [name for name in files if name.startswith(start)]
            folders = {name.removeprefix(start).partition("/")[0] for name in below if "/" in name.removeprefix(start)}
            listed = [{"type": "directory", "path": start + name, "oid": "0" * 40, "size": 0} for name in folders]
            is_deep = "recursive=true" in self.path.lower()
            here = [entry for entry in entries(files) if entry["path"] in below]
            listed += [entry for entry in here if is_deep or "/" not in str(entry["path"])[len(start) :]]
            if listed:
                self.send(listed)
            else:
                self.error(404, "EntryNotFound", "no such path")

        def error(self, status: int, code: str, message: str, headers: dict[str, str] | None = None) -> None:
            said = {"X-Error-Code": code, "X-Error-Message": message}
            self.send({"error": message}, status, said | (headers or {}))

        def send(self, value: object, status: int = 200, headers: dict[str, str] | None = None) -> None:
            body = value if isinstance(value, bytes) else json.dumps(value).encode()
            self.send_response(status)
            for name, text in {"Content-Length": str(len(body)), **(headers or {})}.items():
                self.send_header(name, text)
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

        def log_message(self, *args: object) -> None:
            pass

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    http.daemon_threads = True
    hub.url = f"http://127.0.0.1:{http.server_address[1]}"
    threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    try:
        yield hub
    finally:
        http.shutdown()
        http.server_close()


def entries(files: Files) -> list[dict[str, object]]:
    return [
        {"type": "file", "path": name, "size": len(data), "oid": hashlib.sha1(data).hexdigest()}
        for name, data in sorted(files.items())
    ]

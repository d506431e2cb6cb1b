"""A server on this machine that plays W&B, as far as its client's uploads need one, and keeps what it is told.

It answers the client's GraphQL operations by their names, takes the file stream and the uploads, and keeps runs,
artifacts and who made or used them. Told to, it goes silent or resets every connection from some moment on.
"""

from __future__ import annotations

import contextlib
import json
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Literal

ENTITY = "alice"


@dataclass
class KeptRun:
    name: str = ""
    job: str = ""
    config: dict[str, Any] = field(default_factory=dict)
    notes: str | None = None
    history: list[dict[str, Any]] = field(default_factory=list)
    summary: dict[str, Any] = field(default_factory=dict)
    files: dict[str, bytes] = field(default_factory=dict)
    exit_code: int | None = None
    upserts: list[dict[str, Any]] = field(default_factory=list)  # as they came, to look for what should not be there


@dataclass
class KeptArtifact:
    id: str
    name: str
    type: str
    digest: str
    metadata: dict[str, Any]
    made_by: str | None
    committed: bool = False
    used_by: set[str] = field(default_factory=set)
    files: dict[str, bytes] = field(default_factory=dict)


@dataclass
class WandbServer:
    url: str
    runs: dict[str, KeptRun] = field(default_factory=dict)
    artifacts: list[KeptArtifact] = field(default_factory=list)
    operations: list[str] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)  # everything that was sent, to be searched
    broken: Literal["silent", "reset"] | None = None
    breaks_at: str | None = None  # the operation from which on it is `silent`
    refuses: bool = False  # everything, as with a key that is not valid
    changed: threading.Condition = field(default_factory=threading.Condition)  # held while anything is read or kept
    released: threading.Event = field(default_factory=threading.Event)  # lets the silent answers go at the end

    def run(self, job: str) -> KeptRun:
        (found,) = (run for run in self.runs.values() if run.job == job)
        return found

    def artifact(self, name: str) -> KeptArtifact:
        (found,) = (artifact for artifact in self.artifacts if artifact.name == name)
        return found

    def wait_for(self, seen: Callable[[], bool], timeout_s: float = 30.0) -> None:
        """Until it has been told so much."""
        with self.changed:
            assert self.changed.wait_for(seen, timeout_s)

    def answer(self, operation: str, given: dict[str, Any]) -> dict[str, Any] | None:
        """None: this server does not know it, as an older one of W&B's may not."""
        with self.changed:
            known: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
                "Viewer": lambda _: {"viewer": {"id": "V", "entity": ENTITY, "username": ENTITY, "flags": "{}"}},
                "ServerFeaturesQuery": lambda _: {"serverInfo": {"features": []}},
                "RunResumeStatus": self._resume_status,
                "UpsertBucket": self._upsert,
                "CreateArtifact": self._create_artifact,
                "CreateArtifactManifest": self._manifest,
                "CreateArtifactFiles": self._artifact_files,
                "CommitArtifact": self._commit,
                "UseArtifact": self._use,
                "CreateRunFiles": self._run_files,
            }
            return known[operation](given) if operation in known else None

    def _resume_status(self, given: dict[str, Any]) -> dict[str, Any]:
        run = self.runs.get(given["name"])
        bucket = run and {
            "id": given["name"],
            "name": given["name"],
            "summaryMetrics": json.dumps(run.summary),
            "displayName": run.name,
            "logLineCount": 0,
            "historyLineCount": len(run.history),
            "eventsLineCount": 0,
            "historyTail": json.dumps([json.dumps(line) for line in run.history[-1:]]),
            "eventsTail": "[]",
            "config": json.dumps({name: {"value": value} for name, value in run.config.items()}),
            "tags": [],
            "wandbConfig": '{"t": 1}',
        }
        return {"model": {"id": "P", "name": given["project"], "entity": {"id": "E", "name": ENTITY}, "bucket": bucket}}

    def _upsert(self, given: dict[str, Any]) -> dict[str, Any]:
        id = given["name"]
        run = self.runs.setdefault(id, KeptRun())
        run.upserts.append(given)
        run.name, run.job = given["displayName"] or run.name, given["jobType"] or run.job
        run.notes = given["notes"] or run.notes
        run.config |= {name: part["value"] for name, part in json.loads(given["config"] or "{}").items()}
        project = {"id": "P", "name": given["project"], "entity": {"id": "E", "name": ENTITY}}
        bucket = {"id": id, "name": id, "displayName": run.name, "config": "{}", "project": project}
        return {"upsertBucket": {"bucket": {**bucket, "historyLineCount": len(run.history)}, "inserted": True}}

    def _create_artifact(self, given: dict[str, Any]) -> dict[str, Any]:
        """Equal contents under one name are one version, as at W&B."""
        asked = given["input"]
        name, digest = asked["artifactCollectionName"], asked["digest"]
        found = next((known for known in self.artifacts if (known.name, known.digest) == (name, digest)), None)
        if found is None:
            metadata = json.loads(asked["metadata"] or "{}")
            number = f"artifact-{len(self.artifacts)}"
            found = KeptArtifact(number, name, asked["artifactTypeName"], digest, metadata, asked["runName"])
            self.artifacts.append(found)
        state = "COMMITTED" if found.committed else "PENDING"
        return {
            "createArtifact": {
                "artifact": {
                    "id": found.id,
                    "state": state,
                    "artifactSequence": {
                        "id": name,
                        "latestArtifact": {"id": found.id, "versionIndex": 0} if found.committed else None,
                    },
                }
            }
        }

    def _manifest(self, given: dict[str, Any]) -> dict[str, Any]:
        address = f"{self.url}/upload/{given['artifactID']}/wandb_manifest.json"
        name = "wandb_manifest.json"
        file = {"id": name, "name": name, "displayName": name, "uploadUrl": address, "uploadHeaders": []}
        return {"createArtifactManifest": {"artifactManifest": {"id": given["artifactID"], "file": file}}}

    def _artifact_files(self, given: dict[str, Any]) -> dict[str, Any]:
        nodes = [
            {
                "id": file["name"],
                "name": file["name"],
                "displayName": file["name"],
                "uploadUrl": f"{self.url}/upload/{file['artifactID']}/{file['name']}",
                "uploadHeaders": [],
                "storagePath": "",
                "uploadMultipartUrls": None,
                "artifact": {"id": file["artifactID"]},
            }
            for file in given["input"]["artifactFiles"]
        ]
        return {"createArtifactFiles": {"files": {"edges": [{"node": node} for node in nodes]}}}

    def _by_id(self, id: str) -> KeptArtifact:
        return next(artifact for artifact in self.artifacts if artifact.id == id)

    def _commit(self, given: dict[str, Any]) -> dict[str, Any]:
        artifact = self._by_id(given["artifactID"])
        artifact.committed = True
        return {"commitArtifact": {"artifact": {"id": artifact.id, "digest": artifact.digest}}}

    def _use(self, given: dict[str, Any]) -> dict[str, Any]:
        artifact = self._by_id(given["input"]["artifactID"])
        artifact.used_by.add(given["input"]["runName"])
        return {"useArtifact": {"artifact": {"id": artifact.id, "digest": artifact.digest, "state": "COMMITTED"}}}

    def _run_files(self, given: dict[str, Any]) -> dict[str, Any]:
        files = [{"name": name, "uploadUrl": f"{self.url}/file/{given['run']}/{name}"} for name in given["files"]]
        return {"createRunFiles": {"runID": given["run"], "uploadHeaders": [], "files": files}}

    def stream(self, run_id: str, sent: dict[str, Any]) -> None:
        with self.changed:
            run, files = self.runs[run_id], sent.get("files") or {}
            if history := files.get("wandb-history.jsonl"):
                at = history["offset"]
                run.history[at : at + len(history["content"])] = map(json.loads, history["content"])
            if summary := files.get("wandb-summary.json"):
                run.summary = json.loads(summary["content"][-1])
            if sent.get("complete"):
                run.exit_code = sent.get("exitcode")
            self.changed.notify_all()

    def upload(self, path: str, body: bytes) -> None:
        kind, id, name = path.lstrip("/").split("/", 2)
        with self.changed:
            (self._by_id(id) if kind == "upload" else self.runs[id]).files[name] = body


@contextlib.contextmanager
def serve_wandb() -> Iterator[WandbServer]:
    """Answers on a free port until the block ends."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if self.path != "/graphql":
                if self._works("file_stream", body):
                    server.stream(self.path.split("/")[-2], json.loads(body))
                    self._send({"exitcode": None, "limits": {}})
                return
            asked = json.loads(body)
            if self._works(asked["operationName"], body):
                data = server.answer(asked["operationName"], asked.get("variables") or {})
                unknown = {"errors": [{"message": "unknown"}]}
                self._send({"data": data}) if data is not None else self._send(unknown, 400)

        def do_PUT(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if self._works("upload", body):
                server.upload(self.path, body)
                self._send({})

        def do_GET(self) -> None:
            if self._works("get", b""):
                self._send({})

        def _works(self, operation: str, body: bytes) -> bool:
            server.operations.append(operation)
            server.bodies.append(body)
            if operation == server.breaks_at:
                server.broken = "silent"
            if server.broken == "silent":
                server.released.wait(60)
            if server.refuses:
                self._send({"errors": [{"message": "no such key"}]}, 401)
                return False
            if server.broken is not None:
                self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                self.connection.close()
                self.close_connection = True
            return server.broken is None

        def _send(self, answer: dict[str, Any], status: int = 200) -> None:
            body = json.dumps(answer).encode()
            self.send_response_only(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def handle(self) -> None:
            with contextlib.suppress(OSError, ValueError):
                super().handle()

        def log_message(self, *args: object) -> None:
            pass

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    http.daemon_threads = True
    server = WandbServer(f"http://127.0.0.1:{http.server_address[1]}")
    threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    try:
        yield server
    finally:
        server.released.set()
        http.shutdown()
        http.server_close()

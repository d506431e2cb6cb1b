"""A Hugging Face Hub on this machine: the routes that its client uses, with people, tokens, quotas and faults.

In: `serve_hub()`. Out: a `HubServer`, whose state a test sets and reads: who may do what, what lies where, what was
asked, and what goes wrong next at which route.

- Files are regular (inside the commit) or large (LFS: batch, PUT, verify; in parts if a part size is set), as the Hub
  decides it: by size and by whether they are text.
- A file that a commit names must have been stored before; a large file that nobody committed stays stored.
- Private repositories are hidden from everybody who has no part in them, with the Hub's own codes.

Not covered: Xet, pull requests, branches, discussions, search.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
import re
import socket
import struct
import threading
import time
from collections import defaultdict, deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import pytest
import yaml

REGULAR_BYTES = 10_000_000  # what is larger is a large file, text or not
MADE_BY_THE_HUB = {"model": [".gitattributes"], "dataset": [".gitattributes"], "space": [".gitattributes", "README.md"]}


@dataclass(frozen=True)
class Person:
    name: str
    role: str = "write"
    orgs: tuple[str, ...] = ()


@dataclass
class Repository:
    id: str
    type: str
    private: bool
    files: dict[str, bytes] = field(default_factory=dict)
    large: set[str] = field(default_factory=set)  # paths
    commits: list[str] = field(default_factory=list)  # summaries, oldest first
    sdk: str | None = None

    @property
    def head(self) -> str:
        return hashlib.sha1(f"{self.type} {self.id} {len(self.commits)} {self.commits[-1:]}".encode()).hexdigest()

    def oid(self, path: str) -> str:
        """As the Hub gives it before an upload: SHA-256 of a large file, Git's own of a regular one."""
        content = self.files[path]
        return hashlib.sha256(content).hexdigest() if path in self.large else git_oid(content)


@dataclass(frozen=True)
class Reply:
    """JSON unless the body is bytes."""

    status: int = 200
    body: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Fault:
    """What goes wrong once."""

    status: int | None = None  # answered instead of the real thing
    error: str = "injected"
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | None = None  # instead of JSON
    drop: bool = False  # the request is read, and the connection reset
    drop_after: bool = False  # as above, but after the request was obeyed
    drop_at: int | None = None  # bytes of the request's body, after which the connection is reset
    cut_after: int | None = None  # bytes of the real answer's body, after which the connection is reset
    delay_s: float = 0.0


@dataclass(frozen=True)
class Request:
    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]  # names in lower case
    body: bytes
    person: Person | None

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass(frozen=True)
class Seen:
    method: str
    route: str
    path: str
    status: int | None  # None: no answer
    body_bytes: int


class Refused(Exception):
    def __init__(self, status: int, error: str, code: str | None = None) -> None:
        super().__init__(error)
        headers = {"X-Error-Message": error, **({"X-Error-Code": code} if code else {})}
        self.reply = Reply(status, {"error": error}, headers)


Answer = Callable[["HubServer", Request, re.Match[str]], Reply]
ROUTES: list[tuple[str, str, re.Pattern[str], Answer]] = []


def route(name: str, methods: str, pattern: str) -> Callable[[Answer], Answer]:
    def add(answer: Answer) -> Answer:
        ROUTES.append((name, methods, re.compile(pattern), answer))
        return answer

    return add


@dataclass
class HubServer:
    url: str = ""
    people: dict[str, Person] = field(default_factory=lambda: {"hf_write": Person("alice", orgs=("the-lab",))})
    repos: dict[tuple[str, str], Repository] = field(default_factory=dict)  # by type and id
    stored: dict[str, bytes] = field(default_factory=dict)  # large files by SHA-256, committed or not
    parts: dict[tuple[str, int], bytes] = field(default_factory=dict)
    part_bytes: int | None = None  # large files come in such parts
    room_bytes: int | None = None  # for all large files together
    log: list[Seen] = field(default_factory=list)
    faults: dict[str, deque[Fault]] = field(default_factory=lambda: defaultdict(deque))  # by route
    on_request: Callable[[str], None] = lambda route: None

    def fail(self, route: str, *faults: Fault) -> None:
        """The next answers of a route."""
        self.faults[route].extend(faults)

    def asked(self, *routes: str) -> list[str]:
        """The routes that were asked since the last `forget`, or those of some kinds."""
        return [seen.route for seen in self.log if not routes or seen.route in routes]

    def model(self, repo_id: str) -> Repository:
        return self.repos["model", repo_id]

    def answer(self, request: Request, answer: Answer, found: re.Match[str]) -> Reply:
        try:
            return answer(self, request, found)
        except Refused as refused:
            return refused.reply

    # --- who may do what -------------------------------------------------------------------------------------

    def find(self, request: Request, type: str, repo_id: str) -> Repository:
        repo = self.repos.get((type, repo_id))
        person = request.person
        if "authorization" in request.headers and person is None:
            raise Refused(401, "Invalid credentials in Authorization header")
        if repo is None or (repo.private and not may_see(person, repo)):
            raise Refused(404 if person else 401, "Repository not found", "RepoNotFound")
        return repo

    def find_writable(self, request: Request, type: str, repo_id: str) -> Repository:
        repo = self.find(request, type, repo_id)
        check_may_write(request.person, repo_id.partition("/")[0])
        return repo


def may_see(person: Person | None, repo: Repository) -> bool:
    return person is not None and repo.id.partition("/")[0] in (person.name, *person.orgs)


def check_may_write(person: Person | None, owner: str) -> None:
    if person is None:
        raise Refused(401, "Invalid username or password.")
    if person.role == "read":
        raise Refused(403, "Forbidden: you must use a write token to do that")
    if owner not in (person.name, *person.orgs):
        raise Refused(403, f'You don\'t have the rights to do that under the namespace "{owner}"')


def git_oid(content: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


# --- routes --------------------------------------------------------------------------------------------------


@route("whoami", "GET", r"/api/whoami-v2")
def whoami(hub: HubServer, request: Request, found: re.Match[str]) -> Reply:
    person = request.person
    if person is None:
        raise Refused(401, "Invalid username or password.")
    orgs = [{"type": "org", "name": org, "roleInOrg": "write"} for org in person.orgs]
    auth = {"type": "access_token", "accessToken": {"displayName": "test", "role": person.role}}
    return Reply(200, {"type": "user", "id": "1", "name": person.name, "orgs": orgs, "auth": auth})


@route("create", "POST", r"/api/repos/create")
def create(hub: HubServer, request: Request, found: re.Match[str]) -> Reply:
    asked = request.json
    owner = asked.get("organization") or (request.person.name if request.person else "")
    check_may_write(request.person, owner)
    type, repo_id = asked.get("type", "model"), f"{owner}/{asked['name']}"
    if (type, repo_id) in hub.repos:
        raise Refused(409, f"You already created this {type} repo")
    private = asked.get("visibility") == "private" or asked.get("private") is True
    repo = Repository(repo_id, type, private, sdk=asked.get("sdk"))
    repo.files = dict.fromkeys(MADE_BY_THE_HUB[type], b"")
    repo.commits.append("initial commit")
    hub.repos[type, repo_id] = repo
    return Reply(200, {"url": f"{hub.url}/{prefix(type)}{repo_id}", "name": repo_id, "id": "1"})


def prefix(type: str) -> str:
    return "" if type == "model" else f"{type}s/"


@route("delete", "DELETE", r"/api/repos/delete")
def delete(hub: HubServer, request: Request, found: re.Match[str]) -> Reply:
    asked = request.json
    owner = asked.get("organization") or (request.person.name if request.person else "")
    repo = hub.find_writable(request, asked.get("type", "model"), f"{owner}/{asked['name']}")
    del hub.repos[repo.type, repo.id]
    return Reply(200, {})


@route("settings", "PUT", r"/api/(model|dataset|space)s/([^/]+/[^/]+)/settings")
def settings(hub: HubServer, request: Request, found: re.Match[str]) -> Reply:
    repo = hub.find_writable(request, found[1], found[2])
    asked = request.json
    repo.private = asked.get("visibility", "private" if asked.get("private") else "public") == "private"
    return Reply(200, {"private": repo.private})


@route("validate", "POST", r"/api/validate-yaml")
def validate(hub: HubServer, request: Request, found: re.Match[str]) -> Reply:
    """The few rules that the Hub has for what we write."""
    header = re.match(r"---\n(.*?)\n---", request.json["content"], re.DOTALL)
    errors = []
    try:
        data = yaml.safe_load(header[1]) if header else {}
    except yaml.YAMLError as error:
        data, errors = {}, [f"YAML: {error}"]
    if request.json["repoType"] == "space":
        colours = ("red", "yellow", "green", "blue", "indigo", "purple", "pink", "gray")
        errors += [f'"{key}" must be a colour' for key in ("colorFrom", "colorTo") if data.get(key) not in colours]
        if len(data.get("short_description", "")) > 60:
            errors.append('"short_description" length must be less than or equal to 60 characters long')
    elif not all(re.fullmatch("[a-z]{2,3}", str(code)) for code in data.get("language") or ()):
        errors.append('"language" must be an ISO code')
    listed = [{"message": error} for error in errors]
    return Reply(400 if errors else 200, {"errors": listed, "warnings": []})


@route("preupload", "POST", r"/api/(model|dataset|space)s/([^/]+/[^/]+)/preupload/([^/]+)")
def preupload(hub: HubServer, request: Request, found: re.Match[str]) -> Reply:
    repo = hub.find_writable(request, found[1], found[2])
    files = []
    for asked in request.json["files"]:
        is_large = asked["size"] > REGULAR_BYTES or b"\0" in base64.b64decode(asked["sample"])
        path = asked["path"]
        oid = repo.oid(path) if path in repo.files else None
        files.append({"path": path, "uploadMode": "lfs" if is_large else "regular", "shouldIgnore": False, "oid": oid})
    return Reply(200, {"files": files})


@route("batch", "POST", r"/(datasets/|spaces/)?([^/]+/[^/]+)\.git/info/lfs/objects/batch")
def batch(hub: HubServer, request: Request, found: re.Match[str]) -> Reply:
    hub.find_writable(request, (found[1] or "models/")[:-2], found[2])
    wanted = request.json["objects"]
    missing = sum(asked["size"] for asked in wanted if asked["oid"] not in hub.stored)
    if hub.room_bytes is not None and missing + sum(map(len, hub.stored.values())) > hub.room_bytes:
        raise Refused(403, "Private repository storage limit reached, please upgrade your plan")
    objects = [{"oid": asked["oid"], "size": asked["size"], **_actions(hub, **asked)} for asked in wanted]
    return Reply(200, {"transfer": "basic", "objects": objects})


def _actions(hub: HubServer, oid: str, size: int) -> dict[str, Any]:
    if oid in hub.stored:
        return {}
    verify = {"href": f"{hub.url}/lfs/verify", "header": {}}
    if hub.part_bytes is None or size <= hub.part_bytes:
        upload = {"href": f"{hub.url}/lfs/{oid}?signature=secret", "header": {}}
    else:
        count = -(-size // hub.part_bytes)
        parts = {str(number): f"{hub.url}/lfs/{oid}/{number}" for number in range(1, count + 1)}
        upload = {"href": f"{hub.url}/lfs/{oid}/complete", "header": {"chunk_size": str(hub.part_bytes), **parts}}
    return {"actions": {"upload": upload, "verify": verify}}


@route("put", "PUT", r"/lfs/([0-9a-f]{64})")
def put(hub: HubServer, request: Request, found: re.Match[str]) -> Reply:
    _store(hub, found[1], request.body)
    return Reply(200, {})


@route("part", "PUT", r"/lfs/([0-9a-f]{64})/(\d+)")
def part(hub: HubServer, request: Request, found: re.Match[str]) -> Reply:
    hub.parts[found[1], int(found[2])] = request.body
    return Reply(200, {}, {"ETag": f'"{hashlib.md5(request.body).hexdigest()}"'})


@route("complete", "POST", r"/lfs/([0-9a-f]{64})/complete")
def complete(hub: HubServer, request: Request, found: re.Match[str]) -> Reply:
    numbers = [part["partNumber"] for part in request.json["parts"]]
    _store(hub, found[1], b"".join(hub.parts.pop((found[1], number)) for number in numbers))
    return Reply(200, {})


def _store(hub: HubServer, oid: str, content: bytes) -> None:
    if hashlib.sha256(content).hexdigest() != oid:
        raise Refused(400, "the content is not what was announced")
    hub.stored[oid] = content


@route("verify", "POST", r"/lfs/verify")
def verify(hub: HubServer, request: Request, found: re.Match[str]) -> Reply:
    asked = request.json
    if len(hub.stored.get(asked["oid"], b"")) != asked["size"]:
        raise Refused(404, "not stored")
    return Reply(200, {})


@route("commit", "POST", r"/api/(model|dataset|space)s/([^/]+/[^/]+)/commit/([^/]+)")
def commit(hub: HubServer, request: Request, found: re.Match[str]) -> Reply:
    """All or nothing."""
    repo = hub.find_writable(request, found[1], found[2])
    lines = [json.loads(line) for line in request.body.splitlines()]
    files, large, summary = dict(repo.files), set(repo.large), ""
    for key, value in ((line["key"], line["value"]) for line in lines):
        if key == "header":
            summary = value["summary"]
        elif key == "file":
            files[value["path"]] = base64.b64decode(value["content"])
            large.discard(value["path"])
        elif key == "lfsFile":
            if value["oid"] not in hub.stored:
                raise Refused(400, f"LFS object {value['oid']} is not stored")
            files[value["path"]] = hub.stored[value["oid"]]
            large.add(value["path"])
        elif key == "deletedFile":
            if value["path"] not in files:
                raise Refused(404, "A file with this name doesn't exist", "EntryNotFound")
            del files[value["path"]]
            large.discard(value["path"])
    repo.files, repo.large = files, large
    repo.commits.append(summary)
    return Reply(200, {"success": True, "commitOid": repo.head, "commitUrl": f"{hub.url}/{repo.id}/commit/{repo.head}"})


@route("tree", "GET", r"/api/(model|dataset|space)s/([^/]+/[^/]+)/tree/([^/]+)(?:/(.*))?")
def tree(hub: HubServer, request: Request, found: re.Match[str]) -> Reply:
    repo = hub.find(request, found[1], found[2])
    inside = f"{found[4]}/" if found[4] else ""
    paths = [path for path in sorted(repo.files) if path.startswith(inside)]
    if inside and not paths:
        raise Refused(404, f"{found[4]} does not exist", "EntryNotFound")
    if request.query.get("recursive", "").lower() not in ("1", "true"):
        paths = [path for path in paths if "/" not in path[len(inside) :]]
    return Reply(200, [_entry(repo, path) for path in paths])


@route("paths", "POST", r"/api/(model|dataset|space)s/([^/]+/[^/]+)/paths-info/([^/]+)")
def paths_info(hub: HubServer, request: Request, found: re.Match[str]) -> Reply:
    repo = hub.find(request, found[1], found[2])
    if request.headers.get("content-type", "").startswith("application/json"):
        wanted = request.json["paths"]
    else:
        wanted = parse_qs(request.body.decode()).get("paths", [])
    return Reply(200, [_entry(repo, path) for path in wanted if path in repo.files])


def _entry(repo: Repository, path: str) -> dict[str, Any]:
    content = repo.files[path]
    entry: dict[str, Any] = {"type": "file", "path": path, "size": len(content), "oid": git_oid(content)}
    if path in repo.large:
        entry["lfs"] = {"oid": repo.oid(path), "size": len(content), "pointerSize": 130}
    return entry


@route("refs", "GET", r"/api/(model|dataset|space)s/([^/]+/[^/]+)/refs")
def refs(hub: HubServer, request: Request, found: re.Match[str]) -> Reply:
    repo = hub.find(request, found[1], found[2])
    main = {"name": "main", "ref": "refs/heads/main", "targetCommit": repo.head}
    return Reply(200, {"branches": [main], "tags": [], "converts": []})


@route("info", "GET", r"/api/(model|dataset|space)s/([^/]+/[^/]+)(?:/revision/([^/]+))?")
def info(hub: HubServer, request: Request, found: re.Match[str]) -> Reply:
    repo = hub.find(request, found[1], found[2])
    if found[3] not in (None, "main", repo.head):
        raise Refused(404, "no such revision", "RevisionNotFound")
    facts: dict[str, Any] = {"id": repo.id, "private": repo.private, "sha": repo.head, "tags": []}
    facts["siblings"] = [{"rfilename": path} for path in sorted(repo.files)]
    return Reply(200, {**facts, "modelId": repo.id, "sdk": repo.sdk, "lastModified": "2026-01-01T00:00:00.000Z"})


@route("resolve", "GET HEAD", r"/(?:(dataset|space)s/)?([^/]+/[^/]+)/resolve/([^/]+)/(.+)")
def resolve(hub: HubServer, request: Request, found: re.Match[str]) -> Reply:
    repo = hub.find(request, found[1] or "model", found[2])
    if found[3] not in ("main", repo.head):
        raise Refused(404, "no such revision", "RevisionNotFound")
    if found[4] not in repo.files:
        raise Refused(404, "Entry not found", "EntryNotFound")
    content, oid = repo.files[found[4]], repo.oid(found[4])
    headers = {"ETag": f'"{oid}"', "X-Repo-Commit": repo.head, "Accept-Ranges": "bytes"}
    if found[4] in repo.large:
        headers |= {"X-Linked-ETag": f'"{oid}"', "X-Linked-Size": str(len(content))}
    if part := re.fullmatch(r"bytes=(\d+)-(\d*)", request.headers.get("range", "")):
        first, last = int(part[1]), int(part[2] or len(content) - 1)
        if first >= len(content):
            return Reply(416, b"", {"Content-Range": f"bytes */{len(content)}"})
        headers["Content-Range"] = f"bytes {first}-{min(last, len(content) - 1)}/{len(content)}"
        return Reply(206, content[first : last + 1], headers)
    return Reply(200, content, headers)


@route("unknown", "GET HEAD POST PUT DELETE", r".*")
def unknown(hub: HubServer, request: Request, found: re.Match[str]) -> Reply:
    raise Refused(404, f"no route for {request.method} {request.path}")


def _route_of(method: str, path: str) -> tuple[str, Answer, re.Match[str]]:
    routes = ((name, answer, pattern.fullmatch(path)) for name, methods, pattern, answer in ROUTES if method in methods)
    return next((name, answer, found) for name, answer, found in routes if found)


# --- HTTP ----------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def serve_hub() -> Iterator[HubServer]:
    """Answers on a free port until the block ends."""
    hub = HubServer()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True  # or a body waits 40 ms behind its headers

        def _answer(self) -> None:
            parts = urlsplit(self.path)
            path, headers = unquote(parts.path), {name.lower(): value for name, value in self.headers.items()}
            query = {name: values[-1] for name, values in parse_qs(parts.query, keep_blank_values=True).items()}
            person = hub.people.get(headers.get("authorization", "").removeprefix("Bearer "))
            name, answer, found = _route_of(self.command, path)
            hub.on_request(name)
            fault = hub.faults[name].popleft() if hub.faults[name] else Fault()
            body = self._body() if fault.drop_at is None else self.rfile.read(fault.drop_at)
            request = Request(self.command, path, query, headers, body, person)
            cut = self.command != "GET" and len(body) < int(self.headers.get("Content-Length") or 0)
            lost = fault.drop or fault.drop_after or cut  # a request that was cut off is never obeyed
            obeyed = not cut and (fault.drop_after or (not lost and fault.status is None and fault.body is None))
            reply = hub.answer(request, answer, found) if obeyed else _faulty(fault)
            hub.log.append(Seen(self.command, name, path, None if lost else reply.status, len(body)))
            time.sleep(fault.delay_s)
            self._reset() if lost else self._send(reply, fault.cut_after)

        do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = _answer  # noqa: N815

        def _body(self) -> bytes:
            if self.headers.get("Transfer-Encoding") != "chunked":
                return self.rfile.read(int(self.headers.get("Content-Length") or 0))
            body = b""
            while size := int(self.rfile.readline(), 16):
                body += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
            return body

        def _send(self, reply: Reply, cut_after: int | None) -> None:
            body = reply.body if isinstance(reply.body, bytes) else json.dumps(reply.body).encode()
            self.send_response_only(reply.status)
            kind = "application/octet-stream" if isinstance(reply.body, bytes) else "application/json"
            for name, value in {"Content-Type": kind, **reply.headers, "Content-Length": str(len(body))}.items():
                self.send_header(name, value)
            self.end_headers()
            if self.command == "HEAD":
                return
            self.wfile.write(body if cut_after is None else body[:cut_after])
            if cut_after is not None:
                self.wfile.flush()
                self._reset()

        def _reset(self) -> None:
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.connection.close()
            self.close_connection = True

        def handle(self) -> None:
            with contextlib.suppress(OSError, ValueError):
                super().handle()

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


def _faulty(fault: Fault) -> Reply:
    body = {"error": fault.error} if fault.body is None else fault.body
    return Reply(fault.status or 200, body, {"X-Error-Message": fault.error, **fault.headers})


# --- a client that speaks to it ------------------------------------------------------------------------------


def connect(monkeypatch: pytest.MonkeyPatch, hub: HubServer, token: str | None = "hf_write") -> list[float]:
    """From here on the Hub client means this Hub, with this token; returns the waits that it would have sat out."""
    import huggingface_hub.utils._http as http
    from huggingface_hub import constants

    waits: list[float] = []
    monkeypatch.setenv("HF_ENDPOINT", hub.url)
    monkeypatch.setenv("HF_TOKEN", token) if token is not None else monkeypatch.delenv("HF_TOKEN", raising=False)
    monkeypatch.setattr(constants, "HF_TOKEN_PATH", "/nonexistent/token")
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", False)
    monkeypatch.setattr(http, "time", SimpleNamespace(sleep=waits.append))
    return waits


def connect_downloads(monkeypatch: pytest.MonkeyPatch, hub: HubServer, cache: Path) -> None:
    """What HF_ENDPOINT and HF_HOME do to a process that starts with them: downloads come from this Hub."""
    from huggingface_hub import constants, hf_api

    monkeypatch.setattr(constants, "ENDPOINT", hub.url)
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", hub.url + "/{repo_id}/resolve/{revision}/{filename}")
    monkeypatch.setattr(hf_api.api, "endpoint", hub.url)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(cache))

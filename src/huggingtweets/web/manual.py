"""The API's description for people, at /api. In: the app's own OpenAPI. Out: a page with nothing from elsewhere on it.

What an endpoint takes is listed from the types it is checked with, so the page can't tell of anything else.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse

from huggingtweets.web.html import render
from huggingtweets.web.services import web_of

GROUPS = {"bots": "Bots", "predictions": "Predictions", "uploads": "Uploads", "jobs": "Making bots"}
OTHERS = "You, and what admins do"

router = APIRouter(include_in_schema=False)


@dataclass(frozen=True)
class Field:
    name: str
    kind: str
    required: bool
    about: str


@dataclass(frozen=True)
class Endpoint:
    method: str
    path: str
    about: str
    fields: tuple[Field, ...]


@router.get("/api", response_class=HTMLResponse)
def manual(request: Request) -> HTMLResponse:
    groups: dict[str, list[Endpoint]] = {title: [] for title in (*GROUPS.values(), OTHERS)}
    for endpoint in endpoints(request.app.openapi()):
        groups[group_of(endpoint.path)].append(endpoint)
    address = web_of(request).settings.public_url or str(request.base_url).rstrip("/")
    return render(request, "api.html", groups=groups, address=address.rstrip("/"))


def group_of(path: str) -> str:
    """
    >>> group_of("/api/v1/jobs/{id}"), group_of("/api/v1/bots/{name}/predictions"), group_of("/api/v1/me")
    ('Making bots', 'Bots', 'You, and what admins do')
    """
    return GROUPS.get(path.split("/")[3], OTHERS)


def endpoints(openapi: Mapping[str, Any]) -> Iterator[Endpoint]:
    """Every endpoint, in the order in which they are written."""
    schemas = openapi.get("components", {}).get("schemas", {})
    for path, methods in openapi["paths"].items():
        for method, told in methods.items():
            fields = (*_parameters(told), *_body(told, schemas))
            yield Endpoint(method.upper(), path, told.get("description") or f"{told['summary']}.", fields)


def _parameters(told: Mapping[str, Any]) -> Iterator[Field]:
    for parameter in told.get("parameters", ()):
        if parameter["in"] == "query":
            yield Field(parameter["name"], f"?{_kind(parameter['schema'])}", parameter.get("required", False), "")


def _body(told: Mapping[str, Any], schemas: Mapping[str, Any]) -> Iterator[Field]:
    for content in told.get("requestBody", {}).get("content", {}).values():
        schema = _resolved(content["schema"], schemas)
        for name, field in schema.get("properties", {}).items():
            yield Field(name, _kind(field), name in schema.get("required", ()), field.get("description", ""))


def _resolved(schema: Mapping[str, Any], schemas: Mapping[str, Any]) -> Mapping[str, Any]:
    found: Mapping[str, Any] = schemas[schema["$ref"].rpartition("/")[2]] if "$ref" in schema else schema
    return found


def _kind(schema: Mapping[str, Any]) -> str:
    """
    >>> _kind({"anyOf": [{"type": "integer"}, {"type": "null"}]}), _kind({"type": "array", "items": {"type": "string"}})
    ('integer', 'list of string')
    >>> _kind({"enum": ["hide", "forget"], "type": "string"}), _kind({"$ref": "#/components/schemas/Said"})
    ('hide or forget', 'object')
    """
    if "enum" in schema:
        return " or ".join(map(str, schema["enum"]))
    if "anyOf" in schema:
        return " or ".join(_kind(choice) for choice in schema["anyOf"] if choice.get("type") != "null")
    if schema.get("type") == "array":
        return f"list of {_kind(schema['items'])}"
    if "contentMediaType" in schema or schema.get("format") == "binary":
        return "file"
    return str(schema.get("type", "object"))

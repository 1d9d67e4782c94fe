"""docs/reference/http.md: every call of the HTTP API, from its OpenAPI document."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from service.reference.words import MADE, cell, prose

_INTRODUCTION = """# HTTP API

Every call with its parameters. The same as a page to try things on is at `/docs` of each server, as OpenAPI at
`/openapi.json`. Errors are problem documents (RFC 9457) with a stable `code`, the `field` at fault and a `remedy`.
Where keys are asked for, send `Authorization: Bearer inc_…`.
"""
_TITLES = {"label_sources": "Label sources", "open inference protocol": "Open Inference Protocol"}


def page() -> str:
    from service.app import create_app  # late: the whole service

    document = create_app().openapi()
    by_tag: dict[str, list[str]] = {}
    for path, calls in document["paths"].items():
        for method, call in calls.items():
            told = "\n".join(_call(f"{method.upper()} {path}", call, document["components"]["schemas"]))
            by_tag.setdefault(call["tags"][0], []).append(told)
    parts = [
        f"## {_TITLES.get(tag, tag.capitalize())}\n\n" + "\n".join(calls) for tag, calls in by_tag.items()
    ]
    return MADE + "\n" + _INTRODUCTION + "\n" + "\n".join(parts)


def _call(name: str, call: Mapping[str, Any], schemas: Mapping[str, Any]) -> Iterator[str]:
    yield f"### `{name}`\n"
    if call.get("description"):
        yield f"{prose(call['description'])}\n"
    bodies = call.get("requestBody", {}).get("content", {})
    if len(bodies) > 1:
        yield f"Body: {', '.join(f'`{kind}`' for kind in bodies)}.\n"
    given = [one for one in call.get("parameters", ()) if one["in"] != "path"]
    rows = [_row(one["name"], one["schema"], one.get("description"), one.get("required")) for one in given]
    rows += _fields(bodies.get("application/json", {}).get("schema", {}), schemas)
    if rows:
        yield "| | | default | |\n|---|---|---|---|\n" + "\n".join(rows) + "\n"


def _fields(body: Mapping[str, Any], schemas: Mapping[str, Any]) -> list[str]:
    found = _resolved(body, schemas)
    needed = found.get("required", ())
    return [
        _row(name, _resolved(one, schemas), one.get("description"), name in needed)
        for name, one in found.get("properties", {}).items()
    ]


def _resolved(schema: Mapping[str, Any], schemas: Mapping[str, Any]) -> Mapping[str, Any]:
    """The schema a reference names; of a choice with null, the other."""
    choices = [one for one in schema.get("anyOf", ()) if one.get("type") != "null"]
    if len(choices) == 1 and "$ref" in choices[0]:
        return _resolved(choices[0], schemas)
    if "$ref" in schema:
        found: Mapping[str, Any] = schemas[schema["$ref"].rpartition("/")[2]]
        return found
    return schema


def _row(name: str, schema: Mapping[str, Any], described: str | None, required: bool | None) -> str:
    default = "must be given" if required else _default(schema)
    told = prose(described or schema.get("description"))
    return f"| `{name}` | {cell(_type(schema))} | {default} | {cell(told)} |"


def _default(schema: Mapping[str, Any]) -> str:
    held = schema.get("default")
    return "" if held is None else f"`{held}`"


def _type(schema: Mapping[str, Any]) -> str:
    if "anyOf" in schema:
        return " or ".join(_type(one) for one in schema["anyOf"] if one.get("type") != "null")
    if "enum" in schema:
        return ", ".join(f"`{word}`" for word in schema["enum"])
    if "const" in schema:
        return f"`{schema['const']}`"
    if schema.get("type") == "array":
        return f"list of {_type(schema.get('items', {}))}"
    return str(schema.get("type", "object"))

"""docs/reference/python.md: the client, call by call."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from typing import Any

from service.client import Incumbent, IncumbentError
from service.estimator import RemoteClassifier, RemoteRegressor, remote_model
from service.reference.words import MADE, prose

_INTRODUCTION = """# Python, call by call

By example: [Incumbent from Python](../client.md). `AsyncIncumbent` has the same calls, awaited.
"""


def page() -> str:
    parts = [_INTRODUCTION, f"## `service.client.Incumbent`\n\n{prose(Incumbent.__doc__)}\n"]
    parts += [f"```text\nIncumbent{_signature(Incumbent.__init__)}\n```\n", *_methods()]
    parts += [
        f"## `service.client.IncumbentError`\n\n{prose(IncumbentError.__doc__)}\n",
        "## `service.estimator`\n",
    ]
    for one in (remote_model, RemoteClassifier, RemoteRegressor):
        parts.append(
            f"### `{one.__name__}`\n\n```text\n{one.__name__}{_signature(one)}\n```\n\n{prose(one.__doc__)}\n"
        )
    return MADE + "\n" + "\n".join(parts)


def _methods() -> Iterator[str]:
    for name, method in vars(Incumbent).items():
        if inspect.isfunction(method) and not name.startswith("_"):
            told = prose(method.__doc__)
            yield f"### `{name}`\n\n```text\n{name}{_signature(method)}\n```\n" + (
                f"\n{told}\n" if told else ""
            )


def _signature(called: Any) -> str:
    signature = inspect.signature(called)
    given = [one for one in signature.parameters.values() if one.name != "self"]
    return str(signature.replace(parameters=given)).replace("'", "")

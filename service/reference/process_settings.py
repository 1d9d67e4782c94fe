"""docs/reference/settings.md: every ``INCUMBENT_*`` variable."""

from __future__ import annotations

from collections.abc import Iterator

from service.reference.words import MADE, cell, prose, value
from service.settings import Settings

_INTRODUCTION = """# Settings

Read from the environment when the process starts; `incumbent serve --home`, `--host` and `--port` go before them.
"""
_WORDS = {"host": "address to listen on", "port": "port to listen on; 0 picks a free one"}
_OTHERS = (
    ("INCUMBENT_URL", "", "address of the server, for the command line and the client"),
    ("INCUMBENT_KEY", "", "API key, for the command line and the client"),
    ("INCUMBENT_AUTOGLUON_PYTHON", "", "a Python that has AutoGluon ([engines](../engines.md#autogluon))"),
    ("FORWARDED_ALLOW_IPS", "`127.0.0.1`", "proxies whose `X-Forwarded-*` headers are believed"),
)


def page() -> str:
    lines = ["| variable | default | |", "|---|---|---|", *_settings()]
    lines += [f"| `{name}` | {default} | {told} |" for name, default, told in _OTHERS]
    return MADE + "\n" + _INTRODUCTION + "\n" + "\n".join(lines) + "\n"


def _settings() -> Iterator[str]:
    prefix = Settings.model_config["env_prefix"]
    for name, field in Settings.model_fields.items():
        default = "host name and process number" if field.default_factory else value(field.default)
        told = prose(field.description) or _WORDS[name]
        yield f"| `{prefix}{name.upper()}` | {cell(default)} | {cell(told)} |"

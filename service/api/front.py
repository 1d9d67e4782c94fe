"""The page at the service's address: which models are served, and what was decided last. Plain HTML, no script."""

from __future__ import annotations

from datetime import datetime
from html import escape

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse

from registry.records import Decision, Project, Promotion
from service.api.context import Context, context_of
from service.forecasts.kind import is_forecasting

router = APIRouter()

_PROMOTIONS, _DECISIONS = 5, 8
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
_STYLE = """
:root { color-scheme: light dark; --line: color-mix(in srgb, currentColor 18%, transparent) }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 3rem auto; padding: 0 1rem }
h1 { font-size: 1.6rem; margin-bottom: 0 } h2 { font-size: 1.15rem; margin: 2.2rem 0 .4rem }
h3 { font-size: .8rem; text-transform: uppercase; letter-spacing: .06em; opacity: .65; margin: 1.2rem 0 .2rem }
p { margin: .3rem 0 } table { border-collapse: collapse; width: 100% }
td { border-top: 1px solid var(--line); padding: .35rem .8rem .35rem 0; vertical-align: top }
td:first-child { white-space: nowrap } .quiet { opacity: .65 } code { font-size: .92em }
"""


@router.get("/", include_in_schema=False)
def front(request: Request) -> HTMLResponse:
    """Asks for no key where none is needed; else it says only that the service is there."""
    context = context_of(request)
    if context.keys_required:
        body = '<p>This server asks for an API key. See <a href="/docs">/docs</a>.</p>'
    else:
        projects = context.registry.projects.list()
        body = "".join(_project(context, project) for project in projects) or _EMPTY
    page = (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>Incumbent</title>'
        f'<meta name="viewport" content="width=device-width"><style>{_STYLE}</style>'
        f'<h1>Incumbent</h1><p class="quiet">The API is described at <a href="/docs">/docs</a>; '
        f'metrics are at <a href="/metrics">/metrics</a>.</p>{body}</html>'
    )
    return HTMLResponse(
        page, headers={"Content-Security-Policy": _POLICY, "X-Content-Type-Options": "nosniff"}
    )


_EMPTY = """<h2>No project yet</h2><p>Make one and send it rows; the first champion is searched by itself:</p>
<pre><code>curl localhost:8000/v1/projects -H 'content-type: application/json' \\
  -d '{"name": "churn", "task": "classification", "target": "churned"}'
curl localhost:8000/v1/projects/churn/data -F file=@customers.csv</code></pre>"""


def _project(context: Context, project: Project) -> str:
    facts = context.registry.datasets.facts(project.id)
    served = context.serving.champions.get(project.name)
    active = context.registry.runs.active(project.id)
    if project.champion is None:
        state = "no champion yet"
    elif is_forecasting(project):
        state = f"champion v{project.champion} forecasts when it is asked"
    elif served is None or served.version != project.champion:
        state = f"champion v{project.champion}, not loaded in this process"
    else:
        state = f"champion v{served.version} is serving"
    if active is not None:
        state += f"; run {active.number} is {active.status.value} ({active.reason})"
    promotions = context.registry.ledger.promotions(project.id, limit=_PROMOTIONS)
    decisions = context.registry.ledger.decisions(project.id, limit=_DECISIONS)
    return (
        f"<h2>{escape(project.name)}</h2><p>{escape(state)}</p>"
        f'<p class="quiet">{facts.rows:,} rows, {facts.truths:,} with their truth, {facts.predictions:,} predictions</p>'
        f"{_table('Changes of champion', [_promotion(entry) for entry in promotions])}"
        f"{_table('Last decisions', [_decision(entry) for entry in decisions])}"
    )


def _table(title: str, rows: list[tuple[datetime, str]]) -> str:
    if not rows:
        return ""
    cells = "".join(
        f'<tr><td class="quiet">{at:%Y-%m-%d %H:%M:%S}</td><td>{escape(text)}</td></tr>' for at, text in rows
    )
    return f"<h3>{title}</h3><table>{cells}</table>"


def _promotion(entry: Promotion) -> tuple[datetime, str]:
    before = "first champion" if entry.from_version is None else f"v{entry.from_version}"
    return entry.at, f"{before} → v{entry.to_version}, {entry.kind.value}: {entry.reason}"


def _decision(entry: Decision) -> tuple[datetime, str]:
    said = f"started run {entry.run}" if entry.outcome == "triggered" else "did not retrain"
    return entry.at, f"{said}: {entry.reason}"

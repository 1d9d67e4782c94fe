"""``incumbent replay``: what each policy would have promoted, at what live quality and cost."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from service.commands.console import CommandError, Exit, err, out, show_json, show_table
from service.commands.options import AsJson, Home, Key, Url, connect, given, opened, settings
from service.commands.projects import policy_of

if TYPE_CHECKING:
    from service.replay.plan import ReplayPlan

Span = Annotated[str | None, typer.Option(metavar="P7D|ROWS", help="A duration, or a number of rows.")]


def replay(
    file: Annotated[
        Path | None,
        typer.Argument(metavar="FILE", help="Labelled rows: CSV, Parquet or JSON Lines; also .gz."),
    ] = None,
    time_column: Annotated[str | None, typer.Option(help="Column that orders the rows.")] = None,
    target: Annotated[str | None, typer.Option(help="Column to predict.")] = None,
    task: Annotated[str, typer.Option(help="classification or regression.")] = "classification",
    metric: Annotated[str | None, typer.Option(help="roc_auc, log_loss, rmse, …")] = None,
    id_column: Annotated[str | None, typer.Option(help="Column with the rows' own ids.")] = None,
    entity_column: Annotated[str | None, typer.Option(help="Column that a split never divides.")] = None,
    project: Annotated[
        str | None,
        typer.Option(help="Replay on the server: this project's own rows, or FILE under its policy."),
    ] = None,
    policy: Annotated[
        str | None, typer.Option(help="The policy called own, as JSON or @FILE.", metavar="JSON|@FILE")
    ] = None,
    compare: Annotated[
        str | None, typer.Option(help="never,every,always,drift,decay,own: those wanted, with commas.")
    ] = None,
    add: Annotated[
        list[str] | None,
        typer.Option(help="A further policy; may be repeated.", metavar="NAME=JSON|NAME=@FILE"),
    ] = None,
    window: Span = None,
    delay: Annotated[
        str | None, typer.Option(metavar="P2D|ROWS", help="How long after a row its truth comes.")
    ] = None,
    looks: Annotated[int | None, typer.Option(help="Looks at the triggers in each window.")] = None,
    every: Annotated[int | None, typer.Option(help="Windows from run to run of every and always.")] = None,
    warm_up: Annotated[int | None, typer.Option(help="Windows before the first champion.")] = None,
    keep_every: Annotated[int | None, typer.Option(help="Thin the stream to each n-th row.")] = None,
    learner: Annotated[
        str | None, typer.Option(help="lightgbm (one fixed model), flaml:10 (trials) or flaml:5s (seconds).")
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Same seed, same result.")] = None,
    chart: Annotated[Path | None, typer.Option(help="Write the chart there, as SVG.")] = None,
    home: Home = None,
    url: Url = None,
    key: Key = None,
    as_json: AsJson = False,
) -> None:
    """Play whole policies over a stream of rows in order of time. Called again, an ended one goes on where it stood."""
    options = given(
        policy=policy_of(policy),
        policies=None if compare is None else [word.strip() for word in compare.split(",") if word.strip()],
        more=dict(_added(text) for text in add or ()) or None,
        window=_span(window),
        delay=_span(delay),
        looks=looks,
        every=every,
        warm_up=warm_up,
        keep_every=keep_every,
        learner=learner_of(learner),
        seed=seed,
    )
    if file is not None and not file.is_file():
        raise CommandError(f"There is no file {file}.", remedy="Check the path.", code=Exit.USAGE)
    if project is not None:
        result = _on_server(project, file, options, url, key, quiet=as_json)
    else:
        roles = given(time_column=time_column, id_column=id_column, entity_column=entity_column)
        result = _here(file, target, task, metric, roles, options, home, quiet=as_json)
    _show(result, chart, as_json)


def _here(
    file: Path | None,
    target: str | None,
    task: str,
    metric: str | None,
    roles: Mapping[str, Any],
    options: Mapping[str, Any],
    home: Path | None,
    *,
    quiet: bool,
) -> dict[str, Any]:
    if file is None or target is None:
        raise CommandError(
            "Name a FILE and its --target, or a --project.",
            remedy="incumbent replay rows.csv --target churned --time-column day",
            code=Exit.USAGE,
        )
    if task not in ("classification", "regression"):
        raise CommandError(
            f"There is no task {task!r}.", remedy="Choose classification or regression.", code=Exit.USAGE
        )
    from automl.task import Task, TaskKind
    from service.chunks import Limits
    from service.energy.rule import energy_rule
    from service.policy import Policy
    from service.replay.local import ReplayFailed, play_file

    plan = _plan(options)
    wanted = settings(home=home)
    limits = Limits.of(wanted)
    with opened(wanted) as registry:
        signing_key = registry.signing_key
    progress = _Progress(quiet)
    try:
        return play_file(
            file,
            task=Task(kind=TaskKind(task), target=target, metric=_known(metric, task) or "auto", **roles),
            plan=plan,
            policy=(plan.policy or Policy()).model_dump(mode="json"),
            limits={
                "expanded_bytes": limits.expanded_bytes,
                "rows": limits.rows,
                "columns": limits.columns,
            },
            home=wanted.home,
            signing_key=signing_key,
            memory_bytes=wanted.child_memory_bytes,
            on_event=progress.hear,
            energy=energy_rule(wanted),
        )
    except ReplayFailed as failure:
        raise CommandError(
            f"The replay failed: {failure}.",
            remedy="Change what it names; or call it again to go on where it ended.",
            code=Exit.RUN_FAILED,
        ) from failure
    finally:
        progress.close()


def _on_server(
    project: str,
    file: Path | None,
    options: Mapping[str, Any],
    url: str | None,
    key: str | None,
    *,
    quiet: bool,
) -> dict[str, Any]:
    progress = _Progress(quiet)
    with connect(url, key) as server:
        started = server.start_replay(project, file, **options)
        try:
            for state in server.watch_replay(project, started["replay"]):
                progress.hear({"event": "progress", **state["progress"]})
        finally:
            progress.close()
    if state["status"] != "completed":
        raise CommandError(
            f"Replay {state['replay']} {state['status']}: {state['error']}.",
            remedy="Check its options and rows.",
            code=Exit.RUN_FAILED,
        )
    result: dict[str, Any] = state["result"]
    return result


class _Progress:
    """One line on a terminal's stderr that says what is being played."""

    def __init__(self, quiet: bool) -> None:
        console = err()
        self._status = None if quiet or not console.is_terminal else console.status("starting")
        if self._status is not None:
            self._status.start()

    def hear(self, event: Mapping[str, Any]) -> None:
        if self._status is None or event.get("event") != "progress" or "done" not in event:
            return
        text = f"{event['done']:.0%} {event['doing']}"
        if "window" in event:
            text += f": window {event['window']} of {event['windows']}, {event['runs']} runs"
        self._status.update(text)

    def close(self) -> None:
        if self._status is not None:
            self._status.stop()


def _show(result: Mapping[str, Any], chart: Path | None, as_json: bool) -> None:
    from service.replay.chart import chart as drawn
    from service.replay.telling import HEADINGS, lines

    if chart is not None:
        chart.write_text(drawn(result), encoding="utf-8")
    if as_json:
        show_json(result)
        return
    title = f"{result['metric']} on {result['compared_rows']:,} rows that every policy answered"
    show_table(HEADINGS, lines(result), empty="Nothing was played.", title=title)
    for policy in result["policies"]:
        out().print(f"{policy['name']}: {policy['description']}", style="bold", markup=False)
        for entry in policy["promotions"][:SHOWN]:
            when = (entry["at"] or f"window {entry['window'] + 1}")[:10]
            out().print(f"  {when}  v{entry['version']}  {entry['reason']}", markup=False, soft_wrap=True)
            if entry["later"] is not None:
                later = entry["later"]
                word = "surely worse" if later["surely_worse"] else "worse" if later["worse"] else "better"
                out().print(f"              in hindsight {word}: {later['gain']:+.4f}", style="dim")
        if not policy["promotions"] and policy["run_notes"]:
            out().print(f"  no champion: {policy['run_notes'][-1]['why']}", markup=False, soft_wrap=True)
        left = len(policy["promotions"]) - SHOWN
        if left > 0:
            out().print(f"  … and {left} more; --json shows all", style="dim")


SHOWN = 8
"""Promotions of a policy that are printed."""


def _plan(options: Mapping[str, Any]) -> ReplayPlan:
    from pydantic import ValidationError

    from service.replay.plan import ReplayPlan

    try:
        return ReplayPlan.model_validate(dict(options))
    except ValidationError as error:
        first = error.errors()[0]
        name = ".".join(map(str, first["loc"])) or "options"
        raise CommandError(
            f"{name}: {first['msg']}.", remedy="See docs/replay.md for the options.", code=Exit.USAGE
        ) from error


def _known(metric: str | None, task: str) -> str | None:
    from service.api.schemas import METRICS

    if metric is not None and metric not in METRICS[task]:
        raise CommandError(
            f"{metric!r} is not a metric of {task}.",
            remedy=f"Choose from {', '.join(METRICS[task])}.",
            code=Exit.USAGE,
        )
    return metric


def _span(text: str | None) -> str | int | None:
    return int(text) if text is not None and text.isdigit() else text


def learner_of(text: str | None) -> dict[str, Any] | None:
    if text is None:
        return None
    kind, _, size = text.partition(":")
    if not size:
        return {"kind": kind}
    number = size.removesuffix("s")
    if not number.isdigit():
        raise CommandError(
            f"{text!r} names no learner.", remedy="Say lightgbm, flaml:10 or flaml:5s.", code=Exit.USAGE
        )
    return {"kind": kind, ("seconds" if size.endswith("s") else "trials"): int(number)}


def _added(text: str) -> tuple[str, Any]:
    name, mark, policy = text.partition("=")
    if not mark:
        raise CommandError(
            f"{text!r} is no further policy.", remedy="Write NAME=JSON or NAME=@FILE.", code=Exit.USAGE
        )
    return name.strip(), policy_of(policy)

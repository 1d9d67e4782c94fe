"""Is a model healthy? A pure function of what is known; every answer carries its reason and what a person can do."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from service.dashboard import words


class State(StrEnum):
    """From best to worst for who looks; ``EMPTY`` and ``LEARNING`` come before there is a model."""

    HEALTHY = "healthy"
    LEARNING = "learning"
    EMPTY = "empty"
    WATCH = "watch"
    NEEDED = "needed"


WORDS = {
    State.HEALTHY: "Healthy",
    State.LEARNING: "Learning",
    State.EMPTY: "No model yet",
    State.WATCH: "Watch",
    State.NEEDED: "Needs you",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Need:
    """Something that waits for a person: one sentence, and the page (below the project's) where it is done."""

    text: str
    page: str
    action: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Signs:
    """What is known of a project; None where nothing was seen yet."""

    name: str
    target: str
    champion: int | None
    served: int | None
    load_error: str | None = None
    has_schema: bool = True
    truths: int = 0
    unlabelled: int = 0
    truths_wanted: int = 100
    running: int | None = None
    failed_run: int | None = None
    failure: str | None = None
    approval_run: int | None = None
    challenger: int | None = None
    broken: str | None = None
    metric: str = "score"
    live: float | None = None
    promised: float | None = None
    sure_drop: float | None = None
    allowed: float | None = None
    estimate_decayed: bool = False
    estimate: float | None = None
    drift_share: float | None = None
    drift_limit: float | None = None
    drifted: tuple[str, ...] = ()
    leaned: tuple[str, ...] = ()
    on_probation: bool = False
    retrains_on_decay: bool = True
    rolled_back: bool = False
    labelling: bool = True
    looked_run: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    state: State
    reason: str
    needs: tuple[Need, ...] = ()

    @property
    def word(self) -> str:
        return WORDS[self.state]


def health(signs: Signs) -> Health:
    """The state with its reason. What a person has to do outranks what to keep an eye on."""
    needs = _needs(signs)
    if needs:
        return Health(state=State.NEEDED, reason=needs[0].text, needs=needs)
    if signs.champion is None:
        return _before_the_first(signs)
    worry = _worry(signs)
    if worry is not None:
        return Health(state=State.WATCH, reason=worry)
    return Health(state=State.HEALTHY, reason=_well(signs))


def _needs(signs: Signs) -> tuple[Need, ...]:
    found = []
    if signs.approval_run is not None:
        text = f"Version {signs.challenger} proved better and waits for your approval."
        found.append(Need(text=text, page=f"/runs/{signs.approval_run}", action="Decide"))
    if signs.champion is not None and signs.served != signs.champion and signs.load_error is not None:
        still = "nothing answers" if signs.served is None else f"version {signs.served} still answers"
        text = f"Version {signs.champion} could not be loaded, {still}: {words.short(signs.load_error, 200)}"
        found.append(Need(text=text, page="/models", action="Roll back"))
    if signs.broken is not None:
        text = f"Nothing is learnt while the data look broken: {words.short(signs.broken, 200)}."
        found.append(Need(text=text, page="/data", action="Look at the data"))
    if signs.failed_run is not None:
        text = f"Run {signs.failed_run} failed: {words.short(signs.failure or 'no reason is known', 200)}"
        found.append(Need(text=text, page=f"/runs/{signs.failed_run}", action="See the run"))
    if _is_down(signs) and not signs.retrains_on_decay and signs.running is None:
        text = f"Live quality is surely down and the policy does not retrain for that: {_beside(signs)}."
        found.append(Need(text=text, page="/runs", action="Start a run"))
    return tuple(found)


def _before_the_first(signs: Signs) -> Health:
    if signs.running is not None:
        return Health(state=State.LEARNING, reason=f"Run {signs.running} looks for the first champion.")
    if not signs.has_schema:
        need = Need(
            text=f"Upload rows that hold {signs.target}; the first model follows by itself.",
            page="/data",
            action="Upload",
        )
        return Health(state=State.EMPTY, reason=need.text, needs=(need,))
    if signs.truths < signs.truths_wanted:
        missing = words.plural(signs.truths_wanted - signs.truths, "more labelled row")
        labels = signs.unlabelled > 0 and signs.labelling
        need = Need(
            text=f"{missing} and the first search starts.",
            page="/labeling" if labels else "/data",
            action="Label rows" if labels else "Upload",
        )
        return Health(state=State.EMPTY, reason=need.text, needs=(need,))
    return Health(state=State.LEARNING, reason="The first search starts with the next look at the triggers.")


def _is_down(signs: Signs) -> bool:
    """Whether the test said so, and what came after it does not say otherwise."""
    tested = signs.sure_drop is not None and signs.allowed is not None and signs.sure_drop > signs.allowed
    return tested and not _is_as_promised(signs)


def _is_as_promised(signs: Signs) -> bool:
    if signs.live is None or signs.promised is None:
        return False
    gain = signs.live - signs.promised
    return (-gain if words.lower_is_better(signs.metric) else gain) >= 0


def _worry(signs: Signs) -> str | None:
    if signs.served != signs.champion:
        return f"Version {signs.champion} is champion and being loaded."
    if _is_down(signs):
        then = "a search follows"
        if signs.running is not None:
            then = f"run {signs.running} looks for something better"
        elif signs.looked_run is not None:
            then = f"run {signs.looked_run} looked and found nothing surely better"
        return f"Live quality is surely down: {_beside(signs)}; {then}."
    if signs.estimate_decayed and signs.estimate is not None:
        name = words.metric_name(signs.metric)
        return f"{name} is estimated at {words.score(signs.estimate)}, worse than usual; truth will tell."
    if signs.rolled_back:
        return f"The last champion was rolled back; version {signs.champion} answers again."
    if signs.leaned:
        return (
            f"Its answers come otherwise than in training from {_named(signs.leaned)}: are its values right?"
        )
    if (
        signs.drift_share is not None
        and signs.drift_limit is not None
        and signs.drift_share >= signs.drift_limit
    ):
        return f"The rows have moved in {words.share(signs.drift_share)} of the columns: {_named(signs.drifted)}."
    return None


def _named(columns: tuple[str, ...]) -> str:
    more = f" and {len(columns) - 3} more" if len(columns) > 3 else ""
    return ", ".join(words.short(name, 24) for name in columns[:3]) + more


def _well(signs: Signs) -> str:
    if signs.live is None:
        reason = "It answers. How well shows once truth comes back for its predictions"
    else:
        reason = f"It answers as well as promised: {_beside(signs)}"
    return f"{reason}, on probation." if signs.on_probation else f"{reason}."


def _beside(signs: Signs) -> str:
    name = words.metric_name(signs.metric)
    return f"{name} {words.score(signs.live)} live, {words.score(signs.promised)} at its promotion"

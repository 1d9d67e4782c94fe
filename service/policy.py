"""When to start a run, and what to demand of it. Every part has a default that a careful person would choose."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Literal

from pydantic import Field, field_validator

from service.answers_policy import Answers
from service.approval_policy import Approval
from service.label_policy import Labelling, LabelSourceRule, PseudoLabels
from service.policy_part import Part, Share
from service.schedule import check_cron
from service.search_policy import Search
from service.trust_policy import Trust


class NewLabels(Part):
    """Start when this many truly labelled rows came since the last run, or this share of those it had."""

    count: int | None = Field(default=500, ge=1)
    share: Share | None = None


class JointDrift(Part):
    """A classifier of new rows against the champion's training rows: it sees features that only move together.

    Counts where its AUC lies above ``auc`` with confidence ``1 - alpha`` (0.5: no row can be told).
    """

    auc: float = Field(default=0.55, ge=0.5, lt=1)
    alpha: float = Field(default=0.01, gt=0, lt=0.5)
    action: Literal["annotate", "retrain"] = "annotate"


class FeatureDrift(Part):
    """Look at each full window of prediction rows; ``share`` is the part of the features that must have moved.

    A feature moved when its effect size reaches ``threshold`` and the move is no chance: ``q`` is the share of
    false ones among those called moved. Drift says that inputs changed, not that the model got worse, so by
    default it is only noted.
    """

    share: Share = 0.3
    window: int = Field(default=1000, ge=100, le=100_000)
    threshold: float = Field(default=0.1, gt=0, description="least effect size that counts as moved")
    q: float = Field(default=0.01, gt=0, lt=0.5)
    joint: JointDrift | None = JointDrift()
    pause: timedelta = Field(default=timedelta(minutes=1), description="least time from report to report")
    action: Literal["annotate", "retrain"] = "annotate"

    @property
    def retrains(self) -> bool:
        return self.action == "retrain" or (self.joint is not None and self.joint.action == "retrain")


class LossRule(Part):
    """Follow the champion's loss from answer to answer (ADWIN): a change of its mean is noted with its hour.

    ``delta`` is the chance with which a look may take chance for a change. By default the change is evidence
    beside :class:`Decay`; with ``retrain`` a rise fires it.
    """

    delta: float = Field(default=0.002, gt=0, lt=0.5)
    action: Literal["annotate", "retrain"] = "annotate"


class Decay(Part):
    """Start when live quality, measured on answers whose truth has come, is surely down.

    ``max_drop`` is the loss allowed against the champion's score on its own holdout, in the metric's unit (for
    rmse and mae: a share of the naive baseline's error). The newest ``window`` scored answers of the champion are
    looked at, once there are ``min_rows``; "surely" is at confidence ``1 - alpha``.
    """

    max_drop: float = Field(default=0.02, ge=0)
    window: int = Field(default=2_000, ge=50, le=100_000)
    min_rows: int = Field(default=200, ge=50)
    alpha: float = Field(default=0.01, gt=0, lt=0.5)
    action: Literal["annotate", "retrain"] = "retrain"
    loss: LossRule | None = LossRule()

    @property
    def retrains(self) -> bool:
        return self.action == "retrain" or (self.loss is not None and self.loss.action == "retrain")


class EstimatedDecay(Part):
    """Live quality without truth: an estimate from the champion's own confidence (a regression's: from losses it
    was seen to make), fitted on the rows that judged it.

    Counts as decayed where the estimate on the newest ``window`` answers of the champion lies outside of what as many
    unchanged rows would give, and is worse than usual by more than ``max_drop`` (in the metric's unit; rmse
    and mae: a share of the naive baseline's error). Where the same features come to mean another label it
    sees nothing, so by default it is only noted.
    """

    max_drop: float = Field(default=0.02, ge=0)
    window: int = Field(default=2_000, ge=50, le=50_000)
    min_rows: int = Field(default=200, ge=50)
    pause: timedelta = Field(default=timedelta(minutes=1), description="least time from report to report")
    action: Literal["annotate", "retrain"] = "annotate"


class PredictionDrift(Part):
    """The champion's answers beside those it gave to the rows that judged it: Wasserstein distance in standard
    deviations, of each class's probability or of the numbers; ``threshold`` is where it counts."""

    threshold: float = Field(default=0.1, gt=0)
    window: int = Field(default=1_000, ge=50, le=50_000)
    min_rows: int = Field(default=200, ge=50)
    pause: timedelta = Field(default=timedelta(minutes=1), description="least time from report to report")
    action: Literal["annotate", "retrain"] = "annotate"


class Contract(Part):
    """When the data themselves are broken: nothing is learnt from them, somebody is told.

    ``max_quarantined`` is the share of refused rows in the newest batches; ``max_shift`` the shift of a numeric
    feature in standard deviations (a unit that changed, a sensor that broke).
    """

    max_quarantined: Share = 0.5
    max_shift: float = Field(default=10.0, gt=0)


class Triggers(Part):
    schedule: str | None = Field(default="0 3 * * *", description="cron, five fields, UTC")
    new_labels: NewLabels | None = NewLabels()
    decay: Decay | None = Decay()
    estimated_decay: EstimatedDecay | None = EstimatedDecay()
    prediction_drift: PredictionDrift | None = PredictionDrift()
    drift: FeatureDrift | None = FeatureDrift()
    contract: Contract | None = Contract()

    @field_validator("schedule")
    @classmethod
    def _cron(cls, value: str | None) -> str | None:
        return None if value is None else check_cron(value)


class AtLeast(Part):
    at_least: int = Field(ge=1)


class Holdout(Part):
    """The newest truly labelled rows, kept for judging: ``share`` of all, within the two bounds.

    Rows younger than ``embargo`` before the first of them are not trained on. ``auto`` is the median time that
    feedback takes, at most a day, where the project has a time column; it gives way where too few rows would be left.
    """

    share: Annotated[float, Field(gt=0, le=0.5)] = 0.2
    min_rows: int = Field(default=50, ge=10)
    max_rows: int = Field(default=10_000, ge=10)
    embargo: Literal["auto"] | Annotated[timedelta, Field(ge=timedelta(0))] = "auto"


class Slices(Part):
    """No part of the rows (of a sensitive column, a category, a quarter of a number) may surely get worse by more
    than ``margin``; at most ``max`` parts are looked at, none below ``min_rows``."""

    margin: float = Field(default=0.02, ge=0)
    max: int = Field(default=20, ge=1, le=200)
    min_rows: int = Field(default=100, ge=50)


class Floor(Part):
    """The worst score that is acceptable. While the champion is surely below it, a challenger that is better by its
    estimate is promoted once it is surely not worse by more than ``margin``."""

    score: float
    margin: float = Field(default=0.01, ge=0)


class Gates(Part):
    """``min_effect`` is in the metric's own unit; ``alpha`` is the chance of a false promotion per holdout.

    A challenger that takes back the last change has to show ``reversal_factor`` times the minimum effect. ``blocks``
    draws blocks of consecutive rows where there is a time column and no entity: of a length that is found
    (``auto``) or given, in rows; null draws single rows. ``trust`` holds checks beside the score.
    """

    min_effect: float = Field(default=0.002, ge=0)
    alpha: float = Field(default=0.05, gt=0, lt=0.5)
    resamples: int = Field(default=2000, ge=2000, le=100_000)
    max_latency_ms: float | None = Field(default=50, gt=0)
    max_size_bytes: int | None = Field(default=None, gt=0)
    slices: Slices | None = Slices()
    blocks: Literal["auto"] | Annotated[int, Field(ge=1, le=100_000)] | None = "auto"
    reversal_factor: float = Field(default=2.0, ge=1, le=100)
    floor: Floor | None = None
    trust: Trust = Trust()

    @field_validator("floor", mode="before")
    @classmethod
    def _plain_floor(cls, value: object) -> object:
        """A number alone is the score."""
        plain = isinstance(value, int | float) and not isinstance(value, bool)
        return {"score": value} if plain else value


class Probation(Part):
    """A new champion answers on probation for ``watch``, with the old one beside it on the same rows.

    It is rolled back when its live loss is surely higher, by more than ``margin`` (a share of the largest loss that
    counts: for accuracy and roc_auc a share of all rows), and confirmed when it surely isn't. "Surely" is at
    confidence ``1 - alpha`` over all looks together, and not before ``min_rows`` rows have their truth. The last
    three are guards that need no truth; null turns one off.
    """

    watch: timedelta = Field(default=timedelta(days=7), gt=timedelta(0))
    min_rows: int = Field(default=200, ge=20, le=100_000)
    alpha: float = Field(default=0.01, gt=0, lt=0.5)
    margin: float = Field(default=0.01, ge=0, lt=0.9)
    action: Literal["roll_back", "annotate"] = "roll_back"
    max_error_share: Share | None = Field(
        default=0.05, description="of prediction calls that the model fails"
    )
    max_latency_factor: float | None = Field(
        default=3.0, gt=1, description="times the old one's median, once above gates.max_latency_ms"
    )
    max_shift: Share | None = Field(
        default=0.5, description="distance of both models' answers, beyond what it was when judged"
    )


class Shadow(Part):
    """Who answers unseen beside the champion: the previous one while it is on probation (``previous``), and with
    ``challenger`` afterwards also a challenger that the holdout could not tell from it."""

    mode: Literal["previous", "challenger"] = "previous"


class Forecast(Part):
    """Of a forecasting project: the share of actual values that a prediction interval is to hold, and how many actual
    values must have come before live quality is looked at (null: as many as the horizon)."""

    coverage: float = Field(default=0.8, ge=0.5, le=0.99)
    min_steps: int | None = Field(default=None, ge=1)


class Outliers(Part):
    """Rows that come in are measured against those that were trained on (or, before there is a champion, against
    each other). A row is odd whose distance at least ``threshold`` of these keep below; new rows are looked at
    every ``pause`` at the soonest.
    """

    threshold: float = Field(default=0.99, ge=0.5, lt=1)
    pause: timedelta = Field(default=timedelta(seconds=20), ge=timedelta(0))


class Attributions(Part):
    """What each column adds to the champion's answers is looked at in each full ``window`` of prediction rows, beside rows
    it was trained on.

    A column moved when its contributions lie elsewhere by ``threshold`` of what all columns add together, and that is no
    chance: where nothing changed, a window has a moved column with chance ``alpha`` at most. It is told, and starts nothing.
    """

    window: int = Field(default=250, ge=100, le=10_000)
    threshold: float = Field(default=0.05, gt=0, description="least effect that counts as moved")
    alpha: float = Field(default=0.001, gt=0, lt=0.5)
    pause: timedelta = Field(default=timedelta(minutes=1), description="least time from report to report")


class Policy(Part):
    """A project's standing orders.

    Between two runs ``min_fresh_labels`` new labels must have come, and ``min_fresh_share`` of those the last one
    had; decay of live quality does not wait for the share, once for each champion.

    >>> Policy().search.engines["flaml"]
    0.4
    >>> Policy.model_validate({"cooldown": "PT10M"}).cooldown.total_seconds()
    600.0
    """

    triggers: Triggers = Triggers()
    combine: Literal["any", "all"] | AtLeast = "any"
    cooldown: timedelta = timedelta(hours=1)
    daily_budget_seconds: float = Field(default=3600, gt=0)
    daily_energy_wh: float | None = Field(
        default=None, gt=0, description="watt-hours of searches in any 24 hours; null for no limit"
    )
    min_fresh_labels: int = Field(default=100, ge=1)
    min_fresh_share: Annotated[float, Field(ge=0, le=1)] = 0.2
    lookback_window: timedelta | None = None
    search: Search = Search()
    holdout: Holdout = Holdout()
    gates: Gates = Gates()
    answers: Answers = Answers()
    promote_mode: Literal["managed", "manual"] = "managed"
    approval: Approval = Approval()
    probation: Probation | None = Probation()
    shadow: Shadow | None = Shadow()
    label_sources: dict[str, LabelSourceRule] = Field(default={})
    labelling: Labelling = Labelling()
    pseudo_labels: PseudoLabels = PseudoLabels()
    outliers: Outliers | None = Outliers()
    attributions: Attributions | None = Attributions()
    refit: bool = True
    forecast: Forecast = Forecast()

    @property
    def run_seconds(self) -> float:
        """Search seconds that one run may take: pseudo-labels double them."""
        return self.search.budget_seconds * (1 if self.pseudo_labels.mode == "off" else 2)

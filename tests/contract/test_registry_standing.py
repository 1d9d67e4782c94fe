"""How things stand is read in one go: the reigning champions with their newest reports, and what waits."""

from __future__ import annotations

from registry_builders import NOW, after, enqueue, start

from registry.alert_channels import AlertChannels, NewChannel
from registry.alert_deliveries import AlertDeliveries, Told
from registry.database import Database
from registry.drift import DriftReports
from registry.ledger import Ledger
from registry.models import Models
from registry.projects import Projects
from registry.quality import QualityReports
from registry.records import NewModel, NewPromotion, Project, PromotionKind, RunStatus
from registry.runs import Runs
from registry.standing import Score, Standing


def test_an_empty_registry_has_nothing_to_tell(db: Database) -> None:
    numbers = Standing(db).now()
    assert (numbers.crowned, numbers.scores, numbers.drifted, numbers.alerts) == ({}, (), {}, 0)
    assert numbers.runs == numbers.replays == {RunStatus.QUEUED: 0, RunStatus.RUNNING: 0}


def test_the_champions_newest_reports_are_told_and_those_of_older_ones_are_not(
    db: Database, project: Project, new_model: NewModel
) -> None:
    models, ledger, quality, drift = Models(db), Ledger(db), QualityReports(db), DriftReports(db)
    for number in (1, 2):
        version = models.register(project.id, new_model, at=NOW).version
        new = NewPromotion(
            expected_epoch=number - 1, kind=PromotionKind.PROMOTION, reason="better", actor="judge"
        )
        ledger.promote(project.id, version, new, at=after(number))
        for score in (0.5, 0.6):
            quality.add(
                project.id,
                model_version=version,
                kind="realised",
                score=score + number,
                reference=0.9,
                report={},
                at=NOW,
            )
    drift.add(project.id, 2, 0.1, [], {}, at=NOW)
    drift.add(project.id, 2, 0.4, [], {}, at=NOW)
    numbers = Standing(db).now()
    assert numbers.crowned == {"flights": after(2)}
    assert numbers.scores == (
        Score(project="flights", model_version=2, kind="realised", score=2.6, reference=0.9),
    )
    assert numbers.drifted == {"flights": 0.4}
    Projects(db).delete("flights", at=after(3))
    gone = Standing(db).now()
    assert (gone.crowned, gone.scores, gone.drifted) == ({}, (), {})


def test_what_waits_and_what_runs_is_counted(db: Database, project: Project, runs: Runs) -> None:
    start(runs, project.id)
    enqueue(runs, Projects(db).create("other", task={}, policy={}, at=NOW).id)
    channel = AlertChannels(db).add(NewChannel(name="ops", kind="webhook", target={}, wanted=("x",)), at=NOW)
    for number in (1, 2):
        told = Told(event_id=str(number), kind="x", event={})
        AlertDeliveries(db).put(channel.id, told, at=after(number))
    numbers = Standing(db).now()
    assert numbers.runs == {RunStatus.QUEUED: 1, RunStatus.RUNNING: 1}
    assert (numbers.alerts, numbers.told_since) == (2, after(1))

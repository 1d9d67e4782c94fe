"""Approvals over HTTP and in the dashboard: who may say what, what becomes of it, and that no text of it attacks."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from dashboard_house import HOSTILE, IMAGE, SCRIPT, VERDICT, Site, site
from small_house import NOW, make_champion

from registry.approval_records import NewApproval
from registry.records import NewModel, RunStatus
from service.approval_policy import Approval
from service.conclusion import CHANGED

APPROVALS = "/v1/projects/fruit/approvals"
WHY = {"reason": "seen by the risk team"}
LATER = NOW + timedelta(hours=1)
"""What the application's clock says."""


@pytest.fixture
def house(tmp_path: Path) -> Iterator[Site]:
    with site(tmp_path) as made:
        yield made


@pytest.fixture
def locked(tmp_path: Path) -> Iterator[Site]:
    with site(tmp_path, require_keys=True) as made:
        yield made


def ask(house: Site, *, approvers: int = 1, until: datetime = NOW + timedelta(days=7)) -> int:
    """A run ends with a judged version and a refitted one that wait; the run's number."""
    registry = house.registry
    project = registry.projects.get("fruit")
    old = registry.models.get(project.id, 1)
    new = NewModel(
        blob=old.blob,
        engine="flaml",
        estimator="lgbm",
        config={},
        dataset_version=1,
        details={**old.details, "score": 0.91, "outcome": "awaiting_approval"},
        attachments=old.attachments,
    )
    run = registry.runs.enqueue(
        project.id,
        trigger={"kind": "manual", "fired": [], "evidence": {}, "by": "key 1234abcd"},
        reason="asked for",
        plan={"budget_seconds": 20.0, "truths": 120},
        dataset_version=1,
        seed=1,
        at=NOW,
    )
    claimed = registry.runs.claim("test", lease_seconds=60, at=NOW)
    assert claimed is not None
    registry.runs.conclude(
        run.id,
        claimed.fence,
        status=RunStatus.COMPLETED,
        verdict={**VERDICT, "outcome": "awaiting_approval", "reason": f"Awaiting approval: {HOSTILE}"},
        models=(new, replace(new, links={"refit_of": 0})),
        promoted=1,
        approval=NewApproval(
            epoch=project.epoch,
            champion=project.champion,
            approvers=approvers,
            reason=f"Awaiting approval: {HOSTILE}",
            expires_at=until,
            starter="key 1234abcd",
        ),
        at=NOW,
    )
    return run.number


def key(house: Site, *scopes: str) -> dict[str, str]:
    _, secret = house.registry.keys.create(scopes, label="test", at=NOW)
    return {"authorization": f"Bearer {secret}"}


def champion(house: Site) -> int | None:
    return house.registry.projects.get("fruit").champion


def told(house: Site, kind: str) -> list[dict[str, Any]]:
    return [dict(event.data) for event in house.registry.ledger.events(limit=500) if event.type == kind]


def test_what_waits_is_told_with_its_card(house: Site) -> None:
    run = ask(house)
    (one,) = house.http.get(APPROVALS, params={"status": "open"}).json()["approvals"]
    assert (one["approval"], one["run"], one["judged"], one["version"]) == (1, run, 3, 4)
    assert (one["missing"], one["champion"], one["started_by"]) == (1, 1, "key 1234abcd")
    card = house.http.get(f"{APPROVALS}/1").json()["card"]
    assert [gate["name"] for gate in card["verdict"]["gates"]] == ["improvement", "slices"]
    assert card["models"]["version"] == {
        "version": 4,
        "estimator": "lgbm",
        "score": 0.91,
        "train_rows": None,
        "size_bytes": None,
        "refit_of": 3,
    }
    assert house.http.get(f"/v1/projects/fruit/runs/{run}").json()["approval"] == one
    assert house.http.get(f"{APPROVALS}/2").status_code == 404
    assert house.http.get("/v1/projects/fruit/health").json()["needs"][0]["page"] == f"/runs/{run}"


def test_approving_makes_the_refitted_version_champion_and_again_changes_nothing(house: Site) -> None:
    ask(house)
    done = house.http.post(f"{APPROVALS}/1/approve", json=WHY)
    assert (done.status_code, done.json()["status"]) == (200, "approved")
    assert done.json()["said"] == [
        {"word": "approve", "version": 4, "by": "api", "reason": WHY["reason"], "at": done.json()["ended_at"]}
    ]
    assert champion(house) == 4
    assert house.http.post(f"{APPROVALS}/1/approve", json=WHY).json() == done.json()
    entry = house.http.get("/v1/projects/fruit/promotions").json()["promotions"][0]
    assert (entry["kind"], entry["actor"], entry["reason"]) == ("manual", "api", WHY["reason"])
    assert told(house, CHANGED)[-1]["to"] == 4
    assert told(house, "incumbent.approval.ended")[-1]["status"] == "approved"
    assert (
        'incumbent_approvals_total{outcome="approved",project="fruit"} 1.0' in house.http.get("/metrics").text
    )
    assert house.http.get("/v1/projects/fruit/health").json()["needs"] == []


def test_a_reason_is_asked_for_and_the_judged_version_can_be_named(house: Site) -> None:
    ask(house)
    missing = house.http.post(f"{APPROVALS}/1/approve", json={})
    assert (missing.status_code, missing.json()["field"]) == (422, "reason")
    other = house.http.post(f"{APPROVALS}/1/approve", json={**WHY, "version": 2})
    assert (other.status_code, other.json()["code"]) == (409, "other_version")
    assert house.http.post(f"{APPROVALS}/1/approve", json={**WHY, "version": 3}).status_code == 200
    assert champion(house) == 3


def test_a_refusal_ends_it_and_is_told_with_its_reason(house: Site) -> None:
    ask(house)
    done = house.http.post(f"{APPROVALS}/1/refuse", json={"reason": "not before the audit"}).json()
    assert (done["status"], done["reason"]) == ("refused", "Refused by api: not before the audit")
    assert champion(house) == 1
    late = house.http.post(f"{APPROVALS}/1/approve", json=WHY)
    assert (late.status_code, late.json()["code"]) == (409, "approval_ended")
    assert "not before the audit" in late.json()["detail"]
    (event,) = told(house, "incumbent.approval.ended")
    assert (event["approval"], event["status"], event["by"]) == (1, "refused", ["api"])


def test_what_is_over_is_refused_before_anyone_wrote_so_down_and_then_written_down(house: Site) -> None:
    ask(house, until=LATER)
    ask(house)
    make_champion(house.registry, house.registry.projects.get("fruit"), 2)
    ask(house, until=LATER)
    codes = [
        house.http.post(f"{APPROVALS}/{number}/approve", json=WHY).json()["code"] for number in (1, 2, 3)
    ]
    assert codes == ["approval_stale", "approval_stale", "approval_expired"]
    before = house.http.get(APPROVALS).json()["approvals"]
    assert [one["status"] for one in before] == ["expired", "stale", "stale"]
    assert before[0]["reason"].startswith("Expired. It was: Awaiting approval")
    context: Any = house.http.app.state.context  # type: ignore[attr-defined]
    for _ in range(2):
        context.scheduler.tick()
    ended = house.http.get(APPROVALS).json()["approvals"]
    assert [one["status"] for one in ended] == ["expired", "stale", "stale"]
    assert ended[0]["reason"].startswith("Expired: nobody decided until 2026-01-05 13:00 UTC")
    assert ended[1]["reason"] == "Stale: the champion was changed to version 2 (test: a test)."
    assert len(told(house, "incumbent.approval.ended")) == 3
    assert champion(house) == 2


def test_a_key_needs_the_scope(locked: Site) -> None:
    ask(locked)
    for scopes in (("data",), ("predict",)):
        answer = locked.http.post(f"{APPROVALS}/1/approve", json=WHY, headers=key(locked, *scopes))
        assert (answer.status_code, answer.json()["code"]) == (403, "scope_missing")
    assert locked.http.post(f"{APPROVALS}/1/approve", json=WHY).status_code == 401
    approver = key(locked, "approve")
    assert locked.http.post("/v1/projects/fruit/rollback", headers=approver).status_code == 403
    assert locked.http.post("/v1/projects/fruit/models/4/promote", headers=approver).status_code == 403
    assert locked.http.post(f"{APPROVALS}/1/approve", json=WHY, headers=approver).status_code == 200
    made = locked.http.get("/v1/keys", headers=key(locked, "admin")).json()["keys"]
    approvers = [one["key"] for one in made if one["scopes"] == ["approve"]]
    assert locked.registry.ledger.promotions(1)[0].actor == f"key {approvers[0]}"


def test_of_four_eyes_two_belong_to_another_key(locked: Site) -> None:
    ask(locked, approvers=2)
    anna, ben = key(locked, "approve"), key(locked, "admin")
    first = locked.http.post(f"{APPROVALS}/1/approve", json=WHY, headers=anna).json()
    assert (first["status"], first["missing"]) == ("open", 1)
    assert locked.http.post(f"{APPROVALS}/1/approve", json=WHY, headers=anna).json() == first
    assert champion(locked) == 1
    (event,) = told(locked, "incumbent.approval.given")
    assert event["reason"].endswith("1 more has to.")
    alone = locked.http.post("/v1/projects/fruit/models/4/promote", json=WHY, headers=ben)
    assert (alone.status_code, alone.json()["code"]) == (409, "approval_needed")
    assert "/approvals/1/approve" in alone.json()["remedy"]
    assert locked.http.post(f"{APPROVALS}/1/approve", json=WHY, headers=ben).json()["status"] == "approved"
    assert champion(locked) == 4


def test_four_eyes_take_keys_where_none_is_asked_for_too(house: Site) -> None:
    ask(house, approvers=2)
    nobody = house.http.post(f"{APPROVALS}/1/approve", json=WHY)
    assert (nobody.status_code, nobody.json()["code"]) == (409, "key_needed")
    assert "incumbent key create --scope approve" in nobody.json()["remedy"]
    for _ in range(2):
        done = house.http.post(f"{APPROVALS}/1/approve", json=WHY, headers=key(house, "approve"))
    assert done.json()["status"] == "approved"


def test_with_four_eyes_nobody_promotes_alone_what_never_served_but_may_go_back(locked: Site) -> None:
    admin = key(locked, "admin")
    policy = {"promote_mode": "manual", "approval": {"approvers": 2}}
    changed = locked.http.patch("/v1/projects/fruit", json={"policy": policy}, headers=admin)
    assert changed.status_code == 200, changed.text
    alone = locked.http.post("/v1/projects/fruit/models/2/promote", json=WHY, headers=admin)
    assert (alone.status_code, alone.json()["code"]) == (409, "approval_needed")
    make_champion(locked.registry, locked.registry.projects.get("fruit"), 2)
    assert locked.http.post("/v1/projects/fruit/models/1/promote", json=WHY, headers=admin).status_code == 200
    assert locked.http.post("/v1/projects/fruit/rollback", json=WHY, headers=admin).status_code == 200


def test_a_second_pair_of_eyes_that_is_asked_for_later_reaches_what_waits(locked: Site) -> None:
    ask(locked)
    admin, anna = key(locked, "admin"), key(locked, "approve")
    policy = {"promote_mode": "manual", "approval": {"approvers": 2}}
    assert locked.http.patch("/v1/projects/fruit", json={"policy": policy}, headers=admin).status_code == 200
    (one,) = locked.http.get(APPROVALS, headers=admin).json()["approvals"]
    assert (one["approvers"], one["missing"]) == (2, 2)
    alone = locked.http.post("/v1/projects/fruit/models/4/promote", json=WHY, headers=admin)
    assert (alone.status_code, alone.json()["code"]) == (409, "approval_needed")
    first = locked.http.post(f"{APPROVALS}/1/approve", json=WHY, headers=anna).json()
    assert (first["status"], first["approvers"], first["missing"]) == ("open", 2, 1)
    fewer = {"promote_mode": "manual", "approval": {"approvers": 1}}
    assert locked.http.patch("/v1/projects/fruit", json={"policy": fewer}, headers=admin).status_code == 200
    assert locked.http.get(f"{APPROVALS}/1", headers=admin).json()["missing"] == 1
    assert locked.http.post(f"{APPROVALS}/1/approve", json=WHY, headers=admin).json()["status"] == "approved"
    assert champion(locked) == 4


def test_the_word_of_a_key_that_was_revoked_is_missing_again(locked: Site) -> None:
    ask(locked, approvers=2)
    kept, secret = locked.registry.keys.create(("approve",), label="anna", at=NOW)
    anna, admin = {"authorization": f"Bearer {secret}"}, key(locked, "admin")
    first = locked.http.post(f"{APPROVALS}/1/approve", json=WHY, headers=anna).json()
    assert first["missing"] == 1
    locked.registry.keys.revoke(kept.prefix, NOW)
    after = locked.http.get(f"{APPROVALS}/1", headers=admin).json()
    assert (after["missing"], [one["word"] for one in after["said"]]) == (2, ["approve"])


def test_promoting_what_waits_is_approving_it(house: Site) -> None:
    ask(house)
    changed = house.http.post("/v1/projects/fruit/models/3/promote", json=WHY).json()
    assert (changed["to"], changed["refitted"], changed["kind"]) == (3, 4, "manual")
    (one,) = house.http.get(APPROVALS).json()["approvals"]
    assert (one["status"], one["said"][0]["version"]) == ("approved", 3)


def test_who_started_a_run_is_kept_with_it(locked: Site) -> None:
    admin = key(locked, "admin")
    started = locked.http.post("/v1/projects/fruit/runs", headers=admin).json()["run"]
    run = locked.http.get(f"/v1/projects/fruit/runs/{started}", headers=admin).json()
    assert run["trigger"]["by"] == f"key {admin['authorization'].split('_')[1]}"


@pytest.mark.parametrize("approval", [{"approvers": 3}, {"approvers": 0}, {"expires_after": "PT0S"}])
def test_an_impossible_approval_is_no_policy(house: Site, approval: dict[str, Any]) -> None:
    answer = house.http.patch("/v1/projects/fruit", json={"policy": {"approval": approval}})
    assert answer.status_code == 422
    assert "approval" in answer.json()["field"]
    assert Approval().expires_after == timedelta(days=7)


# In the dashboard


def test_the_runs_page_has_the_question_and_no_text_of_it_is_markup(house: Site) -> None:
    run = ask(house)
    page = house.get(f"/projects/fruit/runs/{run}").text
    for word in ("Approve v4…", "Approve v3 as judged…", "Refuse…", "the judged v3 trained on all rows"):
        assert word in page
    assert "Promote v3" not in page
    assert SCRIPT not in page
    assert IMAGE not in page
    assert "waits for your approval" in house.get("/projects").text


def test_an_approval_by_form_is_kept_with_its_reason(house: Site) -> None:
    run, token = ask(house), house.token()
    refused = house.post("/projects/fruit/approvals/1/approve", **WHY)
    assert refused.status_code == 403
    done = house.post("/projects/fruit/approvals/1/approve?version=3", token=token, **WHY)
    assert (done.status_code, done.headers["location"]) == (303, f"/projects/fruit/runs/{run}")
    page = house.get(f"/projects/fruit/runs/{run}").text
    assert "v3 is champion now" in page
    assert "seen by the risk team" in page
    assert "Approve v4…" not in page
    assert house.registry.ledger.promotions(1)[0].actor == "dashboard"


def test_a_refusal_by_form_says_so_on_the_page_and_in_the_story(house: Site) -> None:
    run = ask(house)
    house.post("/projects/fruit/approvals/1/refuse", token=house.token(), reason=HOSTILE)
    page = house.get(f"/projects/fruit/runs/{run}").text
    assert "Refused; the champion stays." in page
    assert "Refused by dashboard" in page
    assert SCRIPT not in page
    assert "v4 was refused" in house.get("/projects/fruit").text


def test_a_conflict_in_the_form_names_its_remedy(house: Site) -> None:
    ask(house)
    make_champion(house.registry, house.registry.projects.get("fruit"), 2)
    answer = house.post("/projects/fruit/approvals/1/approve", token=house.token(), **WHY)
    assert answer.status_code == 409
    assert "stale" in answer.text
    assert "A later run judges against the champion there is now" in answer.text


def test_who_may_only_look_sees_no_button(locked: Site) -> None:
    run = ask(locked)
    for scope, may in (("data", False), ("approve", True)):
        _, secret = locked.registry.keys.create(["data", scope], label="test", at=NOW)
        page = locked.get("/login").text
        csrf = page.split('name="csrf" value="')[1].split('"')[0]
        locked.post("/login", token=csrf, key=secret, next="/projects/fruit")
        shown = locked.get(f"/projects/fruit/runs/{run}").text
        assert ("Approve v4…" in shown) is may
        assert ("Your key may only look" in shown) is not may

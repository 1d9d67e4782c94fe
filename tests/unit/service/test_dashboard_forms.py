"""What is done in the dashboard: rows sent and mended, the schema edited, a row asked about, labelled, a policy changed."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import timedelta
from html import unescape
from pathlib import Path

import pyarrow as pa
import pytest
from dashboard_house import HOSTILE, LONG, Site, site
from small_house import NOW, make_champion, make_model, make_project

from automl.columns import Column, ColumnKind
from registry.records import QualityRecord
from service.api import projects
from service.dashboard import charts
from service.dashboard.forecast_charts import drawn
from service.dashboard.histograms import compared
from service.dashboard.policy_form import SETTINGS, change, shown
from service.policy import Policy
from service.problems import Problem

CSV = b"size,colour,ripe\n0.5,red,yes\nlarge,blue,no\n-0.4,green,no\n"


@pytest.fixture
def house(tmp_path: Path) -> Iterator[Site]:
    with site(tmp_path) as made:
        # A second project, whose schema an ordinary row fits.
        project = make_project(made.registry, name="plain")
        make_champion(made.registry, project, make_model(made.registry, project).version)
        yield made


def upload(house: Site, body: bytes, project: str = "plain") -> str:
    """Sends a file as the page's script does; the page it leads to."""
    sent = house.http.post(
        f"/projects/{project}/data",
        files={"file": ("rows.csv", body)},
        headers={"x-csrf-token": house.token(), "accept": "application/json"},
    )
    assert sent.status_code == 201, sent.text
    page: str = sent.json()["page"]
    return page


def test_an_upload_leads_to_its_batch_which_says_what_was_refused(house: Site) -> None:
    page = house.get(upload(house, CSV)).text
    assert "2 rows stored, 1 refused" in page
    assert "unparsable number" in page


def test_an_upload_without_script_takes_its_token_from_the_address(house: Site) -> None:
    files = {"file": ("rows.csv", CSV)}
    sent = house.http.post(
        f"/projects/plain/data?csrf={house.token()}",
        files=files,
        headers={"accept": "text/html"},
        follow_redirects=False,
    )
    assert (sent.status_code, sent.headers["location"]) == (303, "/projects/plain/data/2")
    refused = house.http.post("/projects/plain/data", files=files, headers={"accept": "text/html"})
    assert refused.status_code == 403
    assert house.registry.datasets.latest(2).number == 2  # type: ignore[union-attr]


def test_a_refused_row_is_mended_and_sent_again_once(house: Site) -> None:
    upload(house, CSV)
    page = house.get("/projects/plain/quarantine").text
    fields = dict(re.findall(r'name="(batch|line|row|column)" value="([^"]*)"', page))
    form = {name: unescape(value) for name, value in fields.items()}
    assert form["column"] == "size"
    wrong = house.post("/projects/plain/quarantine", token=house.token(), **form, value="huge")
    assert wrong.status_code == 422
    for _ in range(2):
        right = house.post("/projects/plain/quarantine", token=house.token(), **form, value="7.5")
        assert (right.status_code, right.headers["location"]) == (303, "/projects/plain/quarantine?batch=2")
    assert "is stored: it came in as batch 3" in house.get("/projects/plain/quarantine").text
    assert house.registry.datasets.facts(2).rows == 120 + 2 + 1
    lines = house.get("/projects/plain/quarantine.jsonl").text.splitlines()
    assert len(lines) == 1
    assert "large" in lines[0]


def test_hostile_rows_are_text_where_they_are_mended(house: Site) -> None:
    upload(house, f'size,colour,ripe\n1,red,yes\n"{HOSTILE.replace(chr(34), "")}",{LONG},no\n'.encode())
    page = house.get("/projects/plain/quarantine").text
    assert "<script>alert" not in page
    assert "<img" not in page
    assert "&lt;script&gt;alert" in page


def test_which_columns_may_be_absent_is_set_by_form(house: Site) -> None:
    assert 'name="optional" value="colour"' in house.get("/projects/plain/schema").text
    sent = house.post("/projects/plain/schema", token=house.token(), optional="colour", schema_version="1")
    assert sent.status_code == 303
    columns = house.registry.projects.get("plain").schema["columns"]  # type: ignore[index]
    assert [column["name"] for column in columns if column["optional"]] == ["colour"]
    stale = house.post("/projects/plain/schema", token=house.token(), optional="size", schema_version="0")
    assert stale.status_code == 409


def test_a_policy_is_changed_by_form_and_a_wrong_number_names_its_field(house: Site) -> None:
    policy = house.registry.projects.get("plain").policy
    form = {one.path: shown(policy, one) for one in SETTINGS if shown(policy, one)}
    form |= {"cooldown": "90", "gates.alpha": "1", "gates.max_latency_ms": "", "promote_mode": "manual"}
    del form["triggers.drift"]
    sent = house.post("/projects/plain/settings", token=house.token(), **form)
    assert sent.status_code == 303, sent.text
    changed = Policy.model_validate(house.registry.projects.get("plain").policy)
    assert changed.cooldown.total_seconds() == 5400
    assert changed.gates.alpha == pytest.approx(0.01)
    assert changed.gates.max_latency_ms is None
    assert changed.promote_mode == "manual"
    assert changed.triggers.drift is None
    wrong = house.post("/projects/plain/settings", token=house.token(), **{**form, "gates.alpha": "70"})
    assert wrong.status_code == 422
    assert "policy.gates.alpha" in wrong.text
    words = house.post("/projects/plain/settings", token=house.token(), **{**form, "cooldown": "soon"})
    assert "Rest between runs is no number" in words.text


def test_a_policy_shown_and_sent_back_is_the_same_policy() -> None:
    for policy in (
        Policy(),
        Policy.model_validate(
            {"triggers": {"decay": None, "drift": None, "schedule": None}, "probation": None}
        ),
        Policy.model_validate({"cooldown": "PT1S", "lookback_window": "P30D", "gates": {"slices": None}}),
    ):
        told = policy.model_dump(mode="json")
        form = {one.path: shown(told, one) for one in SETTINGS if one.kind != "part" or shown(told, one)}
        assert Policy.model_validate(merge(told, change(form, told))) == policy


def merge(old: dict[str, object], new: dict[str, object]) -> dict[str, object]:
    return projects._merge(old, new)


def test_a_part_that_was_off_comes_back_with_its_defaults_and_what_was_asked_for() -> None:
    told = Policy.model_validate({"triggers": {"drift": None}}).model_dump(mode="json")
    form = {one.path: shown(told, one) for one in SETTINGS if one.kind != "part" or shown(told, one)}
    form |= {"triggers.drift": "on", "triggers.drift.share": "50"}
    found = Policy.model_validate(merge(told, change(form, told)))
    assert found.triggers.drift is not None
    assert (found.triggers.drift.share, found.triggers.drift.window) == (0.5, 1000)


def test_an_empty_field_that_must_say_something_is_refused_by_its_name() -> None:
    told = Policy().model_dump(mode="json")
    form = {one.path: shown(told, one) for one in SETTINGS} | {"gates.min_effect": ""}
    with pytest.raises(Problem, match="Gain at least is empty"):
        change(form, told)


def test_a_dry_run_is_queued_beside_the_policy_in_force_and_changes_nothing(house: Site) -> None:
    policy = house.registry.projects.get("plain").policy
    form = {one.path: shown(policy, one) for one in SETTINGS if shown(policy, one)}
    sent = house.post("/projects/plain/settings/dry-run", token=house.token(), **{**form, "cooldown": "5"})
    assert (sent.status_code, sent.headers["location"]) == (303, "/projects/plain/replays/1")
    plan = house.registry.replays.get(2, 1).plan
    assert plan["policy"]["cooldown"] == "PT5M"
    assert plan["more"]["now"]["cooldown"] == "PT1H"
    assert house.get("/projects/plain/replays/1").status_code == 200
    assert house.registry.projects.get("plain").policy == policy


def test_a_key_is_shown_once_and_ends_by_form(house: Site) -> None:
    made = house.post("/keys", token=house.token(), label="<b>shop</b>", scope="predict")
    secret = re.search(r"<code>(inc_[^<]+)</code></pre>", made.text)
    assert secret is not None
    key = house.registry.keys.verify(secret[1])
    assert key is not None
    assert key.scopes == {"predict"}
    page = house.get("/keys").text
    assert secret[1] not in page
    assert "&lt;b&gt;shop&lt;/b&gt;" in page
    house.post(f"/keys/{key.prefix}/revoke", token=house.token())
    assert house.registry.keys.verify(secret[1]) is None


def test_a_row_is_labelled_skipped_and_the_guess_waits_to_be_asked_for(house: Site) -> None:
    upload(house, b"size,colour\n0.1,red\n0.2,blue\n2.5,green\n")
    assert "Ranking the rows" in house.get("/projects/plain/labeling").text
    page = house.get("/projects/plain/labeling/next?as=anna").text
    row = re.search(r'name="row" value="([^"]+)"', page)
    assert row is not None, page
    assert re.search(r"<details class=\"guess\"[^>]*>\s*<summary>", page), "closed until it is asked for"
    form = {"row": row[1], "as": "anna"}
    sent = house.post("/projects/plain/labeling", token=house.token(), **form, label="yes")
    assert (sent.status_code, sent.headers["location"]) == (303, "/projects/plain/labeling/next?as=anna")
    assert house.registry.datasets.truths(2, [row[1]]) == {row[1]: "yes"}
    following = re.search(
        r'name="row" value="([^"]+)"', house.get("/projects/plain/labeling/next?as=anna").text
    )
    assert following is not None
    assert following[1] != row[1]
    skipped = house.post(
        "/projects/plain/labeling", token=house.token(), row=following[1], skip="1", **{"as": "anna"}
    )
    assert skipped.status_code == 303
    assert house.registry.datasets.truths(2, [following[1]]) == {following[1]: None}
    wrong = house.post("/projects/plain/labeling", token=house.token(), **form, label="perhaps")
    assert wrong.status_code == 422


@pytest.mark.slow
def test_a_row_is_predicted_and_explained_by_form(house: Site) -> None:
    house.http.app.state.context.serving.refresh()  # type: ignore[attr-defined]
    page = house.get("/projects/plain/predict").text
    assert 'name="column:size"' in page
    answer = house.post(
        "/projects/plain/predict",
        token=house.token(),
        headers={"hx-request": "true"},
        **{"column:size": "1.5", "column:colour": "red"},
    )
    assert answer.status_code == 200, answer.text
    assert ">yes</bdi>" in answer.text
    assert answer.text.count('<svg viewBox="0 0 460 16"') == 3, "two columns and the sum"
    assert "<html" not in answer.text
    wrong = house.post(
        "/projects/plain/predict",
        token=house.token(),
        headers={"hx-request": "true"},
        **{"column:size": "tall", "column:colour": "red"},
    )
    assert wrong.status_code == 422
    assert "size" in wrong.text


def test_of_many_windows_those_that_follow_each_other_are_one_point_with_their_common_error() -> None:
    def window(number: int, version: int) -> QualityRecord:
        at = NOW + timedelta(minutes=number)
        told = {"rows": 1000, "error": 0.02, "from": at.isoformat(), "to": at.isoformat()}
        return QualityRecord(
            number=number,
            project_id=1,
            model_version=version,
            kind="window",
            score=0.8 + number % 2 / 10,
            reference=0.8,
            report=told,
            at=at,
        )

    told = charts.quality([window(one, 1 + one // 200) for one in range(400)][::-1], [], [], metric="roc_auc")
    assert len(told["x"]) == 100
    assert told["x"] == sorted(told["x"])
    assert told["live"][0] == pytest.approx(0.85)
    assert told["live_high"][0] - told["live"][0] == pytest.approx(1.96 * 0.01), (
        "four windows halve the error"
    )


def test_forecasts_of_one_moment_are_drawn_as_the_newest_and_what_came_stays() -> None:
    def step(day: int, value: float, actual: float | None = None) -> dict[str, object]:
        return {
            "time": f"2026-01-0{day}T00:00:00+00:00",
            "value": value,
            "lower": 0.0,
            "upper": 9.0,
            "actual": actual,
        }

    newest, older = {"steps": [step(2, 5.0), step(3, 6.0)]}, {"steps": [step(1, 3.0, 3.5), step(2, 4.0)]}
    found = drawn([newest, older], [(0.0, 2.0)])
    assert (found["value"], found["actual"]) == ([None, 3.0, 5.0, 6.0], [2.0, 3.5, None, None])
    assert found["in_time"]
    assert not drawn([{"steps": [{**step(1, 1.0), "time": 7}]}])["in_time"], "a time may be a number"


def test_histograms_stand_beside_each_other_whatever_came() -> None:
    number = compared(
        Column(name="a", kind=ColumnKind.NUMERIC),
        pa.chunked_array([[float(value) for value in range(100)] + [None]]),
        pa.chunked_array([[1e9] * 10]),
    )
    assert sum(number.trained) == pytest.approx(1, abs=1e-3)
    assert number.now is not None
    assert number.now[-1] == 1, "what lies beyond is in the last bin"
    assert number.missing == pytest.approx(1 / 101)
    words = compared(
        Column(name="b", kind=ColumnKind.CATEGORICAL),
        pa.chunked_array([["x"] * 5 + ["y"] * 3 + [LONG]]),
        pa.chunked_array([["new"] * 4]),
    )
    assert words.labels[-1] == "new"
    assert max(map(len, words.labels)) <= 40
    empty = compared(
        Column(name="c", kind=ColumnKind.NUMERIC), pa.chunked_array([[None]], pa.float64()), None
    )
    assert empty.trained == ()


def test_a_forecasting_project_has_forecasts_in_place_of_rows_to_ask_about(house: Site) -> None:
    task = {"kind": "forecasting", "target": "sales", "metric": "mase", "classes": [], "time_column": "month"}
    told = {"id_column": None, "entity_column": None, "series_column": None, "horizon": 3, "sensitive": []}
    policy = Policy().model_dump(mode="json")
    house.registry.projects.create("shops", task={**task, **told}, policy=policy, at=NOW)
    page = house.get("/projects/shops/forecasts")
    assert page.status_code == 200
    assert "/projects/shops/labeling" not in page.text
    assert house.get("/projects/shops/predict").headers["location"] == "/projects/shops/forecasts"
    refused = house.post("/projects/shops/settings/dry-run", token=house.token(), whole="{}")
    assert refused.status_code == 409
    for path in ("", "/runs", "/models", "/data", "/schema", "/monitoring", "/settings"):
        assert house.get(f"/projects/shops{path}").status_code == 200, path

"""Channels over HTTP: made, narrowed to a project, changed and forgotten; what is secret is given once or never."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from alert_receiver import receiver
from alerts_house import CHANNELS, AlertsHouse, house
from fastapi.testclient import TestClient
from small_house import NOW

from service.alerts.kinds import KINDS, USUAL
from service.alerts.signature import new_secret
from service.app import create_app
from service.settings import Settings

MINE = "/v1/projects/fruit/alerts/channels"
URL = "http://127.0.0.1:9/hook"


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AlertsHouse]:
    with house(tmp_path_factory.mktemp("alerts")) as one:
        yield one


@pytest.fixture
def at_home(shared: AlertsHouse) -> Iterator[AlertsHouse]:
    yield shared
    for channel in shared.registry.alert_channels.list():
        shared.registry.alert_channels.remove(channel.name, at=NOW)


def refused(answer: Any, status: int, code: str, field: str | None = None) -> str:
    document = answer.json()
    assert (answer.status_code, document["code"], document.get("field")) == (status, code, field), document
    assert document["remedy"]
    return str(document["detail"])


def test_a_secret_is_given_once_and_of_an_address_what_is_no_token(at_home: AlertsHouse) -> None:
    made = at_home.add(name="team", url=URL + "?token=abc")
    assert made.pop("secret").startswith("whsec_")
    assert made["address"] == URL + "?…"
    assert (made["events"], made["project"], made["enabled"]) == (list(USUAL), None, True)
    at_home.add(name="mine", url=URL, secret=new_secret())
    at_home.add(name="slack", kind="slack", url="http://127.0.0.1:9/services/T0/B0/token")
    text = at_home.http.get(CHANNELS).text
    assert "token" not in text
    assert "whsec_" not in text
    assert at_home.http.get(f"{CHANNELS}/slack").json()["address"] == "http://127.0.0.1:9/…"
    assert "secret" not in at_home.add(name="given", url=URL, secret=new_secret())


def test_a_projects_channels_are_its_own(at_home: AlertsHouse) -> None:
    at_home.add(name="all", url=URL)
    made = at_home.http.post(MINE, json={"name": "fruits", "kind": "webhook", "url": URL})
    assert (made.status_code, made.json()["project"]) == (201, "fruit")
    at_home.add(name="too", url=URL, project="fruit")
    assert [one["name"] for one in at_home.http.get(MINE).json()["channels"]] == ["fruits", "too"]
    assert [one["name"] for one in at_home.http.get(CHANNELS).json()["channels"]] == ["all", "fruits", "too"]
    refused(at_home.http.get(f"{MINE}/all"), 404, "channel_not_found", "channel")
    refused(at_home.http.delete(f"{MINE}/all"), 404, "channel_not_found", "channel")
    refused(at_home.http.get("/v1/projects/nobody/alerts/channels"), 404, "project_not_found", "project")
    unknown = {"name": "x", "kind": "webhook", "url": URL, "project": "nobody"}
    refused(at_home.http.post(CHANNELS, json=unknown), 404, "project_not_found", "project")


def test_a_channel_is_changed_paused_and_forgotten(at_home: AlertsHouse) -> None:
    at_home.add(name="team", url=URL)
    path = f"{CHANNELS}/team"
    changed = at_home.http.patch(
        path, json={"url": URL + "/2", "events": ["run.failed"], "enabled": False}
    ).json()
    assert (changed["address"], changed["events"], changed["enabled"]) == (URL + "/2", ["run.failed"], False)
    refused(at_home.http.post(f"{path}/test"), 409, "channel_paused")
    assert at_home.http.patch(path, json={"enabled": True}).json()["address"] == URL + "/2"
    refused(at_home.http.patch(path, json={"to": ["a@b.c"]}), 422, "invalid_channel", "to")
    assert at_home.http.delete(path).status_code == 204
    refused(at_home.http.get(path), 404, "channel_not_found", "channel")


@pytest.mark.parametrize(
    ("url", "code"),
    [
        (None, "invalid_channel"),
        ("ftp://example.org/", "invalid_channel"),
        ("https://", "invalid_channel"),
        ("https://user:word@127.0.0.1/", "invalid_channel"),
        ("https://127.0.0.1/#part", "invalid_channel"),
        ("https://127.0.0.1:99999/", "invalid_channel"),
        ("https://exa mple.org/", "invalid_channel"),
        ("http://127.0.0.1/\r\nHost: x", "invalid_channel"),
        ("http://nowhere.invalid/", "invalid_channel"),
        ("file:///etc/passwd", "invalid_channel"),
        ("http://169.254.169.254/latest/meta-data", "address_forbidden"),
        ("http://10.0.0.1/", "address_forbidden"),
        ("http://[::1]/", "address_forbidden"),
        ("http://2852039166/", "address_forbidden"),
        ("http://0x7f.1/", "created"),
    ],
)
def test_an_address_that_may_not_be_called_is_refused_with_what_to_do(
    at_home: AlertsHouse, url: str | None, code: str
) -> None:
    answer = at_home.http.post(CHANNELS, json={"name": "team", "kind": "webhook", "url": url})
    if code == "created":
        assert answer.status_code == 201, "a spelling of an address that is allowed here"
        return
    refused(answer, 422, code, "url")


def test_what_a_channel_of_its_kind_has_no_use_for_is_refused(at_home: AlertsHouse) -> None:
    def post(**channel: Any) -> Any:
        return at_home.http.post(CHANNELS, json={"name": "team", "kind": "webhook", "url": URL, **channel})

    assert "labels.wanted" in str(post(events=["nothing"]).json()["remedy"])
    refused(post(events=["nothing"]), 422, "invalid_channel", "events")
    refused(post(events=[]), 422, "invalid_channel", "events")
    refused(post(secret="short"), 422, "invalid_channel", "secret")
    refused(post(kind="slack", secret=new_secret()), 422, "invalid_channel", "secret")
    refused(post(to=["a@b.c"]), 422, "invalid_channel", "to")
    refused(post(name="a b"), 422, "invalid_request", "name")
    refused(post(kind="email", url=None, to=["a@b.c"]), 409, "no_mail_server")
    refused(post(surprise=1), 422, "invalid_request", "surprise")
    assert post().status_code == 201
    refused(post(), 409, "channel_exists")


def test_recipients_are_checked(tmp_path: Path) -> None:
    with house(tmp_path, smtp_host="127.0.0.1", smtp_from="ml@example.org") as one:
        for to, field in (([], "to"), (["anna"], "to"), (["a@b.c\r\nBcc: d@e.f"], "to")):
            answer = one.http.post(CHANNELS, json={"name": "team", "kind": "email", "to": to})
            refused(answer, 422, "invalid_channel", field)
        made = one.add(name="team", kind="email", to=["anna@example.org"])
        assert made["to"] == ["anna@example.org"]
        changed = one.http.patch(f"{CHANNELS}/team", json={"to": ["ben@example.org"]})
        assert changed.json()["to"] == ["ben@example.org"]
        refused(one.http.post(f"{CHANNELS}/team/secret"), 409, "channel_unsigned")


def test_every_kind_is_listed_with_an_example(at_home: AlertsHouse) -> None:
    told = at_home.http.get("/v1/alerts/kinds").json()["kinds"]
    assert [one["kind"] for one in told] == [kind.name for kind in KINDS]
    assert all(one["example"] and one["means"] for one in told)


def test_settings_that_are_no_hosts_are_refused_at_the_start() -> None:
    with pytest.raises(ValueError, match="is no host name, address or network"):
        Settings(alert_hosts="10.0.0.0/99")
    assert Settings(alert_hosts=" a.example.org, 10.0.0.0/8 ,").alert_hosts == ("a.example.org", "10.0.0.0/8")


def test_who_may_look_sees_no_secret_and_changes_nothing(tmp_path: Path) -> None:
    app = create_app(
        Settings(home=tmp_path / "home", scheduler=False, require_keys=True, alert_hosts="127.0.0.0/8")
    )
    with TestClient(app) as http, receiver() as team:
        keys = app.state.context.registry.keys
        scopes = {
            scope: {"authorization": f"Bearer {keys.create([scope], label='', at=NOW)[1]}"}
            for scope in ("predict", "data", "admin")
        }
        body = {"name": "team", "kind": "webhook", "url": team.url}
        assert http.post(CHANNELS, json=body, headers=scopes["data"]).status_code == 403
        assert http.post(CHANNELS, json=body, headers=scopes["admin"]).status_code == 201
        for path in (CHANNELS, f"{CHANNELS}/team", f"{CHANNELS}/team/deliveries", "/v1/alerts/kinds"):
            assert http.get(path, headers=scopes["predict"]).status_code == 403
            assert http.get(path, headers=scopes["data"]).status_code == 200
        for method, path in (
            ("PATCH", f"{CHANNELS}/team"),
            ("DELETE", f"{CHANNELS}/team"),
            ("POST", f"{CHANNELS}/team/test"),
            ("POST", f"{CHANNELS}/team/secret"),
        ):
            assert http.request(method, path, headers=scopes["data"], json={}).status_code == 403

"""An event reaches each channel that wants it once, is held by one at a time, and is told or given up."""

from __future__ import annotations

from dataclasses import replace

import pytest
from registry_builders import NOW, after, at_once

from registry.alert_channels import AlertChannels, Channel, NewChannel
from registry.alert_deliveries import AlertDeliveries, Delivery, Told
from registry.database import Database
from registry.errors import Conflict, NotFound, StaleFence
from registry.ledger import Ledger
from registry.projects import Projects
from registry.records import EventRecord, Project

KIND = "incumbent.champion.changed"


def new(name: str = "team", project: Project | None = None, *wanted: str) -> NewChannel:
    return NewChannel(
        name=name,
        kind="webhook",
        target={"address": "https://example.org/hook"},
        sealed=b"sealed",
        wanted=wanted or (KIND,),
        project_id=None if project is None else project.id,
    )


def route(event: EventRecord, channel: Channel) -> Told | None:
    if event.type not in channel.wanted:
        return None
    return Told(event_id=f"home-{event.number}", kind=event.type, event={"data": dict(event.data)})


@pytest.fixture
def channels(db: Database) -> AlertChannels:
    return AlertChannels(db)


@pytest.fixture
def deliveries(db: Database) -> AlertDeliveries:
    return AlertDeliveries(db)


def claimed(deliveries: AlertDeliveries, seconds: float = 0) -> Delivery:
    found = deliveries.claim("worker", lease_seconds=30, at=after(seconds))
    assert found is not None
    return found


def test_a_channel_is_found_by_its_name_and_forgets_its_secrets_when_it_is_removed(
    db: Database, channels: AlertChannels, project: Project
) -> None:
    made = channels.add(new(project=project), at=NOW)
    assert (made.project, made.sealed, made.wanted, made.enabled) == ("flights", b"sealed", (KIND,), True)
    assert channels.get("team") == made
    with pytest.raises(Conflict) as refused:
        channels.add(new(), at=NOW)
    assert refused.value.code == "channel_exists"
    changed = channels.change(replace(made, wanted=("other",), enabled=False), at=after(1))
    assert channels.get("team") == changed
    channels.remove("team", at=after(2))
    with pytest.raises(NotFound):
        channels.get("team")
    with pytest.raises(NotFound):
        channels.change(made, at=after(3))
    with db.read() as connection:
        kept = connection.exec_driver_sql("SELECT sealed, target FROM alert_channels").one()
    assert (kept[0], str(kept[1])) == (None, "{}")
    channels.add(new(), at=after(4))


def test_channels_are_listed_by_project_and_go_with_it(
    db: Database, channels: AlertChannels, project: Project
) -> None:
    channels.add(new("b", project), at=NOW)
    channels.add(new("a"), at=NOW)
    assert [one.name for one in channels.list()] == ["a", "b"]
    assert [one.name for one in channels.list(project_id=project.id)] == ["b"]
    Projects(db).delete("flights", at=after(1))
    assert [one.name for one in channels.list()] == ["a"]


def test_an_event_reaches_each_channel_that_wants_it_once(
    channels: AlertChannels, deliveries: AlertDeliveries, ledger: Ledger, project: Project, db: Database
) -> None:
    other = Projects(db).create("other", task={}, policy={}, at=NOW)
    all_of_it, mine = channels.add(new("all"), at=NOW), channels.add(new("mine", project), at=NOW)
    unwanted = channels.add(new("unwanted", None, "else"), at=NOW)
    ledger.emit(KIND, {"to": 1}, project_id=project.id, at=NOW)
    ledger.emit(KIND, {"to": 2}, project_id=other.id, at=NOW)
    ledger.emit(KIND, {"to": 3}, at=NOW)
    at_once(lambda _: deliveries.fan_out(route, at=after(1)))
    assert deliveries.fan_out(route, at=after(2)) == 0

    def told(channel: Channel) -> list[int]:
        return [one.event["data"]["to"] for one in deliveries.list(channel.id)[::-1]]

    assert (told(all_of_it), told(mine), told(unwanted)) == ([1, 2, 3], [1], [])


def test_a_new_channel_is_not_told_of_what_happened_before(
    channels: AlertChannels, deliveries: AlertDeliveries, ledger: Ledger, project: Project
) -> None:
    for number in range(5):
        ledger.emit(KIND, {"to": number}, project_id=project.id, at=NOW)
    assert deliveries.fan_out(route, at=NOW, most=2) == 0, "nobody is there to be told"
    channel = channels.add(new(), at=NOW)
    ledger.emit(KIND, {"to": 5}, project_id=project.id, at=NOW)
    deliveries.fan_out(route, at=NOW, most=2)
    assert [one.event["data"]["to"] for one in deliveries.list(channel.id)] == [5]


def test_many_events_are_put_on_in_several_turns(
    channels: AlertChannels, deliveries: AlertDeliveries, ledger: Ledger, project: Project
) -> None:
    channel = channels.add(new(), at=NOW)
    for number in range(5):
        ledger.emit(KIND, {"to": number}, project_id=project.id, at=NOW)
    assert [deliveries.fan_out(route, at=NOW, most=2) for _ in range(4)] == [2, 2, 1, 0]
    assert len(deliveries.list(channel.id)) == 5


def test_a_route_that_fails_leaves_the_events_to_be_routed_again(
    channels: AlertChannels, deliveries: AlertDeliveries, ledger: Ledger, project: Project
) -> None:
    channel = channels.add(new(), at=NOW)
    ledger.emit(KIND, {"to": 1}, project_id=project.id, at=NOW)

    def breaks(event: EventRecord, channel: Channel) -> Told | None:
        raise RuntimeError("killed here")

    with pytest.raises(RuntimeError):
        deliveries.fan_out(breaks, at=NOW)
    deliveries.fan_out(route, at=NOW)
    assert len(deliveries.list(channel.id)) == 1


@pytest.fixture
def pending(
    channels: AlertChannels, deliveries: AlertDeliveries, ledger: Ledger, project: Project
) -> Channel:
    """A channel with two events to be told."""
    channel = channels.add(new(), at=NOW)
    for number in (1, 2):
        ledger.emit(KIND, {"to": number}, project_id=project.id, at=NOW)
    deliveries.fan_out(route, at=NOW)
    return channel


@pytest.mark.usefixtures("pending")
def test_of_many_workers_one_holds_a_delivery_and_nobody_tells_its_channel_anything_else(
    deliveries: AlertDeliveries,
) -> None:
    first = claimed(deliveries)
    assert (first.event["data"]["to"], first.attempts, first.fence) == (1, 1, 1)
    assert at_once(lambda _: deliveries.claim("other", lease_seconds=30, at=after(1))) == [None] * 8
    deliveries.delivered(first, note="200", at=after(2))
    second = claimed(deliveries, 3)
    assert second.event["data"]["to"] == 2


@pytest.mark.usefixtures("pending")
def test_what_a_dead_worker_held_is_told_by_another_under_the_same_id(deliveries: AlertDeliveries) -> None:
    lost = claimed(deliveries)
    assert deliveries.claim("other", lease_seconds=30, at=after(29)) is None
    again = claimed(deliveries, 31)
    assert (again.id, again.event_id, again.attempts, again.fence) == (lost.id, lost.event_id, 2, 2)
    with pytest.raises(StaleFence):
        deliveries.delivered(lost, note="200", at=after(32))
    deliveries.delivered(again, note="200", at=after(33))
    with pytest.raises(StaleFence):
        deliveries.failed(again, note="late", again_at=None, at=after(34))


def test_what_failed_waits_until_it_is_due_again_and_is_given_up_with_its_reason(
    deliveries: AlertDeliveries, pending: Channel
) -> None:
    first = claimed(deliveries)
    deliveries.failed(first, note="answered 503", again_at=after(60), at=after(1))
    second = claimed(deliveries, 2)
    assert second.id != first.id, "the next event is not held up"
    deliveries.delivered(second, note="200", at=after(3))
    assert deliveries.claim("worker", lease_seconds=30, at=after(59)) is None
    again = claimed(deliveries, 60)
    deliveries.failed(again, note="gave up: answered 503", again_at=None, at=after(61))
    ended = deliveries.get(again.id)
    assert (ended.status, ended.attempts, ended.note) == ("gave_up", 2, "gave up: answered 503")
    assert ended.ended_at == after(61)
    assert deliveries.waiting() == (0, None)


def test_a_paused_channel_waits_and_a_removed_one_is_told_nothing_more(
    channels: AlertChannels, deliveries: AlertDeliveries, pending: Channel
) -> None:
    assert deliveries.waiting() == (2, NOW)
    channels.change(replace(pending, enabled=False), at=after(1))
    assert deliveries.claim("worker", lease_seconds=30, at=after(2)) is None
    channels.change(pending, at=after(3))
    held = claimed(deliveries, 4)
    channels.remove("team", at=after(5))
    assert deliveries.claim("worker", lease_seconds=30, at=after(60)) is None
    with pytest.raises(StaleFence):
        deliveries.failed(held, note="503", again_at=after(70), at=after(61))
    assert {one.note for one in deliveries.list(pending.id)} == {"the channel was removed before it was told"}


def test_a_test_is_put_once_and_what_ended_long_ago_is_forgotten(
    deliveries: AlertDeliveries, pending: Channel
) -> None:
    told = Told(event_id="home-test-1", kind="alerts.test", event={"data": {}})
    first = deliveries.put(pending.id, told, at=after(1))
    assert deliveries.put(pending.id, told, at=after(2)) == first
    deliveries.delivered(claimed(deliveries, 3), note="200", at=after(4))
    assert deliveries.prune(before=after(4)) == 0
    assert deliveries.prune(before=after(5)) == 1
    assert [one.kind for one in deliveries.list(pending.id)] == ["alerts.test", KIND]
    assert [one.id for one in deliveries.list(pending.id, before=first.id)] == [first.id - 1]
    with pytest.raises(NotFound):
        deliveries.get(first.id + 100)

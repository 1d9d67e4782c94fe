"""The client for event loops: the same calls, the same promises, awaited."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Iterator

import msgspec
import pytest
from scripted_server import Script, Turn, scripted

from service.client import AsyncIncumbent, Incumbent, IncumbentError

ACCEPTED: Turn = (200, {}, {"accepted": 1, "unknown": [], "conflicting": []})


@pytest.fixture
def script() -> Iterator[Script]:
    with scripted() as made:
        yield made


def _methods(kind: type) -> dict[str, inspect.Signature]:
    return {
        name: inspect.signature(one)
        for name, one in inspect.getmembers(kind, inspect.isfunction)
        if not name.startswith("_")
    }


def test_both_clients_have_the_same_calls_with_the_same_words() -> None:
    waits, awaits = _methods(Incumbent), _methods(AsyncIncumbent)
    assert waits.keys() == awaits.keys()
    for name, signature in waits.items():
        assert signature.parameters == awaits[name].parameters, name
        told = str(awaits[name].return_annotation).replace("AsyncIterator", "Iterator")
        assert str(signature.return_annotation) == told, name


def test_feedback_whose_answer_was_lost_is_sent_again_under_the_same_key(script: Script) -> None:
    script.answers(None, ACCEPTED)

    async def tell() -> int:
        async with AsyncIncumbent(script.url) as client:
            return (await client.feedback("p", {"a": True}))["accepted"]

    assert asyncio.run(tell()) == 1
    first, second = (headers["idempotency-key"] for _, _, headers, _ in script.seen)
    assert first == second


def test_a_prediction_whose_answer_was_lost_is_not_asked_twice(script: Script) -> None:
    script.answers(None)

    async def ask() -> None:
        async with AsyncIncumbent(script.url) as client:
            await client.predict("p", [{"a": 1}])

    with pytest.raises(IncumbentError) as caught:
        asyncio.run(ask())
    assert caught.value.code == "unreachable"
    assert len(script.seen) == 1


def test_many_calls_share_one_loop_while_each_waits_for_a_busy_server(script: Script) -> None:
    busy: Turn = (503, {"retry-after": "0"}, {"code": "overloaded", "detail": "busy"})
    answered: Turn = (200, {}, {"model_version": 1, "predictions": []})
    script.answers(busy, busy, *[answered] * 8)

    async def ask() -> list[int]:
        async with AsyncIncumbent(script.url) as client:
            asked = (client.predict("p", [{"a": at}]) for at in range(8))
            return [answer["model_version"] for answer in await asyncio.gather(*asked)]

    assert asyncio.run(ask()) == [1] * 8
    assert len(script.seen) == 10


def test_a_run_is_followed_to_its_end_by_state_and_by_event(script: Script) -> None:
    stream = b'event: trial\ndata: {"number": 1}\n\nevent: end\ndata: {"status": "completed"}\n\n'
    states = [{"run": 1, "status": status} for status in ("running", "completed")]
    script.answers(*[(200, {}, state) for state in states], (200, {}, stream))

    async def follow() -> tuple[list[str], list[str]]:
        async with AsyncIncumbent(script.url) as client:
            seen = [state["status"] async for state in client.watch("p", 1, every=0)]
            return seen, [event.name async for event in client.events("p", 1)]

    assert asyncio.run(follow()) == (["running", "completed"], ["trial", "end"])


def test_a_refusal_is_the_same_error_and_an_address_has_to_be_one(script: Script) -> None:
    problem = {
        "detail": "Column age is missing.",
        "code": "missing_column",
        "field": "age",
        "remedy": "Send it.",
    }
    script.answers((422, {}, problem))

    async def ask() -> None:
        async with AsyncIncumbent(script.url, key="inc_x_y") as client:
            await client.predict("p", [{"a": 1}])

    with pytest.raises(IncumbentError, match="Column age") as caught:
        asyncio.run(ask())
    assert (caught.value.field, caught.value.remedy) == ("age", "Send it.")
    assert script.seen[0][2]["authorization"] == "Bearer inc_x_y"
    assert msgspec.json.decode(script.seen[0][3]) == {"rows": [{"a": 1}]}
    with pytest.raises(IncumbentError, match="no address"):
        AsyncIncumbent("http://127.0.0.1:none")

"""Row ids: UUIDv7 in ascending order, however many are taken at once."""

from __future__ import annotations

import uuid

from service.row_ids import RowIds


def test_many_at_once_and_few_at_once_make_one_ascending_row_of_ids() -> None:
    ids = RowIds()
    taken = [one for count in (3, 500, 1, 200, 127, 128) for one in ids.now(count)]
    assert taken == sorted(taken)
    assert len(set(taken)) == 959
    assert {(uuid.UUID(one).version, str(uuid.UUID(one)) == one) for one in taken} == {(7, True)}

"""One bulk call, in a thread: from the spooled body to the bytes of its answer."""

from __future__ import annotations

import struct
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import IO, Any

from service.chunks import Limits
from service.metrics import Metrics
from service.observation import Observation
from service.problems import Problem
from service.wire.bulk import Scorer, StreamWriter, read_chunks
from service.wire.forms import Form

_LENGTH = struct.Struct("<Q")
_LOG_WAIT = 60.0
_PIECE = 1024 * 1024


class BulkCall:
    """``keep`` is False where the caller does not want the rows in the prediction log."""

    def __init__(
        self,
        *,
        form: Form,
        body: IO[bytes],
        media_type: str,
        limits: Limits,
        folder: Path,
        observation: Observation,
        metrics: Metrics,
        clock: Callable[[], datetime],
        keep: bool,
    ) -> None:
        self._form = form
        self._body = body
        self._media_type = media_type
        self._limits = limits
        self._folder = folder
        self._observation = observation
        self._clock = clock
        self._keep = keep
        deployment = form.deployment
        self._counter: Any = metrics.predictions.labels(deployment.project, str(deployment.version))

    def with_nulls(self) -> Iterator[bytes]:
        """The answer as it grows; rows at fault are nulls in it. A body that breaks in the middle ends it early, without
        the end that an Arrow stream has."""
        scorer = Scorer(self._form, nulls=True)
        writer = StreamWriter(scorer.schema)
        for chunk in self._chunks():
            scored = scorer.score(chunk, self._clock())
            if self._keep and scored.record:
                self._log(scored.record)
            self._counter.inc(scored.rows)
            yield writer.write(scored.answers)
        yield writer.end()

    def whole(self) -> IO[bytes]:
        """The answer in a nameless file. Raises a problem for the first rows at fault: then nothing of the call is
        logged, as nothing of it is answered."""
        scorer = Scorer(self._form, nulls=False)
        writer = StreamWriter(scorer.schema)
        rows = 0
        answer: IO[bytes] = self._file()
        try:
            with closing(self._file()) as records:
                for chunk in self._chunks():
                    scored = scorer.score(chunk, self._clock())
                    answer.write(writer.write(scored.answers))
                    if self._keep:
                        records.write(_LENGTH.pack(len(scored.record)))
                        records.write(scored.record)
                    rows += scored.rows
                answer.write(writer.end())
                self._log_all(records)
            self._counter.inc(rows)
            answer.seek(0)
        except BaseException:
            answer.close()
            raise
        return answer

    def _chunks(self) -> Iterator[Any]:
        return read_chunks(self._body, self._media_type, self._limits, self._folder)

    def _file(self) -> IO[bytes]:
        return tempfile.TemporaryFile(dir=self._folder)

    def _log_all(self, records: IO[bytes]) -> None:
        records.seek(0)
        while head := records.read(_LENGTH.size):
            self._log(records.read(_LENGTH.unpack(head)[0]))

    def _log(self, record: bytes) -> None:
        """Waits for a log that is behind: a bulk call has time, and would else push out all others."""
        until = time.monotonic() + _LOG_WAIT
        while self._observation.behind:
            if time.monotonic() > until:
                raise Problem(
                    503,
                    "log_behind",
                    "The prediction log can't be stored as fast as it grows.",
                    remedy="Send the call again later, or with ?log=false.",
                    headers={"Retry-After": "10"},
                )
            time.sleep(0.05)
        self._observation.append(record)


def pieces(file: IO[bytes]) -> Iterator[bytes]:
    """A file's bytes, which is closed at its end."""
    with closing(file):
        while piece := file.read(_PIECE):
            yield piece

"""The story of a project's decisions in short: what a model of them predicts."""

from __future__ import annotations

from dataclasses import dataclass, replace

from decision_house import LABELLED, House
from one_story import Story


@dataclass(frozen=True, slots=True)
class Tale:
    """The story in short: what the model predicts."""

    runs: tuple[tuple[str, str | None, int], ...] = ()
    """Status, outcome, attempt."""
    promotions: tuple[tuple[str, int | None, int, int | None], ...] = ()
    """Kind, from, to, run."""
    probations: tuple[tuple[int, str], ...] = ()
    """Epoch, status."""
    approvals: tuple[tuple[int, int, str], ...] = ()
    """Epoch, version, status."""
    models: int = 0
    pseudo_batches: int = 0
    revocations: int = 0
    truths: int = LABELLED

    @classmethod
    def of(cls, story: Story, house: House) -> Tale:
        return cls(
            runs=tuple(
                (run.status.value, (run.verdict or {}).get("outcome"), run.attempt) for run in story.runs
            ),
            promotions=tuple(
                (entry.kind.value, entry.from_version, entry.to_version, entry.run)
                for entry in story.promotions
            ),
            probations=tuple((one.epoch, one.status.value) for one in story.probations),
            approvals=tuple((one.epoch, one.version, one.status.value) for one in story.approvals),
            models=len(story.models),
            pseudo_batches=len(story.pseudo_batches),
            revocations=len(house.registry.labels.revocations(story.project.id)),
            truths=house.registry.datasets.facts(story.project.id).truths,
        )

    @property
    def champion(self) -> int | None:
        return self.promotions[-1][2] if self.promotions else None

    @property
    def previous(self) -> int | None:
        return self.promotions[-1][1] if self.promotions else None

    @property
    def epoch(self) -> int:
        return len(self.promotions)

    @property
    def last_run(self) -> str | None:
        return self.runs[-1][0] if self.runs else None

    @property
    def watched(self) -> bool:
        """Whether the present champion is on probation."""
        return (self.epoch, "open") in self.probations

    def queued(self, attempt: int = 1) -> Tale:
        return replace(self, runs=(*self.runs, ("queued", None, attempt)))

    def with_run(self, status: str, outcome: str | None = None) -> Tale:
        return replace(self, runs=(*self.runs[:-1], (status, outcome, self.runs[-1][2])))

    def crowned(self, kind: str, version: int, run: int | None) -> Tale:
        return replace(self, promotions=(*self.promotions, (kind, self.champion, version, run)))

    def asked(self, epoch: int) -> Tale:
        """The newest model waits for approval, in the place of the champion of ``epoch``."""
        return replace(self, approvals=(*self.approvals, (epoch, self.models, "open")))

    def with_approval(self, place: int, status: str) -> Tale:
        epoch, version, _ = self.approvals[place]
        ended = (epoch, version, status)
        return replace(self, approvals=(*self.approvals[:place], ended, *self.approvals[place + 1 :]))

    @property
    def waiting(self) -> list[int]:
        """The places of the approvals that can still be given."""
        return [
            place
            for place, (epoch, _, status) in enumerate(self.approvals)
            if status == "open" and epoch == self.epoch
        ]

    def with_probation(self, status: str) -> Tale:
        return replace(self, probations=(*self.probations[:-1], (self.probations[-1][0], status)))

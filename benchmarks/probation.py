"""What a probation costs and catches: how often an equal champion is deposed, and after how many rows a bad one is.

Two models that are right in 80% of the rows disagree on one in eight of them, for nothing; then the champion is
worse by so many points of accuracy. The default rule (alpha 0.01, margin 0.01, 200 rows at least), looked at
after every row of 5,000.

    python benchmarks/probation.py [--histories 400]
"""

from __future__ import annotations

import argparse

import numpy as np

from automl.contest import Contest

_ROWS = 5_000
_DISAGREE = 0.125
_WORSE = (0.0, 0.01, 0.03, 0.05, 0.10, 0.20)


def history(seed: int, worse: float) -> tuple[str, int]:
    """How one watch ends, and after how many rows."""
    random = np.random.default_rng(seed)
    share = max(_DISAGREE, worse)
    draw = random.uniform(size=_ROWS)
    only_shadow = draw < (share + worse) / 2
    only_champion = (draw >= (share + worse) / 2) & (draw < share)
    both = (draw >= share) & (draw < share + 0.8 - (share + worse) / 2)
    truth = np.ones(_ROWS, dtype=int)

    def answers(right: np.ndarray) -> np.ndarray:
        sure = np.where(right, 0.9, 0.1)
        return np.column_stack([1 - sure, sure])

    contest = Contest.over(metric_name="accuracy", alpha=0.01, margin=0.01, min_rows=200).after(
        truth, champion=answers(both | only_champion), shadow=answers(both | only_shadow)
    )
    outcome = "deposed" if contest.champion_is_worse else "confirmed" if contest.champion_holds else "open"
    return outcome, contest.rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--histories", type=int, default=400)
    histories: int = parser.parse_args().histories
    print("| worse by | deposed | confirmed | open after 5,000 rows | rows until deposed (median, 90%) |")
    print("|---|---|---|---|---|")
    for worse in _WORSE:
        ends = [history(seed, worse) for seed in range(histories)]
        shares = [np.mean([end == word for end, _ in ends]) for word in ("deposed", "confirmed", "open")]
        rows = [count for end, count in ends if end == "deposed"]
        told = f"{np.median(rows):,.0f}, {np.quantile(rows, 0.9):,.0f}" if rows else "-"
        print(f"| {worse:.0%} | " + " | ".join(f"{share:.1%}" for share in shares) + f" | {told} |")


if __name__ == "__main__":
    main()

"""Reports of the gate vector in which every name that a caller may choose is an attack."""

from __future__ import annotations

from typing import Any


def hostile_reports(attack: str, long: str) -> dict[str, Any]:
    """What the checks leave, with ``attack`` and ``long`` for every column, class and label."""
    share = {"share": 0.5, "moved": 0.1, "worth": None}
    line = {"mean": [0.1, 0.9], "rows": [[0.0, 1.0]]}
    return {
        "robustness": hostile_robustness(attack, long),
        "fairness": hostile_fairness(attack, long),
        "explanation": {
            "method": attack,
            "rows": 50,
            "columns": [{"column": name, "champion": share, "challenger": share} for name in (attack, long)],
            "change": 0.4,
            "interval": [0.3, 0.5],
            "max_change": 0.3,
            "dependence": [
                {
                    "column": attack,
                    "grid": [long, attack],
                    "class": attack,
                    "models": {"champion": line, "challenger": line},
                }
            ],
            "contributions": {
                "method": "tree shap",
                "scale": "log-odds",
                "rows": 30,
                "gap": 0.0,
                "why_sampled": attack,
            },
        },
        "energy": {
            "source": "estimated",
            "method": attack,
            "rows": 30,
            "watts_per_core": 3.5,
            "wh_per_1000": {
                "champion": {"median": 0.01, "low": 0.01, "high": 0.02},
                "challenger": {"median": 0.02, "low": 0.02, "high": 0.04},
            },
        },
        "data_health": {
            "failed_checks": {"leakage": f"{attack} alone predicts the label"},
            "leaks": [{"column": attack, "score": 1.0, "reason": attack}],
            "label_errors": {
                "rows": 9,
                "suspected": 1,
                "share": 0.1,
                "denied": 1,
                "surest": 9,
                "review": [{"id": attack, "label": attack, "says": long, "sure": 0.9}],
            },
            "duplicates": {
                "rows": 9,
                "repeated": 1,
                "conflicting": 1,
                "held": 9,
                "shared": 2,
                "chance": 0.5,
                "telling": False,
                "share": 0.2,
            },
            "columns": [
                {"column": attack, "missing_before": 0.0, "missing": 0.5, "risen": True, "unseen": 0.4},
                {"column": long, "missing_before": 0.0, "missing": 0.5, "risen": True, "unseen": None},
            ],
            "columns_new": [attack],
            "columns_gone": [long],
            "outliers": {"rows": 9, "odd": 3, "columns": {attack: 3}},
        },
        "gates": [],
        "seconds": {},
    }


def hostile_fairness(attack: str, long: str) -> dict[str, Any]:
    """What ``fairness`` leaves: a group that is judged, and one that has no positives and no interval."""
    figure = {"figure": "selection_rate", "label": attack, "value": 0.5, "low": 0.4, "high": 0.6}
    odds = {"figure": "true_positive_rate", "label": attack, "value": None, "low": None, "high": None}
    figures = [
        {**figure, "rests_on": 200, "judged": True},
        {**odds, "rests_on": 0, "judged": False},
        {**figure, "label": long, "rests_on": 200, "judged": True},
    ]
    pair = {"figure": "selection_rate", "label": attack, "groups": [attack, long], "value": 0.3, "low": 0.2}
    gap = {"value": 0.3, "low": 0.2, "high": 0.4, "widest": pair, "surest": pair}
    return {
        "mode": "report",
        "rows": 400,
        "min_rows": 100,
        "columns": [
            {
                "column": attack,
                "columns": [attack],
                "edges": None,
                "binned": False,
                "groups": [
                    {
                        "group": attack,
                        "rows": 200,
                        "judged": True,
                        "challenger": figures,
                        "champion": figures,
                    },
                    {"group": long, "rows": 9, "judged": False, "challenger": figures, "champion": figures},
                ],
                "gaps": [
                    {
                        "column": attack,
                        "measure": "demographic_parity_difference",
                        "challenger": gap,
                        "champion": None,
                        "limit": 0.1,
                        "exceeds": True,
                    }
                ],
            },
            {
                "column": long,
                "columns": [long],
                "edges": [1.0],
                "binned": True,
                "groups": [
                    {"group": long, "rows": 9, "judged": False, "challenger": figures, "champion": figures}
                ],
                "gaps": [],
            },
        ],
    }


def hostile_robustness(attack: str, long: str) -> dict[str, Any]:
    """What ``robustness`` leaves."""
    loss = {"estimate": 0.1, "lower": 0.05, "upper": 0.15}
    return {
        "metric": "roc_auc",
        "rows": 200,
        "clean": {"champion": 0.9, "challenger": 0.89},
        "curves": [
            {
                "kind": "noise",
                "said": "noise",
                "judged": 0.1,
                "levels": [0.05, 0.1],
                "champion": [0.9, 0.8],
                "challenger": [0.9, None],
            }
        ],
        "columns": {
            "rows": 200,
            "skipped": 0,
            "missing": [{"column": attack, "fault": "missing", "champion": loss, "challenger": loss}],
            "units": [{"column": attack, "fault": "units", "champion": loss, "challenger": loss}],
        },
        "unit_errors": [
            {
                "column": attack,
                "values": 9,
                "of": 200,
                "factor": 1000.0,
                "usual": [1.0, 2.0],
                "example": 1500.0,
                "share": 0.045,
            }
        ],
        "label_noise": {"rows": 200, "levels": [], "scores": [], "not_measured": attack},
        "worst_slices": {
            "loss": "log_loss",
            "rows": 100,
            "not_measured": None,
            "slices": [
                {
                    "slice": f"{attack} is {long}",
                    "support": 40,
                    "loss": 0.9,
                    "elsewhere": 0.3,
                    "lower": 0.4,
                    "upper": 0.8,
                    "sure": True,
                    "champion": 0.5,
                }
            ],
        },
    }

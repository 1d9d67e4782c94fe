"""Two published maturity models as requirements that can be checked, in our own words and each with its source."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

GOOGLE = "https://cloud.google.com/architecture/mlops-continuous-delivery-and-automation-pipelines-in-machine-learning"
MICROSOFT = "https://learn.microsoft.com/azure/architecture/ai-ml/guide/mlops-maturity-model"


@dataclass(frozen=True, slots=True, kw_only=True)
class Level:
    """``asks`` are requirements, each with the name of its check (:data:`service.maturity.checks.CHECKS`)."""

    number: int
    name: str
    asks: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    name: str
    source: str
    levels: tuple[Level, ...]


_GOOGLE = Model(
    name="Google",
    source=GOOGLE,
    levels=(
        Level(
            number=0,
            name="manual process",
            asks=(
                ("A trained model is deployed as a prediction service", "served"),
                ("Trained models are kept in a registry", "model_registry"),
            ),
        ),
        Level(
            number=1,
            name="pipeline automation",
            asks=(
                ("The steps of an experiment run as one pipeline, without hands in between", "pipeline"),
                ("Models are trained continuously in production, on fresh data", "new_data"),
                ("Triggers start the pipeline: schedule, new data, decay, drift", "started_by_itself"),
                ("Data are validated before training", "data_validation"),
                ("Models are validated against the current one before promotion", "model_validation"),
                ("Metadata of each execution are kept: data, parameters, lineage", "metadata"),
                (
                    "The trained model is delivered to the prediction service by the pipeline",
                    "automatic_release",
                ),
            ),
        ),
        Level(
            number=2,
            name="CI/CD pipeline automation",
            asks=(
                ("New algorithms and settings are tried and tracked", "experiments"),
                (
                    "The live model's quality is monitored, and starts the pipeline or a new experiment",
                    "monitoring",
                ),
                ("The truth about live answers comes back", "feedback"),
                ("Releases are gradual and can be taken back", "safe_release"),
                ("The pipeline's own source is versioned, built and tested automatically", "unseen"),
                ("The pipeline is deployed automatically to the target environment", "unseen"),
            ),
        ),
    ),
)
_MICROSOFT = Model(
    name="Microsoft",
    source=MICROSOFT,
    levels=(
        Level(number=0, name="no MLOps", asks=()),
        Level(
            number=1,
            name="DevOps but no MLOps",
            asks=(
                ("The model is released as a service that applications call", "served"),
                ("The data pipeline gathers data automatically", "data_versions"),
                ("Application code has automated builds and tests", "unseen"),
            ),
        ),
        Level(
            number=2,
            name="automated training",
            asks=(
                ("Training is automated and reproducible", "pipeline"),
                ("Experiments are tracked centrally", "experiments"),
                ("Models are managed and versioned centrally", "model_registry"),
                ("Data, parameters and environment of each model can be traced", "metadata"),
            ),
        ),
        Level(
            number=3,
            name="automated model deployment",
            asks=(
                ("A model is released automatically, after automated tests", "automatic_release"),
                ("Each challenger is compared with the model in production", "model_validation"),
                ("Input data are held to a contract", "data_validation"),
                ("Who may release is governed", "governed"),
                ("Releases are traced from deployment back to data", "metadata"),
            ),
        ),
        Level(
            number=4,
            name="full MLOps, automated operations",
            asks=(
                ("Retraining is started by metrics from production", "started_by_itself"),
                ("Production is monitored: quality, drift, and alerts to people", "monitoring"),
                ("Somebody is told of trouble", "alerts"),
                ("The truth about live answers comes back into training", "feedback"),
                (
                    "New models run beside the old one before they are trusted, and can be taken back",
                    "safe_release",
                ),
                ("Models are trained anew on newer data", "new_data"),
            ),
        ),
    ),
)
MODELS: Mapping[str, Model] = {"google": _GOOGLE, "microsoft": _MICROSOFT}

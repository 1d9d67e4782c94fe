"""Settings of one process, read from ``INCUMBENT_*`` environment variables."""

from __future__ import annotations

import os
import socket
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, SecretStr, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from service.host_guard import Guard

MIB = 1024 * 1024


def _node() -> str:
    return f"{socket.gethostname()}-{os.getpid()}"


class Settings(BaseSettings):
    """Everything that can be set from outside; each has a default that suits one laptop."""

    model_config = SettingsConfigDict(env_prefix="INCUMBENT_", frozen=True)

    home: Path = Field(default=Path(".incumbent"), description="the folder that holds everything by default")
    database_url: str | None = Field(default=None, description="SQLAlchemy URL; SQLite in home when unset")
    host: str = "127.0.0.1"
    port: int = Field(default=8000, ge=0, le=65535)
    node: str = Field(default_factory=_node, description="this process's name in leases and deployments")

    require_keys: bool = Field(default=False, description="ask for API keys on loopback too")

    max_upload_bytes: int = Field(default=512 * MIB, ge=1, description="largest body of an upload")
    max_expanded_bytes: int = Field(default=1024 * MIB, ge=1, description="largest upload once decompressed")
    max_rows: int = Field(default=5_000_000, ge=1, description="most rows in one upload")
    max_columns: int = Field(default=2_000, ge=1, description="most columns in one upload")
    max_predict_bytes: int = Field(default=32 * MIB, ge=1, description="largest body of a prediction call")
    max_predict_rows: int = Field(default=10_000, ge=1, description="most rows in one prediction call")

    tick_seconds: float = Field(default=2.0, gt=0, description="how often triggers are looked at")
    poll_seconds: float = Field(default=0.5, gt=0, description="how often serving looks for a new champion")
    flush_seconds: float = Field(
        default=1.0, gt=0, description="how often logged predictions move to the tables"
    )
    lease_seconds: float = Field(
        default=30.0, gt=0, description="a run without a sign of life for this long is lost"
    )
    maintenance_seconds: float = Field(default=3600.0, gt=0, description="how often tables are compacted")
    max_runs: int = Field(
        default=1, ge=0, description="searches at once in this process; 0 leaves them to others"
    )
    max_replays: int = Field(
        default=1, ge=0, le=1, description="policy replays at once in this process; 0 leaves them to others"
    )
    child_memory_bytes: int = Field(
        default=4096 * MIB, ge=256 * MIB, description="memory of one search child"
    )
    queue_rows: int = Field(
        default=50_000, ge=1, description="rows waiting for the model before calls get 503"
    )
    predict_deadline_seconds: float = Field(
        default=10.0, gt=0, description="a prediction call that is not answered by then gets 504"
    )
    max_journal_bytes: int = Field(
        default=1024 * MIB,
        ge=1,
        description="answers logged but not yet in the tables; beyond this, prediction calls get 503",
    )
    gzip_answer_bytes: int = Field(
        default=256 * 1024,
        ge=0,
        description="answers from this size on are gzipped for callers that accept it",
    )
    shadow_queue_rows: int = Field(
        default=10_000,
        ge=1,
        description="answered rows waiting for the model in the shadow before more are dropped",
    )
    max_shadows: int = Field(default=8, ge=0, description="models loaded in shadow in this process at most")
    scheduler: bool = Field(default=True, description="start triggers and runs in this process")

    public_url: str | None = Field(
        default=None,
        pattern=r"^https?://[^\s]+$",
        description="where people find the dashboard; alerts link to it",
    )
    alert_hosts: Annotated[tuple[str, ...], NoDecode] = Field(
        default=(),
        description="host names, addresses and networks that alerts may go to though they are not public",
    )
    alert_hosts_only: bool = Field(default=False, description="let alerts go to alert_hosts and nowhere else")
    alert_retry_seconds: float = Field(
        default=5.0, gt=0, description="pause after an alert's first failure; doubled with each"
    )
    alert_give_up_seconds: float = Field(
        default=86_400.0, gt=0, description="an alert that could not be told for this long is given up"
    )
    smtp_host: str | None = Field(default=None, description="mail server for alerts by e-mail")
    smtp_port: int = Field(default=587, ge=1, le=65535, description="port of the mail server")
    smtp_security: Literal["starttls", "tls", "none"] = Field(
        default="starttls", description="how the mail server is spoken to; tls mostly goes with port 465"
    )
    smtp_user: str | None = Field(
        default=None, description="who logs in to the mail server; nobody when unset"
    )
    smtp_password: SecretStr | None = Field(default=None, description="password of smtp_user; stored nowhere")
    smtp_from: str | None = Field(default=None, description="sender of alerts by e-mail")
    energy: bool = Field(default=True, description="meter what searches and replays use")
    country: str | None = Field(
        default=None,
        pattern=r"^[A-Z]{3}$",
        description="three-letter code (ISO 3166) of where this runs, for the CO2 of its grid; the world's when unset",
    )
    grid_g_per_kwh: float | None = Field(
        default=None,
        ge=0,
        le=5_000,
        description="grams of CO2 equivalent a kilowatt-hour, where you know better than the country's average",
    )
    watts_per_core: float | None = Field(
        default=None,
        gt=0,
        le=1_000,
        description="power of a busy core, for estimates; what is known of the processor when unset, 3.5 for serving",
    )
    openlineage_url: str | None = Field(
        default=None,
        pattern=r"^(https?|file)://[^\s]+$",
        description="where OpenLineage events of runs go: an http(s) address, or a file (file:///…), one a line",
    )
    openlineage_key: SecretStr | None = Field(
        default=None, description="sent to openlineage_url as bearer token"
    )
    mlflow_tracking_url: str | None = Field(
        default=None,
        pattern=r"^https?://[^\s]+$",
        description="an MLflow tracking server that is told of runs and their metrics",
    )
    mlflow_tracking_token: SecretStr | None = Field(
        default=None, description="sent to mlflow_tracking_url as bearer token"
    )
    min_free_bytes: int = Field(
        default=1024 * MIB,
        ge=0,
        description="free disk space of the home folder below which storage.low is told",
    )

    @field_validator("alert_hosts", mode="before")
    @classmethod
    def _listed(cls, value: Any) -> Any:
        """A list, or its entries with commas between them."""
        if not isinstance(value, str):
            return value
        return tuple(entry.strip() for entry in value.split(",") if entry.strip())

    @field_validator("alert_hosts")
    @classmethod
    def _are_hosts(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        Guard.of(value)
        return value

    @property
    def on_loopback(self) -> bool:
        return self.host in ("127.0.0.1", "localhost", "::1")

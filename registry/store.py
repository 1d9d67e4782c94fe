"""The registry's one door. It opens a home folder and a database, and hands out what remembers what."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from sqlalchemy.engine import URL

from registry.alert_channels import AlertChannels
from registry.alert_deliveries import AlertDeliveries
from registry.approvals import Approvals
from registry.blobs import BlobStore
from registry.database import Database
from registry.datasets import Datasets
from registry.drift import DriftReports
from registry.energy import Energy
from registry.errors import Damaged
from registry.forecasts import Forecasts
from registry.keys import Keys
from registry.label_ledger import LabelLedger
from registry.labeling import Labeling
from registry.leases import DueTimes, Leases
from registry.ledger import Ledger
from registry.loss_monitors import LossMonitors
from registry.migrations import upgrade
from registry.models import Models
from registry.outliers import Outliers
from registry.probations import Probations
from registry.projects import Projects
from registry.pulse import Pulse
from registry.quality import QualityReports
from registry.replays import Replays
from registry.runs import Runs
from registry.standing import Standing
from registry.traffic import Traffic

_KEY_BYTES = 32


class Registry:
    """Everything that is remembered. Thread-safe; several processes may open the same home.

    ``home`` and ``database_url`` are what it was opened with, so that a child process can open it too.
    """

    def __init__(self, home: Path, database_url: str, db: Database, signing_key: bytes) -> None:
        self.home = home
        self.database_url = database_url
        self.db = db
        self.signing_key = signing_key
        self.projects = Projects(db)
        self.pulse = Pulse(db)
        self.runs = Runs(db)
        self.models = Models(db)
        self.ledger = Ledger(db)
        self.drift = DriftReports(db)
        self.quality = QualityReports(db)
        self.loss_monitors = LossMonitors(db)
        self.outliers = Outliers(db)
        self.probations = Probations(db)
        self.approvals = Approvals(db)
        self.energy = Energy(db)
        self.forecasts = Forecasts(db)
        self.replays = Replays(db)
        self.traffic = Traffic(db)
        self.standing = Standing(db)
        self.keys = Keys(db)
        self.alert_channels = AlertChannels(db)
        self.alert_deliveries = AlertDeliveries(db)
        self.leases = Leases(db)
        self.due = DueTimes(db)
        self.datasets = Datasets(db, home / "tables", home / "staging")
        self.labels = LabelLedger(db, self.datasets)
        self.labeling = Labeling(db)
        self.blobs = BlobStore(home / "blobs", signing_key, db)

    @classmethod
    def open(
        cls, home: Path, *, database_url: str | None = None, signing_key: bytes | None = None
    ) -> Registry:
        """Open the registry in ``home``, making folders, signing key and tables that aren't there yet and
        bringing older tables up to date.

        ``database_url`` defaults to SQLite in ``home/registry.db``, ``signing_key`` to the one kept in
        ``home/keys/signing.key``. Raises Damaged (an unusable key file), Unavailable (no database there),
        RegistryError (a database of a newer Incumbent), ValueError (a URL of another kind).
        """
        home = home.resolve()
        for name in ("tables", "blobs", "staging"):
            (home / name).mkdir(parents=True, exist_ok=True)
        key = signing_key if signing_key is not None else _signing_key(home / "keys" / "signing.key")
        url = database_url or _sqlite_url(home / "registry.db")
        db = Database.open(url)
        try:
            upgrade(db)
            return cls(home, url, db, key)
        except BaseException:
            db.close()
            raise

    def close(self) -> None:
        """Close the database's connections; safe to call twice."""
        self.db.close()


def _sqlite_url(path: Path) -> str:
    return URL.create("sqlite", database=str(path)).render_as_string(hide_password=False)


def _signing_key(path: Path) -> bytes:
    """The key kept at ``path``; made, once, when there is none. Only its owner can read it."""
    if not path.exists():
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        _make_key(path)
    try:
        key = bytes.fromhex(path.read_text(encoding="ascii"))
    except ValueError as error:
        raise Damaged(f"{path} is not a signing key") from error
    if len(key) != _KEY_BYTES:
        raise Damaged(f"{path} is not a signing key: it holds {len(key)} bytes, not {_KEY_BYTES}")
    return key


def _make_key(path: Path) -> None:
    # Written aside and linked: whoever finds the name finds a whole key, and of two makers one wins.
    draft = path.with_name(f"{path.name}.{secrets.token_hex(8)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(secrets.token_bytes(_KEY_BYTES).hex())
            file.flush()
            os.fsync(file.fileno())
        try:
            os.link(draft, path)
        except FileExistsError:
            return
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    finally:
        draft.unlink()

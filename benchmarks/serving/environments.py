"""A virtual environment for each peer, below the work folder. Made once; never in the way of our own."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

LIGHTGBM = "lightgbm==4.7.0"  # the trees everywhere: the same build, the same speed


@dataclass(frozen=True, slots=True, kw_only=True)
class Environment:
    """What a peer needs. The rest (scikit-learn, pandas, its web server) is what its own demands resolve to."""

    name: str
    packages: tuple[str, ...]

    def python(self, work: Path) -> Path:
        return work / "environments" / self.name / "bin" / "python"

    def installed(self, work: Path) -> bool:
        """Whether exactly these packages were installed to the end."""
        try:
            return self._mark(work).read_text() == "\n".join(self.packages)
        except FileNotFoundError:
            return False

    def install(self, work: Path) -> None:
        """Makes the environment where it is not there yet. Raises CalledProcessError when pip can't."""
        if self.installed(work):
            return
        folder = work / "environments" / self.name
        print(
            f"Installing {' '.join(self.packages)} into {folder}: minutes, once.", file=sys.stderr, flush=True
        )
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(folder)], check=True)
        pip = [str(self.python(work)), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        subprocess.run(["nice", "-n", "10", *pip, *self.packages], check=True)
        self._mark(work).write_text("\n".join(self.packages))

    def versions(self, work: Path) -> str:
        """What was installed, for the report: ``bentoml 1.4.40, scikit-learn 1.9.1, …``"""
        code = (
            "from importlib.metadata import version as v\n"
            f"print(', '.join(n + ' ' + v(n) for n in ({self.name!r}, 'scikit-learn', 'pandas', 'lightgbm')))"
        )
        found = subprocess.run(
            [str(self.python(work)), "-c", code], capture_output=True, text=True, check=True
        )
        return found.stdout.strip()

    def _mark(self, work: Path) -> Path:
        return work / "environments" / self.name / "installed"


# Each pinned to the newest that was there when the comparison was last gone through by hand, so that a table can be
# made again: a newer one may batch, encode or start workers in another way, and is to be looked at first.
ENVIRONMENTS = {
    one.name: one
    for one in (
        Environment(name="mlflow", packages=("mlflow==3.17.2", LIGHTGBM)),
        # scikit-learn and pandas are no demands of these two; taken as ours, so that all run the same pipeline.
        Environment(
            name="bentoml", packages=("bentoml==1.4.40", "scikit-learn==1.9.1", "pandas==3.0.6", LIGHTGBM)
        ),
        Environment(
            name="mlserver", packages=("mlserver==1.7.1", "scikit-learn==1.9.1", "pandas==3.0.6", LIGHTGBM)
        ),
    )
}

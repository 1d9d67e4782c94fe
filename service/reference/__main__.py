"""``python -m service.reference [DOCS]``: write every reference page in the folder of the documentation."""

from __future__ import annotations

import sys
from pathlib import Path

from service.reference.pages import pages


def main(docs: Path) -> None:
    for name, text in pages(docs).items():
        (docs / name).parent.mkdir(parents=True, exist_ok=True)
        (docs / name).write_text(text, encoding="utf-8")
        sys.stdout.write(f"{docs / name}\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path("docs"))

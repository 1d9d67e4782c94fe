"""The documentation's site builds without a warning, and what it makes asks nothing of other servers."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
LOADED = re.compile(
    r"<(?:script|img|iframe|source|video|audio|embed)\b[^>]*?\bsrc=[\"']?([^\"'\s>]+)"
    r"|<link\b(?![^>]*rel=[\"']?(?:canonical|next|prev))[^>]*?\bhref=[\"']?([^\"'\s>]+)"
)
"""What a page loads by itself; a link that a reader may follow is none."""
IN_STYLE = re.compile(r"(?:url\(|@import\s)[\"']?(https?:)?//")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site as ``mkdocs build --strict`` makes it: no page without a place, no link or anchor to nothing."""
    folder = tmp_path_factory.mktemp("site")
    called = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(folder)]
    done = subprocess.run(called, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, (
        f"{done.stdout}{done.stderr}\nA new page needs a place in the navigation of mkdocs.yml."
    )
    return folder


def test_every_page_of_the_docs_is_in_the_site(site: Path) -> None:
    pages = {path.relative_to(ROOT / "docs").with_suffix(".html") for path in (ROOT / "docs").rglob("*.md")}
    pages = {path.with_name("index.html") if path.name == "README.html" else path for path in pages}
    assert [str(page) for page in sorted(pages) if not (site / page).exists()] == []


def test_no_page_loads_anything_from_another_server(site: Path) -> None:
    loaded = {
        (str(page.relative_to(site)), found[1] or found[2])
        for page in site.rglob("*.html")
        for found in LOADED.finditer(page.read_text(encoding="utf-8"))
    }
    assert len(loaded) > 100
    assert {one for one in loaded if re.match(r"(?:\w+:)?//", one[1])} == set()
    styles = [path.read_text(encoding="utf-8") for path in site.rglob("*.css")]
    assert styles
    assert [style[:80] for style in styles if IN_STYLE.search(style)] == []

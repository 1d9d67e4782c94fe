"""A page of the dashboard under watch: what it complains about, what it runs, whom it asks, and what axe finds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Page

AXE = (Path(__file__).parent / "axe" / "axe.min.js").read_text()


class Watched:
    """A page, and whatever it complained about, ran or asked of others."""

    def __init__(self, browser: Browser, url: str, **context: Any) -> None:
        self.context = browser.new_context(base_url=url, **context)
        self.page: Page = self.context.new_page()
        self.faults: list[str] = []
        self.page.on("console", lambda said: self.faults.append(said.text) if said.type == "error" else None)
        self.page.on("pageerror", lambda error: self.faults.append(str(error)))
        self.page.on("dialog", lambda dialog: self.faults.append(f"a dialog: {dialog.message}"))
        self.page.on(
            "request",
            lambda asked: (
                self.faults.append(f"outside: {asked.url}") if not asked.url.startswith(url) else None
            ),
        )

    def open(self, path: str) -> Page:
        self.page.goto(path, wait_until="load")
        self.page.wait_for_timeout(400)
        return self.page

    def serious(self) -> list[tuple[str, list[str]]]:
        """What axe-core finds serious or critical on the page as it stands."""
        self.page.evaluate(AXE)
        found = self.page.evaluate("axe.run().then(result => result.violations)")
        return [
            (one["id"], [node["html"][:160] for node in one["nodes"][:3]])
            for one in found
            if one["impact"] in ("serious", "critical")
        ]

    def close(self) -> None:
        self.context.close()

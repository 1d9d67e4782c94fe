"""The API's own page at ``/docs``. Its files ship with the package (swagger-ui-dist 5.35.0, Apache-2.0): it works
without a network, and nothing is asked of anyone else."""

from __future__ import annotations

from fastapi import APIRouter
from fastapi.openapi.docs import get_swagger_ui_html
from fastapi.responses import HTMLResponse

_AT = "/static/swagger-ui"
_POLICY = (
    "default-src 'none'; script-src 'self' 'unsafe-inline'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    "connect-src 'self'; base-uri 'none'; frame-ancestors 'none'"
)

router = APIRouter()


@router.get("/docs", include_in_schema=False)
def docs() -> HTMLResponse:
    page = get_swagger_ui_html(
        openapi_url="/openapi.json",
        title="Incumbent: the API",
        swagger_js_url=f"{_AT}/swagger-ui-bundle.js",
        swagger_css_url=f"{_AT}/swagger-ui.css",
        swagger_favicon_url=f"{_AT}/favicon-32x32.png",
    )
    page.headers["Content-Security-Policy"] = _POLICY
    return page

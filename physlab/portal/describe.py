"""The description of the API."""

from __future__ import annotations

from typing import Any

from physlab.collab.people import People
from physlab.lab import Lab
from physlab.portal.app import make_app
from physlab.service.sharing.commons import commons_of


def describe(lab: Lab) -> dict[str, Any]:
    """Return the OpenAPI description of what a lab serves."""
    with commons_of(lab) as commons:
        app = make_app(lab.settings, commons, People(commons.database, commons.trail))
        app.state.desk.notes.close()
        return app.openapi()

"""Observations in MAST, the Mikulski Archive for Space Telescopes, through its portal interface.

Requests are the JSON that `https://mast.stsci.edu/api/v0/` documents, posted as the form field `request`. astroquery
speaks to the same address; it is not used, because it brings its own sessions, caches and progress prints.
"""

from __future__ import annotations

import json
import math
from datetime import UTC, datetime, timedelta
from typing import Any

from physlab.errors import ComputationError
from physlab.model import Web
from physlab.tools.archives.params import NasaParams, Sky
from physlab.tools.archives.web import Client
from physlab.tools.archives.webanswer import Answer, Service, malformed, not_yet, read_json

MJD_ZERO = datetime(1858, 11, 17, tzinfo=UTC)
LAST_MJD = 100_000.0  # in the year 2132
PATIENCE = 10


def service(web: Web) -> Service:
    """Return MAST as these settings have it."""
    return Service("MAST", "mast_url", web.mast_url, web.nasa_delay_s)


def search(params: NasaParams, client: Client) -> tuple[list[dict[str, Any]], int]:
    """Search the observations (CAOM) of all missions.

    Args:
        params: Cone, mission, instrument, target, dates.
        client: Asks.

    Returns:
        Observations, and how many match in all.

    Raises:
        ComputationError: The answer is no table.
    """
    mast = service(client.web)
    text = json.dumps(request(params), sort_keys=True)
    rows, total = client.ask(
        mast,
        "/api/v0/invoke",
        form=(("request", text),),
        accept="application/json",
        read=lambda answer: read_table(answer, mast),
        patience=PATIENCE,
    )
    return [observation(row, params.coordinates) for row in rows], total


def request(params: NasaParams) -> dict[str, Any]:
    """Return the request: a cone alone, or filters with or without a cone."""
    filters, cone = list(_filters(params)), params.coordinates
    asked: dict[str, Any] = {"columns": "*", "filters": filters}
    service = "Mast.Caom.Filtered"
    if cone is not None and filters:
        service, asked["position"] = f"{service}.Position", f"{cone.ra}, {cone.dec}, {cone.radius / 60}"
    elif cone is not None:
        service, asked = "Mast.Caom.Cone", {"ra": cone.ra, "dec": cone.dec, "radius": cone.radius / 60}
    return {"service": service, "params": asked, "format": "json", "pagesize": params.max_results, "page": 1}


def _filters(params: NasaParams) -> Any:
    texts = {"obs_collection": params.mission, "instrument_name": params.instrument, "target_name": params.keyword}
    for name, text in texts.items():
        if text is not None and ("*" in text or "%" in text):
            yield {"paramName": name, "values": [], "freeText": text.replace("*", "%")}
        elif text is not None:
            yield {"paramName": name, "values": [text]}
    span = params.date_range
    if span is not None and span.last is not None:  # what overlaps begins before the end …
        yield {"paramName": "t_min", "values": [{"min": 0.0, "max": to_mjd(span.last)}]}
    if span is not None and span.first is not None:  # … and ends after the beginning
        yield {"paramName": "t_max", "values": [{"min": to_mjd(span.first), "max": LAST_MJD}]}


def read_table(answer: Answer, mast: Service) -> tuple[list[dict[str, Any]], int]:
    """Read a table.

    Raises:
        ComputationError: It is none, or MAST says that the request failed.
        ResourceError: MAST is still looking.
    """
    found = read_json(answer)
    status = found.get("status") if isinstance(found, dict) else None
    if status == "EXECUTING":
        raise not_yet(mast, "it is still looking")
    if status == "ERROR":
        raise ComputationError(f"MAST says: {found.get('msg') or 'error'}.", hint="Check mission and instrument.")
    if status != "COMPLETE" or not isinstance(found.get("data"), list):
        raise malformed("table", answer, f"its status is {status!r}")
    paging = found.get("paging") or {}
    total = paging.get("rowsFiltered", paging.get("rowsTotal", len(found["data"])))
    return found["data"], int(total)


def observation(row: dict[str, Any], cone: Sky | None) -> dict[str, Any]:
    """Return what matters of a row, with units in the names.

    CAOM gives positions in degrees (ICRS), times as MJD, exposures in seconds, wavelengths in nm.
    """
    ra, dec = _number(row.get("s_ra")), _number(row.get("s_dec"))
    apart = None
    if cone is not None and ra is not None and dec is not None:
        apart = separation_arcmin(cone.ra, cone.dec, ra, dec)
    return {
        "id": str(row.get("obs_id", "")),
        "title": row.get("obs_title"),
        "mission": row.get("obs_collection"),
        "instrument": row.get("instrument_name"),
        "target": row.get("target_name"),
        "ra_deg": ra,
        "dec_deg": dec,
        "separation_arcmin": apart,
        "start": from_mjd(_number(row.get("t_min"))),
        "end": from_mjd(_number(row.get("t_max"))),
        "exposure_s": _number(row.get("t_exptime")),
        "filters": row.get("filters"),
        "wavelength_min_nm": _number(row.get("em_min")),
        "wavelength_max_nm": _number(row.get("em_max")),
        "product_type": row.get("dataproduct_type"),
        "calibration_level": row.get("calib_level"),
        "proposal": row.get("proposal_id"),
        "released": from_mjd(_number(row.get("t_obs_release"))),
        "preview_url": row.get("jpegURL"),
        "data_url": row.get("dataURL"),
        "obsid": str(row.get("obsid", "")),
    }


def _number(value: Any) -> float | None:
    try:
        number = float(value)
    except (TypeError, ValueError):
        return None
    return number if math.isfinite(number) else None


def separation_arcmin(ra: float, dec: float, other_ra: float, other_dec: float) -> float:
    """Return the angle between two directions [arcmin], good at every distance (haversine formula)."""
    a, b = math.radians(dec), math.radians(other_dec)
    across = math.radians(other_ra - ra)
    half = math.sin((b - a) / 2) ** 2 + math.cos(a) * math.cos(b) * math.sin(across / 2) ** 2
    return math.degrees(2 * math.asin(min(1.0, math.sqrt(half)))) * 60


def to_mjd(moment: datetime) -> float:
    """Return the modified Julian date of a moment; leap seconds are left out, as in UTC days."""
    return (moment - MJD_ZERO) / timedelta(days=1)


def from_mjd(date: float | None) -> str | None:
    """Return a modified Julian date as ISO 8601 in UTC."""
    if date is None or not 0 <= date < 2_000_000:
        return None
    return (MJD_ZERO + timedelta(days=date)).isoformat(timespec="seconds").replace("+00:00", "Z")

"""NIST: atomic lines and levels, constants, the Public Data Repository; and what NIST does not offer to programs."""

from __future__ import annotations

import json
from typing import Any
from xml.sax.saxutils import escape, quoteattr

import numpy as np

from physlab.errors import ValidationError
from physlab.model import Web
from physlab.tools import constants
from physlab.tools.archives import asd
from physlab.tools.archives.atoms import spell_spectrum
from physlab.tools.archives.params import NistParams
from physlab.tools.archives.web import Client
from physlab.tools.archives.webanswer import Answer, Service, malformed, read_json
from physlab.tools.context import Context
from physlab.tools.figures import series_text
from physlab.tools.types import File

Row = dict[str, Any]
ASD_SOURCE = (
    "NIST Atomic Spectra Database (Standard Reference Database 78), A. Kramida, Yu. Ralchenko, J. Reader, NIST ASD "
    "Team, https://physics.nist.gov/asd, doi:10.18434/T4W30F"
)
NOT_OFFERED = {
    "molecular": "The Chemistry WebBook (https://webbook.nist.gov) is for people and has no interface for programs.",
    "material": "NIST's tables of materials have no common interface for programs.",
}


def asd_service(web: Web) -> Service:
    """Return the Atomic Spectra Database as these settings have it."""
    return Service("NIST ASD", "nist_asd_url", web.nist_asd_url, web.nist_delay_s)


def look_up(params: NistParams, context: Context) -> dict[str, Any]:
    """Answer a question to NIST.

    Args:
        params: Kind of data, atom, property, wavelengths, form of the file.
        context: Settings, limits, the call's folder.

    Returns:
        Rows, their source, and the same rows as a file.

    Raises:
        ValidationError: NIST does not offer this, or does not understand the atom.
        ResourceError: NIST cannot be reached and has not answered this before.
        ComputationError: The answer is not what it should be.
    """
    if params.data_type in NOT_OFFERED:
        raise ValidationError(
            f"NIST offers no {params.data_type} data to programs. {NOT_OFFERED[params.data_type]}",
            hint="Offered here: atomic (lines, levels), constants (CODATA), reference (search of data.nist.gov).",
            details={"data_type": params.data_type, "offered": ["atomic", "constants", "reference"]},
        )
    for name in ("temperature", "pressure"):
        if getattr(params, name) is not None:
            context.warn(f"{name} is not used: {params.data_type} data do not depend on it.")
    client = Client(context, params.max_age)
    answer = ASKED[params.data_type](params, client)
    client.finish()
    fields = {"data_type": params.data_type, "format": params.format, "returned": len(answer["data"]), **answer}
    name = f"nist_{params.data_type}.{params.format}"
    text = WRITERS[params.format](fields["data"], fields["source"])
    caption = f"{fields['returned']} rows of {params.data_type} data. {fields['source']}."
    file: File = context.save(text, name, role="document", caption=caption, field="data_path")
    return {**fields, "data_path": file}


def atomic(params: NistParams, client: Client) -> dict[str, Any]:
    """Ask the Atomic Spectra Database for lines or levels."""
    service = asd_service(client.web)
    spectrum = spell_spectrum(params.element or "", neutral=params.property == "levels")
    if params.property == "levels":
        levels, limit = client.ask(service, asd.LEVELS_PATH, asd.levels_query(spectrum), read=asd.read_levels)
        return {
            "data": levels,
            "source": ASD_SOURCE,
            "spectrum": spectrum,
            "property": "levels",
            "energy_eV": _column(levels, "energy_eV"),
            "ionization_energy_eV": limit,
        }
    query = asd.lines_query(spectrum, params.wavelength_min, params.wavelength_max)
    lines = client.ask(service, asd.LINES_PATH, query, read=lambda answer: asd.read_lines(answer, spectrum))
    client.context.enforce("values", float(len(lines)), "the number of lines")
    return {
        "data": lines,
        "source": ASD_SOURCE,
        "spectrum": spectrum,
        "property": "lines",
        "wavelength_nm": _column(lines, "wavelength_nm"),
        "intensity": _column(lines, "intensity"),
    }


def _column(rows: list[Row], name: str) -> Any:
    return np.array([np.nan if row[name] is None else row[name] for row in rows], dtype=float)


def codata(params: NistParams, client: Client) -> dict[str, Any]:
    """Give the constants that physlab carries; nobody is asked."""
    wanted = params.property or params.element
    names = [wanted] if wanted else list(constants.CONSTANTS)
    rows = []
    for name in names:
        symbol, found = constants.find(name)
        relative = found.uncertainty / abs(found.value)
        exact = found.uncertainty == 0
        rows.append({"name": symbol, **found._asdict(), "relative_uncertainty": relative, "exact": exact})
    return {"data": rows, "source": f"{constants.CODATA}, https://physics.nist.gov/constants; each row names its own"}


def reference(params: NistParams, client: Client) -> dict[str, Any]:
    """Search the records of the Public Data Repository, https://data.nist.gov."""
    service = Service("NIST Public Data Repository", "nist_data_url", client.web.nist_data_url, client.web.nist_delay_s)
    words = " ".join(filter(None, (params.property, params.element)))
    fields = (("searchphrase", words), ("page", "1"), ("size", str(params.max_results)))
    rows, total = client.ask(service, "/rmm/records", fields, accept="application/json", read=_read_records)
    return {
        "data": rows[: params.max_results],
        "total_found": total,
        "source": "NIST Public Data Repository, https://data.nist.gov",
    }


def _read_records(answer: Answer) -> tuple[list[Row], int]:
    found = read_json(answer)
    if not isinstance(found, dict) or not isinstance(found.get("ResultData"), list):
        raise malformed("list of records", answer, "it has no ResultData")
    rows = []
    for item in found["ResultData"]:
        about = item.get("description") or ""
        rows.append(
            {
                "id": str(item.get("ediid") or item.get("@id") or ""),
                "title": str(item.get("title", "")),
                "description": " ".join(about) if isinstance(about, list) else str(about),
                "doi": item.get("doi"),
                "landing_page": item.get("landingPage"),
                "keywords": item.get("keyword") or [],
                "modified": item.get("modified"),
            }
        )
    total = found.get("ResultCount")
    return rows, total if isinstance(total, int) else len(rows)


def _as_json(rows: list[Row], source: str) -> str:
    return json.dumps({"source": source, "data": rows}, indent=1, ensure_ascii=False) + "\n"


def _as_csv(rows: list[Row], source: str) -> str:
    return series_text({name: [_flat(row[name]) for row in rows] for name in (rows[0] if rows else {})})  # type: ignore[misc]


def _as_xml(rows: list[Row], source: str) -> str:
    body = "".join(
        "  <row>\n"
        + "".join(f"    <{name}>{escape(_flat(value))}</{name}>\n" for name, value in row.items() if value is not None)
        + "  </row>\n"
        for row in rows
    )
    return f'<?xml version="1.0" encoding="UTF-8"?>\n<data source={quoteattr(source)}>\n{body}</data>\n'


def _flat(value: Any) -> str:
    if value is None:
        return ""
    text = (
        "; ".join(map(str, value))
        if isinstance(value, list)
        else repr(value)
        if isinstance(value, float)
        else str(value)
    )
    return "".join(sign for sign in text if sign.isprintable() or sign == " ")


ASKED = {"atomic": atomic, "constants": codata, "reference": reference}
WRITERS = {"json": _as_json, "csv": _as_csv, "xml": _as_xml}

"""Lines and levels of the NIST Atomic Spectra Database, read from its tab-delimited output.

A. Kramida, Yu. Ralchenko, J. Reader, NIST ASD Team, https://physics.nist.gov/asd, doi:10.18434/T4W30F. The first line
of the output names the columns, with their units; every cell may be quoted, and numbers carry signs that say how they
were found: `[ ]` interpolated or calculated, `( )` theoretical, `?` doubtful, `*`, `bl`, `d` and others on intensities.
"""

from __future__ import annotations

import csv
import html
import io
import re
from typing import Any

from physlab.errors import ValidationError
from physlab.tools.archives.atoms import roman
from physlab.tools.archives.webanswer import Answer, malformed, read_text

NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?")
NOTHING = re.compile(r"no (?:lines|levels|data) (?:are|is)? ?available|are not available", re.IGNORECASE)
LINES_PATH, LEVELS_PATH = "/cgi-bin/ASD/lines1.pl", "/cgi-bin/ASD/energy1.pl"

Row = dict[str, Any]


def lines_query(spectrum: str, low_nm: float | None, high_nm: float | None) -> tuple[tuple[str, str], ...]:
    """Return the fields that ask for lines, all wavelengths in vacuum and nm, energies in eV, tab-delimited."""
    edges = (("low_w", low_nm), ("upp_w", high_nm))
    return (
        ("spectra", spectrum),
        *((name, f"{edge:.10g}" if edge is not None else "") for name, edge in edges),
        *(("limits_type", "0"), ("unit", "1"), ("de", "0"), ("format", "3"), ("line_out", "0"), ("remove_js", "on")),
        *(("no_spaces", "on"), ("en_unit", "1"), ("output", "0"), ("bibrefs", "1"), ("page_size", "15")),
        *(("show_obs_wl", "1"), ("show_calc_wl", "1"), ("unc_out", "1"), ("show_wn", "1"), ("order_out", "0")),
        *(("show_av", "3"), ("A_out", "0"), ("f_out", "on"), ("loggf_out", "on"), ("intens_out", "on")),
        *(("allowed_out", "1"), ("forbid_out", "1"), ("conf_out", "on"), ("term_out", "on"), ("enrg_out", "on")),
        *(("J_out", "on"), ("g_out", "on"), ("submit", "Retrieve Data")),
    )


def levels_query(spectrum: str) -> tuple[tuple[str, str], ...]:
    """Return the fields that ask for levels in eV, tab-delimited."""
    return (
        ("spectrum", spectrum),
        *(("de", "0"), ("units", "1"), ("format", "3"), ("output", "0"), ("page_size", "15")),
        *(("multiplet_ordered", "0"), ("conf_out", "on"), ("term_out", "on"), ("level_out", "on"), ("unc_out", "1")),
        *(("j_out", "on"), ("g_out", "on"), ("lande_out", "on"), ("biblio", "on"), ("submit", "Retrieve Data")),
    )


def read_lines(answer: Answer, spectrum: str) -> list[Row]:
    """Read lines.

    Raises:
        ValidationError: ASD says what is wrong with the question.
        ComputationError: The answer is no table of lines in vacuum and nm.
    """
    table = _table(answer, "ritz_wl")
    found = []
    for cells in table:
        observed, ritz = number(cells.get("obs_wl_vac(nm)")), number(cells.get("ritz_wl_vac(nm)"))
        wavelength = observed if observed is not None else ritz
        if wavelength is None:
            wavenumber = number(cells.get("wn(cm-1)"))
            if not wavenumber:
                continue
            wavelength = 1e7 / wavenumber
        ion = f"{cells.get('element', '')} {cells.get('sp_num', '')}".strip()
        found.append(
            {
                "spectrum": _ion(cells) if ion else spectrum,
                "wavelength_nm": wavelength,
                "wavelength_air_nm": to_air(wavelength),
                "observed_nm": observed,
                "observed_uncertainty_nm": number(cells.get("unc_obs_wl")),
                "ritz_nm": ritz,
                "ritz_uncertainty_nm": number(cells.get("unc_ritz_wl")),
                "wavenumber_per_cm": number(cells.get("wn(cm-1)")),
                "intensity": number(cells.get("intens")),
                "intensity_note": signs(cells.get("intens")),
                "Aki_per_s": number(cells.get("Aki(s^-1)")),
                "fik": number(cells.get("fik")),
                "log_gf": number(cells.get("log_gf")),
                "accuracy": cells.get("Acc") or None,
                "lower_energy_eV": number(cells.get("Ei(eV)")),
                "upper_energy_eV": number(cells.get("Ek(eV)")),
                **_level(cells, "i", "lower"),
                **_level(cells, "k", "upper"),
                "transition_type": cells.get("Type") or ("E1" if cells.get("Aki(s^-1)") else None),
                "transition_reference": cells.get("tp_ref") or None,
                "line_reference": cells.get("line_ref") or None,
            }
        )
    if table and "ritz_wl_vac(nm)" not in table[0]:
        raise malformed("table of vacuum wavelengths in nm", answer, f"its columns are {', '.join(table[0])}")
    return found


def _ion(cells: Row) -> str:
    stage = str(cells.get("sp_num", ""))
    return f"{cells.get('element', '')} {roman(int(stage)) if stage.isdigit() else stage}".strip()


def _level(cells: Row, end: str, name: str) -> Row:
    return {
        f"{name}_configuration": cells.get(f"conf_{end}") or None,
        f"{name}_term": cells.get(f"term_{end}") or None,
        f"{name}_J": cells.get(f"J_{end}") or None,
        f"{name}_g": number(cells.get(f"g_{end}")),
    }


def read_levels(answer: Answer) -> tuple[list[Row], float | None]:
    """Read levels and the lowest ionisation limit [eV].

    Raises:
        ValidationError: ASD says what is wrong with the question.
        ComputationError: The answer is no table of levels.
    """
    found: list[Row] = []
    limit = None
    for cells in _table(answer, "Level"):
        energy = number(cells.get("Level (eV)"))
        if energy is None:
            continue
        if cells.get("Term", "").casefold() == "limit":
            limit = energy if limit is None else min(limit, energy)
            continue
        around = (cells.get("Prefix") or "") + signs(cells.get("Level (eV)")) + (cells.get("Suffix") or "")
        found.append(
            {
                "configuration": cells.get("Configuration") or None,
                "term": cells.get("Term") or None,
                "J": cells.get("J") or None,
                "g": number(cells.get("g")),
                "energy_eV": energy,
                "energy_note": around,
                "uncertainty_eV": number(cells.get("Uncertainty (eV)")),
                "lande_g": number(cells.get("Lande")),
                "reference": cells.get("Reference") or None,
            }
        )
    return found, limit


def _table(answer: Answer, needed: str) -> list[Row]:
    text = read_text(answer)
    head = text.lstrip().splitlines()[0] if text.strip() else ""
    if needed not in head or "\t" not in head:
        _explain(text, answer)
        return []
    rows = csv.reader(io.StringIO(text.lstrip()), delimiter="\t")
    names = [name.strip() for name in next(rows)]
    return [dict(zip(names, map(str.strip, row), strict=False)) for row in rows if any(cell.strip() for cell in row)]


def _explain(text: str, answer: Answer) -> None:
    """Say what ASD wrote instead of a table; nothing when there are simply no data."""
    plain = re.sub(r"<(script|style|head)\b.*?</\1>", " ", text, flags=re.DOTALL | re.IGNORECASE)
    plain = " ".join(html.unescape(re.sub(r"<[^>]+>", " ", plain)).split())
    if NOTHING.search(plain):
        return
    error = re.search(r"Error Message:?\s*(.{1,300})|(Unrecognized token.{0,200})", plain)
    if error is None:
        raise malformed("table of the Atomic Spectra Database", answer, "it has no columns of one")
    said = (error[1] or error[2]).strip().rstrip(".")
    raise ValidationError(f"NIST ASD refuses the question: {said}.", hint="Check element; write for instance Fe II.")


def number(cell: str | None) -> float | None:
    """Return the number in a cell, whatever signs stand around it."""
    found = NUMBER.search(cell or "")
    return float(found[0]) if found else None


def signs(cell: str | None) -> str:
    """Return the signs around the number in a cell, which say how it was found."""
    return NUMBER.sub("", cell or "", count=1).replace(" ", "")


def to_air(vacuum_nm: float) -> float | None:
    """Return the wavelength in standard air (15 °C, 101325 Pa, dry, 0.033 % CO2) of one in vacuum [nm].

    E. R. Peck, K. Reeder, J. Opt. Soc. Am. 62, 958 (1972), eq. 3, which NIST ASD uses; None outside 185 to 2000 nm,
    where ASD gives wavelengths in air.
    """
    if not 185 <= vacuum_nm <= 2000.6:
        return None
    s = (1e3 / vacuum_nm) ** 2  # wavenumber squared [1/µm²]
    return vacuum_nm / (1 + 1e-8 * (8060.51 + 2480990 / (132.274 - s) + 17455.7 / (39.32957 - s)))

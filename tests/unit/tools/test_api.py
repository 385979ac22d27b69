"""`api_tools` against services that answer as arXiv, CERN, NASA and NIST do."""

from __future__ import annotations

import csv
import json
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import constants as si

from physlab.errors import ComputationError, PhysicsError, ResourceError, ValidationError
from physlab.model import Visuals, Web
from physlab.tools import load_tools
from physlab.tools.archives.asd import to_air
from physlab.tools.archives.atoms import SYMBOLS, roman, spell_spectrum
from physlab.tools.archives.mast import from_mjd, separation_arcmin, to_mjd
from physlab.tools.call import call_method
from physlab.tools.context import Context
from tests.unit.tools import service_answers as answers
from tests.unit.tools.services import Reply, Seen, Stand, standing

NO_DELAY = {f"{name}_delay_s": 0.0 for name in ("arxiv", "cern", "nasa", "nist")}
PDF = b"%PDF-1.5 a paper"


@pytest.fixture
def stand() -> Iterator[Stand]:
    with standing() as stand:
        yield stand


@pytest.fixture
def ask(stand: Stand, tmp_path: Path) -> Callable[..., Any]:
    """`ask("arxiv", query="x")`: fields of the reply; `ask.context` is the call's."""
    places = ("arxiv", "cern", "mast", "cmr", "pds", "cdaweb", "nist_asd", "nist_data")
    urls = {f"{place}_url": stand.url for place in places}

    def ask(api: str, _web: dict[str, Any] | None = None, _draw: tuple[str, ...] = (), **params: Any) -> Any:
        workdir = tmp_path / f"call{len(list(tmp_path.iterdir()))}"
        workdir.mkdir()
        web = Web(**{**urls, **NO_DELAY, "backoff_s": 1e-4, "retries": 1, **(_web or {})})
        wanted = Visuals(**{what: what in _draw for what in ("static", "series", "animation")})
        context = Context(lambda: workdir, wanted, web=web, home=tmp_path)
        ask.context = context  # type: ignore[attr-defined]
        return call_method(load_tools().find("api_tools", api), params, context)

    return ask


def rows_of(file: Any) -> list[dict[str, str]]:
    with file.path.open(newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


# arXiv


def test_papers(ask: Any, stand: Stand) -> None:
    stand.say(
        "/api/query", answers.atom(answers.entry(), answers.entry("2101.00001v2", "2021-01-04T00:00:00Z"), total=712)
    )
    reply = ask("arxiv", query='dark matter "weak lensing"', category="astro-ph.*", max_results=2, start=10,
                sort_by="submittedDate", _draw=("static", "series"))  # fmt: skip
    assert stand.seen[0].fields == {
        "search_query": ['all:dark AND all:matter AND all:"weak lensing" AND cat:astro-ph.*'],
        "start": ["10"],
        "max_results": ["2"],
        "sortBy": ["submittedDate"],
        "sortOrder": ["descending"],
    }
    assert (reply["total_found"], reply["returned"], reply["query"]) == (712, 2, 'dark matter "weak lensing"')
    paper = reply["papers"][0]
    assert paper["id"] == "hep-ex/0307015v1" and paper["authors"] == ["H1 Collaboration"]
    assert paper["title"] == "Multi-Electron Production at High Transverse Momenta"
    assert paper["pdf_url"] == "https://arxiv.org/pdf/hep-ex/0307015v1"
    assert paper["abs_url"] == "https://arxiv.org/abs/hep-ex/0307015v1"
    assert paper["published"] == "2003-07-07T13:46:39Z" and paper["primary_category"] == "hep-ex"
    assert paper["doi"] == "10.1140/epjc/s2003-01326-x" and paper["journal_ref"] is None
    assert [row["id"] for row in rows_of(reply["csv_path"])] == ["hep-ex/0307015v1", "2101.00001v2"]
    assert reply["png_b64"].path.stat().st_size > 1000


def test_arxivs_own_syntax_is_left_alone(ask: Any, stand: Stand) -> None:
    stand.say("/api/query", answers.atom())
    assert ask("arxiv", query="au:hubble AND ti:nebula")["search_query"] == "au:hubble AND ti:nebula"
    reply = ask("arxiv", query="au:hubble OR ti:nebula", category="astro-ph.CO", _draw=("static", "series"))
    assert reply["search_query"] == "(au:hubble OR ti:nebula) AND cat:astro-ph.CO"
    assert reply["papers"] == [] and reply["total_found"] == 0 and rows_of(reply["csv_path"]) == []


def test_pdfs_are_fetched_once_and_named_by_digest(ask: Any, stand: Stand) -> None:
    from physlab.keys import digest_bytes

    stand.say("/api/query", answers.atom(answers.entry("2101.00001v2")))
    stand.say("/pdf/2101.00001v2", Reply(PDF))
    [paper] = ask("arxiv", query="x", download_pdfs=True)["papers"]
    assert paper["pdf_path"].path.read_bytes() == PDF and paper["pdf_sha256"] == digest_bytes(PDF)
    assert [item.role for item in ask.context.written] == ["document"]
    assert not ask.context.meta["cached"]
    ask("arxiv", query="x", download_pdfs=True, max_age=0)
    assert [seen.path for seen in stand.seen].count("/pdf/2101.00001v2") == 1
    stand.say("/pdf/2102.00001v1", Reply(b"%PDF-" + b"x" * 9000))
    stand.say("/api/query", answers.atom(answers.entry("2102.00001v1")))
    with pytest.raises(ResourceError, match="more than"):
        ask("arxiv", query="y", download_pdfs=True, _web={"max_download_mb": 0.001})
    stand.say("/pdf/2102.00001v1", Reply(b"<html>no PDF</html>"))
    with pytest.raises(ComputationError, match="something else than a PDF"):
        ask("arxiv", query="y", download_pdfs=True)


def test_an_empty_page_for_a_moment(ask: Any, stand: Stand) -> None:
    stand.say("/api/query", answers.atom(total=40), answers.atom(answers.entry(), total=40))
    assert ask("arxiv", query="x")["returned"] == 1


BOMB = b'<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;&a;">]><feed>&b;</feed>'


@pytest.mark.parametrize(
    "body",
    [b"<feed", b"", b"<html></html>", b"\xff\xfe<", BOMB, BOMB.decode().encode("utf-16"),
     answers.atom("<entry><id>http://arxiv.org/abs/../../etc</id></entry>"),
     answers.atom("<entry><title>no id</title></entry>")],
    ids=["cut", "empty", "page", "bytes", "entities", "entities in UTF-16", "strange id", "no id"],
)  # fmt: skip
def test_what_is_no_feed(ask: Any, stand: Stand, body: bytes) -> None:
    stand.say("/api/query", Reply(body))
    with pytest.raises(ComputationError, match="expected"):
        ask("arxiv", query="x")


def test_arxiv_refuses(ask: Any, stand: Stand) -> None:
    stand.say("/api/query", Reply(answers.REFUSED))
    with pytest.raises(ValidationError, match="incorrect id format"):
        ask("arxiv", query="x")


# CERN


def held(data: bytes, **changes: Any) -> dict[str, Any]:
    path = "/eos/opendata/cms/Run2016G/data.root"
    checksum = f"adler32:{zlib.adler32(data):08x}"
    uri = f"root://eospublic.cern.ch/{path}"
    return {"key": "CMS_0", "filename": "data.root", "size": len(data), "checksum": checksum, "uri": uri,
            "availability": "online", **changes}  # fmt: skip


def test_datasets_with_their_files(ask: Any, stand: Stand) -> None:
    stand.say("/api/records/", answers.cern_search(answers.DOUBLE_ELECTRON, total=2))
    stand.say("/api/records/30521", answers.cern_record(*[held(b"x") for _ in range(9)]))
    reply = ask("cern", dataset_name="DoubleEG", experiment="cms", data_type="nanoaod", year=2016, max_files=4,
                max_results=3, start=6, _draw=("series",))  # fmt: skip
    fields = stand.seen[0].fields
    assert fields["q"] == ["DoubleEG"] and fields["experiment"] == ["CMS"] and fields["year"] == ["2016--2016"]
    assert fields["type"] == ["Dataset"] and "nanoaodsim" in fields["file_type"]
    assert fields["page"] == ["3"] and fields["size"] == ["3"]
    [dataset] = reply["datasets"]
    assert (reply["total_found"], reply["returned"]) == (2, 1)
    assert dataset["number_events"] == 78797031 and dataset["collision_energy"] == "13TeV"
    assert dataset["files_found"] == 9 and len(dataset["files"]) == 4
    assert dataset["files"][0]["url"] == f"{stand.url}/eos/opendata/cms/Run2016G/data.root"
    assert len(rows_of(reply["csv_path"])) == 4


def test_files_are_verified(ask: Any, stand: Stand) -> None:
    data = b"events" * 1000
    stand.say("/api/records/", answers.cern_search(answers.DOUBLE_ELECTRON))
    tape = held(data, filename="tape.root", availability="on demand")
    stand.say("/api/records/30521", answers.cern_record(held(data), tape))
    stand.say("/eos/opendata/cms/Run2016G/data.root", Reply(data))
    file, cold = ask("cern", experiment="CMS", download=True)["datasets"][0]["files"]
    assert file["verified"] and file["path"].path.read_bytes() == data
    assert "path" not in cold and any("not on disk" in text for text in ask.context.warnings)
    assert adler_of_wikipedia() == 0x11E60398


def adler_of_wikipedia() -> int:
    """The worked example of the Adler-32 article in Wikipedia."""
    return zlib.adler32(b"Wikipedia")


@pytest.mark.parametrize(("body", "why"), [(b"EVENTS", "Adler-32"), (b"event", "5 bytes instead of 6")])
def test_a_damaged_file_is_refused(ask: Any, stand: Stand, body: bytes, why: str) -> None:
    stand.say("/api/records/", answers.cern_search(answers.DOUBLE_ELECTRON))
    stand.say("/api/records/30521", answers.cern_record(held(b"events")))
    stand.say("/eos/opendata/cms/Run2016G/data.root", Reply(body))
    with pytest.raises(ComputationError, match=why):
        ask("cern", experiment="CMS", download=True)
    stand.say("/eos/opendata/cms/Run2016G/data.root", Reply(b"events"))
    assert ask("cern", experiment="CMS", download=True)["datasets"][0]["files"][0]["verified"]


def test_too_much_is_not_begun(ask: Any, stand: Stand) -> None:
    stand.say("/api/records/", answers.cern_search(answers.DOUBLE_ELECTRON))
    stand.say("/api/records/30521", answers.cern_record(held(b"x", size=10**12)))
    with pytest.raises(ResourceError, match="1000000 MB") as caught:
        ask("cern", experiment="CMS", download=True)
    assert "web.max_download_mb" in caught.value.hint and "allow_large" in caught.value.hint
    assert len(stand.seen) == 2


@pytest.mark.parametrize(
    ("name", "sent"),
    [("30521", "recid:30521"), ("/A/B/AOD", 'title:"/A/B/AOD"'), ("top pair*", "top pair*"), ('a"b:(c', '"a b:(c"')],
)
def test_names_of_datasets(ask: Any, stand: Stand, name: str, sent: str) -> None:
    stand.say("/api/records/", answers.cern_search())
    assert ask("cern", dataset_name=name)["datasets"] == []
    assert stand.seen[0].fields["q"] == [sent]


@pytest.mark.parametrize(
    "body", [b"[]", b"{}", b'{"hits": {"hits": [], "total": "many"}}', b'{"hits": {"hits": [{}], "total": 1}}']
)
def test_what_is_no_list_of_records(ask: Any, stand: Stand, body: bytes) -> None:
    stand.say("/api/records/", Reply(body))
    with pytest.raises(ComputationError, match="list of records"):
        ask("cern", experiment="CMS")


# NASA


def sent(seen: Seen) -> dict[str, Any]:
    return dict(json.loads(seen.form["request"][0]))


def test_observations(ask: Any, stand: Stand) -> None:
    stand.say("/api/v0/invoke", answers.mast([], status="EXECUTING"), answers.mast([answers.WFPC2], total=19))
    reply = ask("nasa", dataset_type="astronomy", mission="HST", instrument="WFPC2*",
                coordinates={"ra": 23.34086, "dec": 60.658, "radius": "12 arcmin"},
                date_range={"start": "1995-01-01", "end": "1995-12-31"}, _draw=("static", "series"))  # fmt: skip
    request = sent(stand.seen[-1])
    assert len(stand.seen) == 2 and request["service"] == "Mast.Caom.Filtered.Position"
    assert request["params"]["position"] == "23.34086, 60.658, 0.2"
    filters = {item["paramName"]: item for item in request["params"]["filters"]}
    assert filters["obs_collection"]["values"] == ["HST"]
    assert filters["instrument_name"]["freeText"] == "WFPC2%"
    assert filters["t_max"]["values"][0]["min"] == 49718  # 1995-01-01, MJD = JD − 2400000.5
    [seen] = reply["datasets"]
    assert reply["total_found"] == 19 and "19 matches" in ask.context.warnings[0]
    assert seen["start"] == "1995-02-08T06:07:17Z" and seen["exposure_s"] == 1500
    a, b, across = np.radians([60.658, seen["dec_deg"], seen["ra_deg"] - 23.34086])  # the law of cosines
    apart = np.arccos(np.sin(a) * np.sin(b) + np.cos(a) * np.cos(b) * np.cos(across))
    assert seen["separation_arcmin"] == pytest.approx(np.degrees(apart) * 60, rel=1e-9)
    assert rows_of(reply["csv_path"])[0]["instrument"] == "WFPC2/WFC"


def test_a_cone_alone(ask: Any, stand: Stand) -> None:
    stand.say("/api/v0/invoke", answers.mast([]))
    reply = ask("nasa", dataset_type="astronomy", coordinates={"ra": 10, "dec": -20}, max_results=5, _draw=("static",))
    request = sent(stand.seen[0])
    assert request["service"] == "Mast.Caom.Cone" and request["params"] == {"ra": 10, "dec": -20, "radius": 0.05}
    assert request["pagesize"] == 5 and reply["datasets"] == []


def test_mast_says_what_is_wrong(ask: Any, stand: Stand) -> None:
    stand.say("/api/v0/invoke", Reply(b'{"status": "ERROR", "msg": "Invalid mission"}'))
    with pytest.raises(ComputationError, match="Invalid mission"):
        ask("nasa", dataset_type="astronomy", mission="X")
    stand.say("/api/v0/invoke", Reply(b'{"status": "COMPLETE"}'))
    with pytest.raises(ComputationError, match="no table"):
        ask("nasa", dataset_type="astronomy", mission="X")


def test_angles_on_the_sky() -> None:
    assert separation_arcmin(10, 0, 10, 1) == pytest.approx(60, rel=1e-12)
    assert separation_arcmin(0, 60, 180, 60) == pytest.approx(60 * 60, rel=1e-12)  # over the pole
    assert separation_arcmin(359.999, 0, 0.001, 0) == pytest.approx(0.12, rel=1e-9)
    # cos(c) = sin a sin b + cos a cos b cos(Δ), here exact: two orthogonal directions
    assert separation_arcmin(0, 0, 90, 45) == pytest.approx(5400, rel=1e-12)


def test_julian_dates() -> None:
    """J2000.0 is JD 2451545.0, MJD 51544.5 (IAU 1994)."""
    from datetime import UTC, datetime

    assert to_mjd(datetime(2000, 1, 1, 12, tzinfo=UTC)) == 51544.5
    assert from_mjd(51544.5) == "2000-01-01T12:00:00Z"
    assert from_mjd(None) is from_mjd(-1.0) is None


def test_earth(ask: Any, stand: Stand) -> None:
    stand.say("/search/collections.json", Reply(json.dumps(answers.CMR).encode(), headers={"CMR-Hits": "245"}))
    for _ in range(2):  # the second time from what was kept, with its header
        reply = ask("nasa", dataset_type="earth", mission="Terra", instrument="MOD*", keyword="reflectance",
                    date_range={"start": "2020-01-01", "end": "2020-02-01"}, max_results=7,
                    _draw=("static",))  # fmt: skip
        assert reply["total_found"] == 245 and reply["archive"] == "CMR"
    [seen] = stand.seen
    assert seen.fields == {
        "page_size": ["7"], "platform": ["Terra"], "instrument": ["MOD*"], "options[instrument][pattern]": ["true"],
        "keyword": ["reflectance"], "temporal": ["2020-01-01T00:00:00Z,2020-02-01T23:59:59Z"],
    }  # fmt: skip
    assert reply["datasets"][0]["short_name"] == "MOD09GA" and reply["datasets"][0]["mission"] == ["Terra"]


def test_planets(ask: Any, stand: Stand) -> None:
    stand.say("/api/search/1/products", json.dumps(answers.PDS).encode())
    reply = ask(
        "nasa", dataset_type="planetary", mission='Cas"sini', date_range={"start": "2004-06-30"}, _draw=("static",)
    )
    assert stand.seen[0].fields["q"] == [
        '(product_class eq "Product_Collection" and pds:Investigation_Area.pds:name like "*Cas sini*" and '
        'pds:Time_Coordinates.pds:stop_date_time ge "2004-06-30T00:00:00Z")'
    ]
    first, bare = reply["datasets"]
    assert first["target"] == ["Saturn"] and first["start"] == "2004-01-01T00:00:00Z" and first["end"] is None
    assert bare["mission"] == [] and reply["total_found"] == 2


def test_heliosphere(ask: Any, stand: Stand) -> None:
    stand.say("/WS/cdasr/1/dataviews/sp_phys/datasets", json.dumps(answers.CDAS).encode())
    reply = ask("nasa", dataset_type="heliophysics", mission="ace", instrument="magnetic", _draw=("static", "series"))
    assert [row["id"] for row in reply["datasets"]] == ["AC_H0_MFI"]
    after = ask("nasa", dataset_type="heliophysics", date_range={"start": "2010-01-01"})
    assert [row["id"] for row in after["datasets"]] == ["AC_H0_MFI"]
    before = ask("nasa", dataset_type="heliophysics", date_range={"end": "1996-01-01"}, keyword="solar wind")
    assert [row["id"] for row in before["datasets"]] == ["WI_H0_SWE"]
    assert stand.seen[0].headers["Accept"] == "application/json" and len(stand.seen) == 1


@pytest.mark.parametrize("kind", ["earth", "planetary", "heliophysics"])
@pytest.mark.parametrize("body", [b"{}", b"[1]", b"null", b"<xml/>"])
def test_what_is_no_list(ask: Any, stand: Stand, kind: str, body: bytes) -> None:
    for path in ("/search/collections.json", "/api/search/1/products", "/WS/cdasr/1/dataviews/sp_phys/datasets"):
        stand.say(path, Reply(body))
    with pytest.raises(ComputationError, match="expected"):
        ask("nasa", dataset_type=kind, mission="X")


# NIST


def test_balmer_alpha(ask: Any, stand: Stand) -> None:
    """H-alpha is 656.279 nm in air (A. Kramida, At. Data Nucl. Data Tables 96, 586 (2010); NIST ASD)."""
    stand.say("/cgi-bin/ASD/lines1.pl", Reply(answers.H_ALPHA))
    reply = ask("nist", data_type="atomic", element="h i", wavelength_min=655, wavelength_max="657 nm",
                _draw=("static", "series"))  # fmt: skip
    fields = stand.seen[0].fields
    assert fields["spectra"] == ["H I"] and (fields["low_w"], fields["upp_w"]) == (["655"], ["657"])
    assert fields["unit"] == ["1"] and fields["show_av"] == ["3"] and fields["format"] == ["3"]
    assert reply["returned"] == 4 and reply["spectrum"] == "H I"
    whole = reply["data"][3]
    assert whole["intensity"] == 500000 and whole["lower_g"] == 8 and whole["upper_g"] == 18
    assert whole["wavelength_air_nm"] == pytest.approx(656.28, abs=0.005)
    first = reply["data"][0]
    assert first["Aki_per_s"] == 5.3877e7 and first["accuracy"] == "AAA" and first["transition_type"] == "E1"
    assert first["lower_term"] == "2P*" and first["upper_J"] == "3/2"
    for line in reply["data"]:  # Ritz: the energies give the wavelength, hc = 1239.84 eV nm (CODATA, exact)
        if line["lower_energy_eV"]:
            energy = line["upper_energy_eV"] - line["lower_energy_eV"]
            assert si.h * si.c / si.e / energy * 1e9 == pytest.approx(line["ritz_nm"], rel=1e-6)
    np.testing.assert_array_equal(np.isnan(reply["intensity"]), [True, True, True, False])
    assert reply["data"][2]["transition_type"] == "M1"
    kept = json.loads(reply["data_path"].path.read_text())
    assert kept["data"] == reply["data"] and "doi:10.18434/T4W30F" in kept["source"]


@pytest.mark.parametrize(
    ("vacuum", "air"),
    # NIST ASD, strong lines with both wavelengths: H alpha, Na D2 and D1, Hg 546, He 667 [nm]
    [(656.460, 656.279), (589.15833, 588.99510), (589.75581, 589.59242), (546.2268, 546.0750), (667.9995, 667.8151)],
)
def test_wavelengths_in_air(vacuum: float, air: float) -> None:
    assert to_air(vacuum) == pytest.approx(air, abs=6e-4)
    assert to_air(121.567) is None


def test_levels(ask: Any, stand: Stand) -> None:
    """The ionisation energy of hydrogen is 13.598434599702 eV (NIST ASD); 1s, 2s and 2p from its fine structure."""
    stand.say("/cgi-bin/ASD/energy1.pl", Reply(answers.H_LEVELS))
    reply = ask("nist", data_type="atomic", element="H", property="levels", format="xml", _draw=("static",))
    assert stand.seen[0].fields["spectrum"] == ["H I"] and stand.seen[0].fields["units"] == ["1"]
    assert reply["ionization_energy_eV"] == 13.598434599702 and reply["returned"] == 5
    assert reply["data"][4]["energy_note"] == "[]" and reply["data"][4]["energy_eV"] == 13.52905540
    # Bohr: E(n=14) = E_ion (1 − 1/14²), up to fine structure (1e-6)
    assert reply["energy_eV"][4] == pytest.approx(13.598434599702 * (1 - 1 / 14**2), rel=2e-6)
    assert reply["data_path"].path.read_text().count("<row>") == 5


def test_no_lines_and_no_such_atom(ask: Any, stand: Stand) -> None:
    stand.say("/cgi-bin/ASD/lines1.pl", Reply(answers.NO_LINES))
    reply = ask("nist", data_type="atomic", element="H", format="csv", _draw=("static", "series"))
    assert reply["data"] == [] and reply["wavelength_nm"].shape == (0,)
    stand.say("/cgi-bin/ASD/lines1.pl", Reply(answers.BAD_ATOM))
    with pytest.raises(ValidationError, match="Unrecognized token"):
        ask("nist", data_type="atomic", element="Fe XC")
    for body in (b"<html>down</html>", b"", answers.H_ALPHA.replace(b"vac(nm)", b"air(nm)")):
        stand.say("/cgi-bin/ASD/lines1.pl", Reply(body))
        with pytest.raises(ComputationError, match="expected"):
            ask("nist", data_type="atomic", element="Fe")


def test_constants_need_no_network(ask: Any, stand: Stand) -> None:
    reply = ask("nist", data_type="constants", property="electron mass", _draw=("series",))
    [row] = reply["data"]
    assert row["value"] == 9.1093837139e-31 and row["uncertainty"] == 2.8e-40  # CODATA 2022
    assert row["source"] == "CODATA 2022" and not stand.seen
    every = ask("nist", data_type="constants", format="csv")
    assert every["returned"] >= 40 and len(rows_of(every["data_path"])) == every["returned"]
    assert {row["name"]: row["exact"] for row in every["data"]}["c"]


def test_reference(ask: Any, stand: Stand) -> None:
    stand.say("/rmm/records", json.dumps(answers.RMM).encode())
    reply = ask("nist", data_type="reference", property="melt pool")
    assert stand.seen[0].fields["searchphrase"] == ["melt pool"] and reply["total_found"] == 1
    assert reply["data"][0]["id"] == "mds2-2923" and reply["data"][0]["keywords"] == ["metal"]


@pytest.mark.parametrize("kind", ["molecular", "material"])
def test_what_nist_does_not_offer(ask: Any, stand: Stand, kind: str) -> None:
    with pytest.raises(ValidationError, match=f"no {kind} data to programs") as caught:
        ask("nist", data_type=kind, element="H2O", property="enthalpy", temperature="25 degC", pressure="1 bar")
    assert "constants" in caught.value.hint and not stand.seen


@pytest.mark.parametrize(
    ("text", "spelled"),
    [("H", "H"), ("fe ii", "Fe II"), ("Fe+", "Fe II"), ("Ca++", "Ca III"), ("O2+", "O III"), ("Fe 14", "Fe XIV"),
     ("198Hg I", "198Hg I"), ("HI", None), ("Xx", None), ("Fe IIII", None), ("Fe; DROP", None), ("SI", None),
     ("Si", "Si"), ("", None)],
)  # fmt: skip
def test_spectra(text: str, spelled: str | None) -> None:
    if spelled is None:
        with pytest.raises(ValidationError):
            spell_spectrum(text)
    else:
        assert spell_spectrum(text) == spelled
    assert [roman(n) for n in (1, 4, 9, 26, 92)] == ["I", "IV", "IX", "XXVI", "XCII"]


# Parameters


@pytest.mark.parametrize(
    ("api", "params", "why"),
    [
        ("arxiv", {}, "neither query nor category"),
        ("arxiv", {"query": " "}, "a text is needed"),
        ("arxiv", {"query": "x", "max_results": 101}, "max_results"),
        ("arxiv", {"query": "x", "category": "hep-th&max_results=9"}, "no arXiv category"),
        ("arxiv", {"query": "x", "sort_by": "date"}, "sort_by"),
        ("arxiv", {"query": "x", "max_age": -1}, "max_age"),
        ("cern", {"experiment": "DZero"}, "experiment"),
        ("cern", {"year": 2009}, "year"),
        ("cern", {"max_files": 51}, "max_files"),
        ("cern", {"start": 3}, "no multiple"),
        ("cern", {"download": True, "list_files": False}, "needs list_files"),
        ("nasa", {"dataset_type": "sea"}, "dataset_type"),
        ("nasa", {"dataset_type": "astronomy"}, "nothing says"),
        ("nasa", {"dataset_type": "earth", "coordinates": {"ra": 1, "dec": 1}}, "place on the sky"),
        ("nasa", {"dataset_type": "earth", "date_range": {"start": "2020-13-01"}}, "date_range"),
        (
            "nasa",
            {"dataset_type": "earth", "date_range": {"start": "2021-01-01", "end": "2020-01-01"}},
            "before it starts",
        ),
        ("nasa", {"dataset_type": "earth", "date_range": {}}, "neither start nor end"),
        ("nasa", {"dataset_type": "astronomy", "coordinates": {"ra": 1, "dec": 1, "radius": 0}}, "radius"),
        ("nist", {"data_type": "atomic"}, "need element"),
        ("nist", {"data_type": "atomic", "element": "Xy"}, "no atom"),
        ("nist", {"data_type": "atomic", "element": "H", "property": "color"}, "not offered"),
        ("nist", {"data_type": "atomic", "element": "H", "wavelength_min": 9, "wavelength_max": 8}, "not below"),
        ("nist", {"data_type": "constants", "wavelength_min": 9}, "no wavelengths"),
        ("nist", {"data_type": "constants", "property": "electron mas"}, "no constant"),
        ("nist", {"data_type": "constants", "emit_plots": True}, "cannot be drawn"),
        ("nist", {"data_type": "reference"}, "needs property"),
    ],
)
def test_wrong_parameters(ask: Any, stand: Stand, api: str, params: dict[str, Any], why: str) -> None:
    with pytest.raises(ValidationError, match=why):
        ask(api, **params)
    assert not stand.seen


@pytest.mark.parametrize(("ra", "dec"), [(361, 0), (-1, 0), (0, 91), (0, -90.5)])
def test_places_off_the_sky(ask: Any, ra: float, dec: float) -> None:
    with pytest.raises(PhysicsError):
        ask("nasa", dataset_type="astronomy", coordinates={"ra": ra, "dec": dec})


def test_no_result_is_taken_from_the_cache_of_nodes() -> None:
    tool = load_tools().tools["api_tools"]
    assert tool.discriminator == "api" and list(tool.methods) == ["arxiv", "cern", "nasa", "nist"]
    assert not any(method.lasting for method in tool.methods.values())


def test_a_node_of_a_lab(stand: Stand, tmp_path: Path) -> None:
    """Settings reach the worker's side with the work, answers are kept in the home, and fields hold no times."""
    from physlab.keys import digest
    from physlab.model import Resources, Work
    from physlab.store import open_store
    from physlab.tools.execute import execute

    stand.say("/cgi-bin/ASD/lines1.pl", Reply(answers.H_ALPHA))
    web = Web(nist_asd_url=stand.url, nist_delay_s=0)
    none = Visuals(static=False, series=False, animation=False)
    with open_store(tmp_path / "store") as store:
        params = {"data_type": "atomic", "element": "H I"}
        work = Work(
            **{"key": "k", "label": "n", "tool": "api_tools", "method": "nist", "params": params, "visuals": none},
            **{"seed": 0, "device": "cpu", "time_limit_s": 60, "resources": Resources(), "store": str(store.root)},
            web=web,
        )
        first, second = (execute(Work.model_validate_json(work.model_dump_json())) for _ in range(2))
    assert (first.meta["cached"], second.meta["cached"]) == (False, True) and len(stand.seen) == 1
    assert digest(first.fields) == digest(second.fields)
    assert list((tmp_path / "web" / "answers").glob("*.json")) and list((tmp_path / "web" / "pace").iterdir())


def test_elements_by_name() -> None:
    assert spell_spectrum("hydrogen") == "H" and spell_spectrum("Iron II") == "Fe II"
    assert spell_spectrum("sulphur", neutral=True) == "S I" and spell_spectrum("tungsten") == "W"
    assert spell_spectrum("darmstadtium") == SYMBOLS[-1]

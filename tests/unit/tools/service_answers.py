"""What the services answer, shortened: in the form of recorded answers and of the services' own manuals."""

from __future__ import annotations

import json
from typing import Any


def atom(*entries: str, total: int | None = None) -> bytes:
    """A feed as arXiv's user manual shows it."""
    count = len(entries) if total is None else total
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n<feed xmlns="http://www.w3.org/2005/Atom">'
        '<title type="html">ArXiv Query</title><id>http://arxiv.org/api/x</id>'
        f'<opensearch:totalResults xmlns:opensearch="http://a9.com/-/spec/opensearch/1.1/">{count}'
        "</opensearch:totalResults>" + "".join(entries) + "</feed>"
    ).encode()


def entry(name: str = "hep-ex/0307015v1", published: str = "2003-07-07T13:46:39Z") -> str:
    """The entry of the user manual."""
    return f"""<entry><id>http://arxiv.org/abs/{name}</id><published>{published}</published>
    <updated>{published}</updated><title>Multi-Electron Production at
      High Transverse Momenta</title><summary> Multi-electron production is studied. </summary>
    <author><name>H1 Collaboration</name></author>
    <arxiv:comment xmlns:arxiv="http://arxiv.org/schemas/atom">23 pages</arxiv:comment>
    <arxiv:doi xmlns:arxiv="http://arxiv.org/schemas/atom">10.1140/epjc/s2003-01326-x</arxiv:doi>
    <link href="http://arxiv.org/abs/{name}" rel="alternate" type="text/html"/>
    <link title="pdf" href="http://arxiv.org/pdf/{name}" rel="related" type="application/pdf"/>
    <arxiv:primary_category xmlns:arxiv="http://arxiv.org/schemas/atom" term="hep-ex"/>
    <category term="hep-ex" scheme="http://arxiv.org/schemas/atom"/></entry>"""


REFUSED = b"""<?xml version="1.0"?><feed xmlns="http://www.w3.org/2005/Atom">
<opensearch:totalResults xmlns:opensearch="http://a9.com/-/spec/opensearch/1.1/">1</opensearch:totalResults>
<entry><id>http://arxiv.org/api/errors#incorrect_id_format_for_x</id><title>Error</title>
<summary>incorrect id format for x</summary></entry></feed>"""

# NIST ASD, H I around 656.4 nm (Balmer alpha), energies in eV;
# wavelengths, probabilities and terms are those of ASD 5.12.
H_ALPHA = "\n".join(
    line.replace("|", "\t")
    for line in (
        "obs_wl_vac(nm)|unc_obs_wl|ritz_wl_vac(nm)|unc_ritz_wl|wn(cm-1)|intens|Aki(s^-1)|fik|log_gf|Acc|Ei(eV)|Ek(eV)|"
        "conf_i|term_i|J_i|conf_k|term_k|J_k|g_i|g_k|Type|tp_ref|line_ref|",
        '"656.4522552"|"0.0000024"|"656.4522556"|"0.0000009"|"15233.40033"|""|"5.3877e+07"|"6.9614e-01"|"0.14373"|AAA|'
        '"10.1988057"|"12.0875066"|"2p"|"2P*"|"1/2"|"3d"|"2D"|"3/2"|2|4||"T7771"|"L2752"|',
        '""|""|"656.4527"|"0.0004"|"15233.390"|""|""|""|""||""|""|""|""|""|""|""|""||||""|"c67"|',
        '""|""|"656.4579878"|"0.0000003"|"15233.267302"|""|""|""|""||"[10.1988101]"|"12.0874944"|"2s"|"2S"|"1/2"|"3s"|'
        '"2S"|"1/2"|2|2|M1|""|""|',
        '"656.460"|"0.003"|"656.4632"|"0.0007"|"15233.21"|"500000"|"4.4101e+07"|"6.4108e-01"|"0.71000"|AAA|"10.19883554"|'
        '"12.08750503"|"2"|""|""|"3"|""|""|8|18||"T8637"|"L7400c29"|',
    )
).encode()

H_LEVELS = "\n".join(
    line.replace("|", "\t")
    for line in (
        "Configuration|Term|J|g|Prefix|Level (eV)|Suffix|Uncertainty (eV)|Reference|",
        '"1s"|"2S"|"1/2"|2|""|"0.000000000000"|""|""|"L6891"|',
        '"2p"|"2P*"|"1/2"|2|""|"10.198805701"|""|"0.000000000004"|"L6891"|',
        '"2s"|"2S"|"1/2"|2|""|"10.198810075"|""|"0.000000000004"|"L6891"|',
        '"2p"|"2P*"|"3/2"|4|""|"10.198851059"|""|"0.000000000004"|"L6891"|',
        '"14"|""|""|392|"["|"13.52905540"|"]"|""|""|',
        '"H II (1S<0>)"|"Limit"|"---"||""|"13.598434599702"|""|"0.000000000012"|"L12951"|',
    )
).encode()

NO_LINES = b"<html><body><p>No lines are available in ASD with the parameters selected</p></body></html>"
BAD_ATOM = b"<html><body><b>Error Message:</b><pre>Unrecognized token.</pre></body></html>"


def mast(rows: list[dict[str, Any]], total: int | None = None, status: str = "COMPLETE") -> bytes:
    """The table of the portal interface, as the tests of astroquery have it recorded."""
    count = len(rows) if total is None else total
    paging = {"page": 1, "pageSize": 20, "pagesFiltered": 1, "rows": len(rows)}
    paging |= {"rowsFiltered": count, "rowsTotal": count}
    return json.dumps({"status": status, "msg": "", "data": rows, "fields": [], "paging": paging}).encode()


WFPC2 = {
    "dataproduct_type": "image", "obs_collection": "HST", "instrument_name": "WFPC2/WFC", "filters": "F814W",
    "target_name": "LO-LAT", "obs_id": "U27XCS01T", "s_ra": 23.11817129395, "s_dec": 60.64213575852,
    "proposal_id": "5371", "calib_level": 3, "t_min": 49756.25506, "t_max": 49756.27242, "t_exptime": 1500,
    "em_min": 713.510009765625, "em_max": 867.4500122070312, "obs_title": "HST MEDIUM-DEEP SURVEY",
    "t_obs_release": 50121.7945, "dataURL": None, "obsid": 2003585980, "distance": 293.0973439304444,
}  # fmt: skip


def cern_search(*records: dict[str, Any], total: int | None = None) -> bytes:
    hits = [{"id": str(record["recid"]), "metadata": record} for record in records]
    return json.dumps({"hits": {"total": len(hits) if total is None else total, "hits": hits}, "links": {}}).encode()


DOUBLE_ELECTRON: dict[str, Any] = {
    "recid": "30521", "title": "/DoubleEG/Run2016G-UL2016_MiniAODv2_NanoAODv9-v1/NANOAOD", "experiment": ["CMS"],
    "type": {"primary": "Dataset", "secondary": ["Collision"]}, "date_created": ["2016"], "run_period": ["Run2016G"],
    "collision_information": {"energy": "13TeV", "type": "pp"}, "doi": "10.7483/OPENDATA.CMS.X",
    "distribution": {"formats": ["nanoaod", "root"], "number_events": 78797031, "number_files": 47,
                     "size": 75705443664},
    "license": {"attribution": "CC0"}, "availability": "online",
}  # fmt: skip


def cern_record(*files: dict[str, Any]) -> bytes:
    about = {**DOUBLE_ELECTRON, "_files": [], "_file_indices": [{"key": "CMS_file_index.json", "files": list(files)}]}
    return json.dumps({"id": "30521", "metadata": about}).encode()


CMR = {
    "feed": {
        "updated": "2026-01-01T00:00:00.000Z",
        "entry": [
            {
                "id": "C1748066515-LPCLOUD", "title": "MODIS/Terra Surface Reflectance Daily", "short_name": "MOD09GA",
                "version_id": "061", "platforms": ["Terra"], "data_center": "LPCLOUD", "processing_level_id": "2",
                "time_start": "2000-02-24T00:00:00.000Z", "boxes": ["-90 -180 90 180"], "online_access_flag": True,
                "links": [{"rel": "http://esipfed.org/ns/fedsearch/1.1/data#", "href": "https://e4ftl01.cr.usgs.gov/"}],
            }
        ],
    }
}  # fmt: skip

PDS = {
    "summary": {"q": "", "hits": 2, "took": 7, "limit": 20, "properties": ["lid"]},
    "data": [
        {
            "id": "urn:nasa:pds:cassini_iss_saturn:data_raw::1.0",
            "type": "Product_Collection",
            "title": "Cassini ISS raw images of Saturn",
            "properties": {
                "lid": ["urn:nasa:pds:cassini_iss_saturn:data_raw"],
                "pds:Investigation_Area.pds:name": ["Cassini-Huygens"],
                "pds:Observing_System_Component.pds:name": ["Cassini Orbiter", "Imaging Science Subsystem"],
                "pds:Target_Identification.pds:name": ["Saturn"],
                "pds:Time_Coordinates.pds:start_date_time": ["2004-01-01T00:00:00Z"],
                "pds:Time_Coordinates.pds:stop_date_time": ["null"],
            },
        },
        {"id": "urn:nasa:pds:x:y::1.0", "title": "bare", "properties": {}},
    ],
}

CDAS = {
    "DatasetDescription": [
        {
            "Id": "AC_H0_MFI", "Observatory": ["ACE"], "Instrument": ["MAG"], "ObservatoryGroup": ["ACE"],
            "InstrumentType": ["Magnetic Fields (space)"], "Label": "ACE Magnetic Field 16-Second Level 2 Data",
            "TimeInterval": {"Start": "1997-09-02T00:00:12.000Z", "End": "2024-12-31T23:59:44.000Z"},
            "DatasetLink": [{"Title": "ACE", "Text": "t", "Url": "https://izw1.caltech.edu/ACE/"}],
        },
        {
            "Id": "WI_H0_SWE", "ObservatoryGroup": ["Wind"], "InstrumentType": ["Plasma and Solar Wind"],
            "Label": "Wind Solar Wind Experiment (SWE)",
            "TimeInterval": {"Start": "1994-11-01T00:00:00.000Z", "End": "2001-06-30T23:59:59.000Z"},
        },
    ]
}  # fmt: skip

RMM = {
    "ResultCount": 1, "PageSize": 1,
    "ResultData": [{"@id": "ark:/88434/mds2-2923", "ediid": "mds2-2923", "title": "IN625 single-track melt pool",
                    "description": ["laser powder bed fusion"], "keyword": ["metal"]}],
}  # fmt: skip

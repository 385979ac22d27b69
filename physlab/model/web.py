"""How public services are asked: a value that travels from the settings to whoever runs the node."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field

from physlab.model.base import Model


def _base_url(url: str) -> str:
    parts = urlsplit(url)
    if parts.scheme not in ("https", "http") or not parts.hostname or parts.query or parts.fragment or "@" in url:
        raise ValueError("an address such as https://export.arxiv.org is needed, without user, query or fragment")
    return url.rstrip("/")


BaseUrl = Annotated[str, AfterValidator(_base_url)]
Delay = Annotated[float, Field(ge=0, le=3600)]


class Web(Model):
    """`[web]`: how the public services behind `api_tools` are asked."""

    offline: bool = Field(False, description="Ask nobody: answer from what was kept, whatever its age, or not at all.")
    contact: str | None = Field(None, description="Mail address or page told to the services in the User-Agent.")
    timeout_s: float = Field(30, gt=0, le=3600, description="How long a service may be silent [s].")
    retries: int = Field(4, ge=0, le=10, description="How often a request that failed for now is made again.")
    backoff_s: float = Field(1, gt=0, le=600, description="Wait before the first retry; it doubles with each [s].")
    max_age_h: float = Field(24, ge=0, description="A kept answer is taken up to this age, unless a call says [h].")
    max_answer_mb: float = Field(64, gt=0, description="The largest answer that is read [MB].")
    max_download_mb: float = Field(500, gt=0, description="All downloads of one node together, at most [MB].")
    keep_mb: float = Field(2000, gt=0, description="Size of all kept answers and downloads; the oldest go first [MB].")
    arxiv_url: BaseUrl = Field("https://export.arxiv.org", description="arXiv, or a mirror of it.")
    cern_url: BaseUrl = Field("https://opendata.cern.ch", description="CERN Open Data portal.")
    mast_url: BaseUrl = Field("https://mast.stsci.edu", description="MAST: NASA's astronomical observations.")
    cmr_url: BaseUrl = Field("https://cmr.earthdata.nasa.gov", description="CMR: NASA's data of the Earth.")
    pds_url: BaseUrl = Field("https://pds.nasa.gov", description="PDS: NASA's planetary data.")
    cdaweb_url: BaseUrl = Field("https://cdaweb.gsfc.nasa.gov", description="CDAWeb: NASA's heliophysics data.")
    nist_asd_url: BaseUrl = Field("https://physics.nist.gov", description="NIST Atomic Spectra Database.")
    nist_data_url: BaseUrl = Field("https://data.nist.gov", description="NIST Public Data Repository.")
    arxiv_delay_s: Delay = Field(3, description="Time between two requests to arXiv, of all processes together [s].")
    cern_delay_s: Delay = Field(1, description="The same for CERN [s].")
    nasa_delay_s: Delay = Field(2, description="The same for MAST, and for all of nasa.gov [s].")
    nist_delay_s: Delay = Field(1.5, description="The same for NIST [s].")

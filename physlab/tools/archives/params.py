"""The parameters of `api_tools`."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, time
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import AfterValidator, AliasChoices, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from physlab.errors import PhysicsError, ValidationError
from physlab.tools.archives.atoms import spell_spectrum
from physlab.tools.types import VisualParams, quantity

if TYPE_CHECKING:
    Second = float
    Kelvin = float
    Pascal = float
    Degree = float
    Arcminute = float
    Nanometre = float
else:
    Second, Kelvin, Pascal = quantity("second"), quantity("kelvin"), quantity("pascal")
    Degree, Arcminute, Nanometre = quantity("degree"), quantity("arcminute"), quantity("nanometer")

CATEGORY = re.compile(r"[a-z]+(-[a-z]+)*(\.([A-Za-z]+(-[A-Za-z]+)*|\*))?")


def _known_case(known: tuple[str, ...]) -> BeforeValidator:
    """Let names be written in any case."""
    names = {name.casefold(): name for name in known}
    return BeforeValidator(lambda value: names.get(value.casefold(), value) if isinstance(value, str) else value)


def _words(text: str) -> str:
    text = " ".join(text.split())
    if not text or not text.isprintable():
        raise ValueError("a text is needed")
    return text


Words = Annotated[str, Field(max_length=500), AfterValidator(_words)]


class ServiceParams(VisualParams):
    """What every service is told."""

    max_age: Second | None = Field(
        None,
        ge=0,
        allow_inf_nan=False,
        description='A kept answer is taken up to this age [s], `"7 day"` works too; 0 asks anew. Default: '
        "web.max_age_h.",
    )


class ArxivParams(ServiceParams):
    """A search in arXiv."""

    query: Words | None = Field(
        None,
        description='Words and "phrases", all of which must occur, or arXiv\'s own syntax: `ti:`, `au:`, `abs:`, '
        "`cat:`, `all:` with AND, OR, ANDNOT.",
    )
    category: str | None = Field(None, description="Category such as `astro-ph.CO`, `hep-th`, or `astro-ph.*`.")
    max_results: int = Field(10, ge=1, le=100, description="Papers to return, 1 to 100; more with `start`.")
    start: int = Field(0, ge=0, le=29_999, description="Papers to pass over, for the next page.")
    sort_by: Literal["relevance", "lastUpdatedDate", "submittedDate"] = Field("relevance", description="Order.")
    sort_order: Literal["descending", "ascending"] = Field("descending", description="Direction of the order.")
    download_pdfs: bool = Field(False, description="Also fetch the PDF of every returned paper.")

    @model_validator(mode="after")
    def _fits(self) -> ArxivParams:
        if self.query is None and self.category is None:
            raise ValidationError("neither query nor category is given.", hint="Say what to look for.")
        if self.category is not None and CATEGORY.fullmatch(self.category) is None:
            raise ValidationError(
                f"category = '{self.category}' is no arXiv category.",
                hint="Write for instance hep-th, astro-ph.CO or astro-ph.*; see https://arxiv.org/category_taxonomy.",
            )
        return self


EXPERIMENTS = ("CMS", "ATLAS", "ALICE", "LHCb")
DATA_TYPES = ("AOD", "MINIAOD", "NanoAOD", "derived")


class CernParams(ServiceParams):
    """A search in the CERN Open Data portal."""

    dataset_name: Words | None = Field(
        None, description="Words of the title or text, such as `DoubleMuon`, a path `/A/B/AOD`, or a record number."
    )
    experiment: Annotated[Literal["CMS", "ATLAS", "ALICE", "LHCb"], _known_case(EXPERIMENTS)] | None = Field(
        None, description="Whose data."
    )
    data_type: Annotated[Literal["AOD", "MINIAOD", "NanoAOD", "derived"], _known_case(DATA_TYPES)] | None = Field(
        None, description="Format, collisions and simulation alike; `derived` are data made from others."
    )
    year: int | None = Field(None, ge=2010, le=2024, description="Year of data taking (or of simulation).")
    max_files: int = Field(5, ge=1, le=50, description="Files to list for each dataset, 1 to 50.")
    max_results: int = Field(5, ge=1, le=50, description="Datasets to return, 1 to 50; each costs one more request.")
    start: int = Field(0, ge=0, description="Datasets to pass over; a multiple of max_results.")
    list_files: bool = Field(True, description="List files; false spares a request for each dataset.")
    download: bool = Field(False, description="Fetch the listed files and verify their checksums.")

    @model_validator(mode="after")
    def _fits(self) -> CernParams:
        if self.download and not self.list_files:
            raise ValidationError("download needs list_files.", hint="Leave list_files out.")
        if self.start % self.max_results:
            raise ValidationError(
                f"start = {self.start} is no multiple of max_results = {self.max_results}.",
                hint="The portal turns whole pages.",
            )
        return self


class Sky(BaseModel):
    """A cone on the sky."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    ra: Degree = Field(description="Right ascension, ICRS [deg].", allow_inf_nan=False)
    dec: Degree = Field(description="Declination, ICRS [deg].", allow_inf_nan=False)
    radius: Arcminute = Field(3.0, description="Radius [arcmin].", allow_inf_nan=False)

    @model_validator(mode="after")
    def _on_the_sky(self) -> Sky:
        if not -90 <= self.dec <= 90:
            raise PhysicsError(f"dec = {self.dec:g} deg is not on the sky.", hint="Declinations are -90 to 90 deg.")
        if not 0 <= self.ra < 360:
            raise PhysicsError(f"ra = {self.ra:g} deg is not a right ascension.", hint="Give 0 to 360 deg, not hours.")
        if not 0 < self.radius <= 1800:
            raise ValidationError(f"radius = {self.radius:g} arcmin.", hint="Give above 0, up to 1800 arcmin (30 deg).")
        return self


def _moment(text: Any) -> Any:
    if isinstance(text, datetime | date):
        text = text.isoformat()
    if isinstance(text, str):
        datetime.fromisoformat(text.replace("Z", "+00:00"))
    return text


Moment = Annotated[str, BeforeValidator(_moment)]


class DateRange(BaseModel):
    """A span of time; a bare day means all of it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    start: Moment | None = Field(None, description="First moment, ISO 8601, UTC unless it says otherwise.")
    end: Moment | None = Field(None, description="Last moment.")

    @model_validator(mode="after")
    def _forward(self) -> DateRange:
        first, last = self.first, self.last
        if first is None and last is None:
            raise ValidationError("date_range has neither start nor end.", hint="Give one of them, or leave it out.")
        if first is not None and last is not None and first > last:
            raise ValidationError(f"date_range ends ({self.end}) before it starts ({self.start}).", hint="Swap them.")
        return self

    @property
    def first(self) -> datetime | None:
        """The first moment, in UTC."""
        return _in_utc(self.start, time.min)

    @property
    def last(self) -> datetime | None:
        """The last moment, in UTC."""
        return _in_utc(self.end, time(23, 59, 59))


def _in_utc(text: str | None, of_day: time) -> datetime | None:
    if text is None:
        return None
    if len(text) == 10:
        return datetime.combine(date.fromisoformat(text), of_day, UTC)
    moment = datetime.fromisoformat(text.replace("Z", "+00:00"))
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


class NasaParams(ServiceParams):
    """A search in NASA's archives."""

    dataset_type: Literal["astronomy", "earth", "planetary", "heliophysics"] = Field(
        description="astronomy: observations in MAST; earth: collections in CMR; planetary: collections in PDS; "
        "heliophysics: datasets of CDAWeb."
    )
    mission: Words | None = Field(
        None, description="Mission, platform or observatory: `JWST`, `Terra`, `Cassini`, `ACE`."
    )
    instrument: Words | None = Field(None, description="Instrument: `NIRCAM/IMAGE`, `WFC3*`, `MODIS`, `MAG`.")
    keyword: Words | None = Field(None, description="Words of the title (astronomy: the name of the target).")
    date_range: DateRange | None = Field(None, description="Data that overlap `{start, end}`.")
    coordinates: Sky | None = Field(None, description="Cone `{ra, dec, radius}` on the sky; astronomy only.")
    max_results: int = Field(20, ge=1, le=1000, description="Datasets to return.")

    @model_validator(mode="after")
    def _fits(self) -> NasaParams:
        if self.coordinates is not None and self.dataset_type != "astronomy":
            raise ValidationError(
                f"coordinates are a place on the sky, and {self.dataset_type} data have none.",
                hint="Use dataset_type: astronomy, or leave coordinates out.",
            )
        given = (self.mission, self.instrument, self.keyword, self.date_range, self.coordinates)
        if all(item is None for item in given):
            raise ValidationError(
                "nothing says which data are wanted.",
                hint="Give mission, instrument, keyword, date_range or (astronomy) coordinates.",
            )
        return self


class NistParams(ServiceParams):
    """A question to NIST."""

    data_type: Literal["atomic", "molecular", "material", "constants", "reference"] = Field(
        description="atomic: lines or levels of the Atomic Spectra Database; constants: CODATA; reference: the Public "
        "Data Repository. molecular and material data have no public interface and are refused."
    )
    element: Words | None = Field(
        None,
        validation_alias=AliasChoices("element", "spectrum"),
        description="Atom or ion: `H`, `H I`, `Fe II`, `Fe+`, `198Hg I`; a bare symbol means all ions for lines, the "
        "neutral atom for levels.",
    )
    property: Words | None = Field(
        None,
        description="atomic: `lines` (default) or `levels`; constants: a name or symbol (default: the short table); "
        "reference: words to look for.",
    )
    wavelength_min: Nanometre | None = Field(None, gt=0, allow_inf_nan=False, description="Lines from here on [nm].")
    wavelength_max: Nanometre | None = Field(None, gt=0, allow_inf_nan=False, description="Lines up to here [nm].")
    temperature: Kelvin | None = Field(None, gt=0, description="For molecular and material data only [K].")
    pressure: Pascal | None = Field(None, gt=0, description="For molecular and material data only [Pa].")
    format: Literal["json", "xml", "csv"] = Field("json", description="Form of the data file.")
    max_results: int = Field(20, ge=1, le=100, description="Records of data_type reference.")

    @model_validator(mode="after")
    def _fits(self) -> NistParams:
        if self.data_type == "atomic":
            self._check_atom()
        elif self.wavelength_min is not None or self.wavelength_max is not None:
            raise ValidationError(f"{self.data_type} data have no wavelengths.", hint="Use data_type: atomic.")
        if self.data_type == "reference" and self.property is None and self.element is None:
            raise ValidationError("reference needs property.", hint="Give words to look for, such as `thermocouple`.")
        if self.data_type in ("constants", "reference") and self.emit_plots:
            raise ValidationError(f"{self.data_type} cannot be drawn.", hint="Leave emit_plots out; emit_csv works.")
        return self

    def _check_atom(self) -> None:
        if self.element is None:
            raise ValidationError("atomic data need element.", hint="Give `H I` or `Fe II`.")
        if self.property not in (None, "lines", "levels"):
            raise ValidationError(
                f"property = '{self.property}' is not offered for atomic data.", hint="Known: levels, lines."
            )
        if self.property == "levels" and (self.wavelength_min is not None or self.wavelength_max is not None):
            raise ValidationError("levels have no wavelengths.", hint="Leave them out, or ask for lines.")
        low, high = self.wavelength_min, self.wavelength_max
        if low is not None and high is not None and low >= high:
            raise ValidationError(
                f"wavelength_min = {low:g} nm is not below wavelength_max = {high:g} nm.", hint="Swap."
            )
        spell_spectrum(self.element, neutral=self.property == "levels")

"""What the calculator's plots share: their look, the documented form (`series`, `domain`, `animations`, `export`)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import AliasChoices, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from physlab.errors import ValidationError
from physlab.expressions import Expression
from physlab.model import Visuals
from physlab.tools.calculator.format import NO_NAMES
from physlab.tools.calculator.names import Environment, Names, Text, spell
from physlab.tools.context import Context
from physlab.tools.movie import film_extent
from physlab.tools.plot.params import FigureParams
from physlab.tools.registry import Extent
from physlab.tools.types import Array

Range = tuple[float, float]
FILMS = ("mp4", "webm", "gif")


class Series(BaseModel):
    """One curve."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    expression: Text | tuple[Text, Text] = Field(
        description='Formula; parametric: two, as `"cos(t), sin(t)"` or a list.'
    )
    label: str | None = Field(None, max_length=200, description="Name in the legend; default: the formula.")
    color: str | None = Field(
        None, validation_alias=AliasChoices("color", "colour"), max_length=40, description="`#0072b2`, or a name."
    )
    parametric: bool = Field(False, description="The formulas are x(t) and y(t).")


class Domain(BaseModel):
    """Where a curve is drawn."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    start: float = Field(allow_inf_nan=False, description="First value.")
    end: float = Field(allow_inf_nan=False, description="Last value.")
    step: float | None = Field(None, gt=0, allow_inf_nan=False, description="Step; default: a thousand points.")


class Sweep(BaseModel):
    """A film in which one value grows; over the curve's own variable the curve is drawn from start to end."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    variable: str = Field(description="A name of the formulas, or the variable of the curve.")
    start: float | None = Field(None, allow_inf_nan=False, description="First value; the curve's variable has one.")
    end: float | None = Field(None, allow_inf_nan=False, description="Last value.")
    frames: int = Field(90, ge=2, description="How many pictures.")
    fps: float = Field(24.0, ge=1, le=60, description="Pictures per second.")
    format: Literal["mp4", "webm", "gif"] = Field("mp4", description="Kind of film.")


class Animations(BaseModel):
    """Films of a plot."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    sweep: Sweep | None = Field(None, description="A film over one value.")


class Export(BaseModel):
    """What to write beside the PNG and SVG, which are always written."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: Literal["png", "svg", "csv", "mp4", "webm", "gif"] = Field("png", description="csv: like `export_data`.")


def _to_numbers(value: Any) -> Any:
    """Read values such as `"pi/2"`, which have no names in them."""
    if not isinstance(value, Mapping):
        return value
    return {name: _number(text) if isinstance(text, str) else text for name, text in value.items()}


def _number(text: str) -> float:
    from physlab.expressions import parse

    found = parse(text, ()).evaluate()
    if found.dtype.kind == "c" or not np.isfinite(found):
        raise ValidationError(f"'{text}' is not a real number.", hint="Plots need real values.")
    return float(found)


class PlotParams(FigureParams):
    """The look of a plot and where it looks."""

    title: str | None = Field(
        None,
        max_length=300,
        validation_alias=AliasChoices("title", "plot_title"),
        description="Title (also `plot_title`); default: the formula.",
    )
    vars: Annotated[dict[str, float], BeforeValidator(_to_numbers)] = Field(
        {}, validation_alias=AliasChoices("vars", "variables"), description="Values of names (also `variables`)."
    )
    environment: Environment = Field(NO_NAMES, description="Names of another node: `from:step1.environment`.")
    show_grid: bool = Field(True, description="Draw grid lines.")
    export_data: bool = Field(False, description="Write the data as CSV too (as emit_csv).")
    export: Export = Field(Export(format="png"), description="`{format: csv}` writes the data too.")
    x_range: Range | None = Field(None, description="[from, to] of the horizontal axis.")
    y_range: Range | None = Field(None, description="[from, to] of the vertical axis; default: what is drawn.")

    @model_validator(mode="before")
    @classmethod
    def _flags(cls, data: Any) -> Any:
        """Read `export_data`, `export.format` and a sweep as the flags that decide what is written."""
        if not isinstance(data, Mapping):
            return data
        export, films = data.get("export"), data.get("animations")
        form = export.get("format") if isinstance(export, Mapping) else None
        lifted: dict[str, Any] = {}
        if (data.get("export_data") is True or form == "csv") and data.get("emit_csv") is None:
            lifted["emit_csv"] = True
        swept = isinstance(films, Mapping) and films.get("sweep") is not None
        if swept and data.get("emit_animation") is None:
            lifted["emit_animation"] = True
        if form in FILMS and not swept:
            raise ValidationError(f"export.format = '{form}' is a film.", hint="Say what to sweep: animations.sweep.")
        return {**data, **lifted}

    @model_validator(mode="after")
    def _ordered(self) -> PlotParams:
        for name in ("x_range", "y_range"):
            pair = getattr(self, name)
            if pair is not None and not (np.isfinite(pair).all() and pair[0] < pair[1]):
                raise ValidationError(f"{name} = {list(pair)} is empty.", hint="Give [from, to], from below to.")
        return self

    def names(self, *bound: str) -> Names:
        """Return what reads the formulas of this plot."""
        return Names(self.environment, {name: spell(value) for name, value in self.vars.items()}, bound)


class CurvePlotParams(PlotParams):
    """Curves over one variable."""

    expression: Text | tuple[Text, Text] | None = Field(
        None,
        validation_alias=AliasChoices("expression", "function", "expr"),
        description="The formula; several curves go into `series`.",
    )
    series: list[Series] = Field([], max_length=24, description="Curves: {expression, label, color, parametric}.")
    domain: Domain | None = Field(None, description="{start, end, step} of the variable.")
    samples: int = Field(1000, ge=10, description="Points of a curve, unless `domain.step` says it.")
    animations: Animations = Field(Animations(sweep=None), description="{sweep: {variable, start, end, fps, format}}.")
    variable: str | None = Field(None, description="The variable of the curves; default: x, t or theta.")

    @model_validator(mode="after")
    def _something(self) -> CurvePlotParams:
        if self.expression is None and not self.series:
            raise ValidationError("There is nothing to draw.", hint="Give `expression`, or `series`.")
        if self.expression is not None and self.series:
            raise ValidationError("`expression` and `series` are both given.", hint="Put all curves into `series`.")
        if self.domain is not None and not self.domain.start < self.domain.end:
            raise ValidationError(f"The domain {self.domain.start:g} to {self.domain.end:g} is empty.", hint="Swap.")
        return self

    def curves(self, *, parametric: bool = False) -> list[Series]:
        """Return the curves asked for."""
        if self.expression is not None:
            return [Series(expression=self.expression, label=None, color=None, parametric=parametric)]
        return [item.model_copy(update={"parametric": item.parametric or parametric}) for item in self.series]

    def points(self, default: Range, context: Context) -> Array:
        """Return the points of the variable.

        Raises:
            ValidationError: There are too many.
        """
        if self.domain is None:
            context.enforce("samples", self.samples, "samples")
            return np.linspace(*default, self.samples)
        start, end, step = self.domain.start, self.domain.end, self.domain.step
        count = self.samples if step is None else round((end - start) / step * (1 + 1e-12) - 0.5 + 1e-9) + 1
        context.enforce("samples", count, "points of the domain")
        if count < 2:
            raise ValidationError(f"domain.step = {step} is longer than the domain.", hint="Give a shorter step.")
        return np.linspace(start, end, count) if step is None else start + step * np.arange(count)


def sweep_extent(params: Mapping[str, Any], visuals: Visuals) -> Extent | None:
    """Return how much work the film of a plot is; without one there is next to none."""
    swept = params["animations"]["sweep"]
    if not visuals.animation or swept is None:
        return None
    dots = params["dpi"]
    size = params["width"] * dots, params["height"] * dots
    return film_extent(swept["frames"], size, swept["format"], map_ns=0)


def pair_of(expression: str | tuple[str, str]) -> tuple[str, str]:
    """Return the two formulas of a parametric curve.

    Raises:
        ValidationError: They are not two.
    """
    if not isinstance(expression, str):
        return expression
    text = expression.strip()
    if text.startswith(("(", "[")) and text.endswith((")", "]")) and len(commas(text[1:-1])) == 2:
        text = text[1:-1]
    parts = commas(text)
    if len(parts) != 2:
        raise ValidationError(f"'{expression}' is not a pair of formulas.", hint='Write "cos(t), sin(t)", or a list.')
    return parts[0], parts[1]


def commas(text: str) -> list[str]:
    """Return what the commas outside parentheses separate."""
    parts, depth = [""], 0
    for letter in text:
        depth += (letter in "([") - (letter in ")]")
        if depth < 0:
            return [text]
        if letter == "," and depth == 0:
            parts.append("")
        else:
            parts[-1] += letter
    return [part.strip() for part in parts]


def real_values(expression: Expression, **places: Array) -> Array:
    """Return a formula's real values; NaN where it has none."""
    found = expression.evaluate(**places)
    if found.dtype.kind == "c":
        found = np.where(np.abs(found.imag) <= 1e-12 * np.abs(found), found.real, np.nan)
    found = found.astype(float)
    return np.where(np.isfinite(found), found, np.nan)


def check_colour(colour: str | None) -> None:
    """Refuse a colour that does not exist.

    Raises:
        ValidationError: It does not.
    """
    from matplotlib.colors import is_color_like

    if colour is not None and not is_color_like(colour):
        raise ValidationError(f"'{colour}' is not a colour.", hint="Write #0072b2, or a name such as tab:blue.")


def shown(formula: str) -> str:
    """Return a formula as labels show it: dollar signs would start mathematics."""
    return re.sub(r"\$", "", formula.replace("**", "^"))

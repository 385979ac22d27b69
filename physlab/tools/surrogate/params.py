"""The parameters of `surrogate_pde_train`, and what they say about the problem."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import AliasChoices, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from physlab.errors import ValidationError, nearest
from physlab.expressions import normal_name, parse
from physlab.tools.segments import Format
from physlab.tools.surrogate.conditions import Conditions, read_conditions
from physlab.tools.surrogate.differential import TIMES, Notation, notation
from physlab.tools.surrogate.torchformula import check_operations
from physlab.tools.types import File, VisualParams

MOST_VARIABLES = 4
KNOWN_PDES = {
    "heat": "u_t = alpha*laplacian(u)",
    "diffusion": "u_t = D*laplacian(u)",
    "wave": "u_tt = c^2*laplacian(u)",
    "laplace": "laplacian(u) = 0",
    "poisson": "laplacian(u) = f",
    "helmholtz": "laplacian(u) + k^2*u = 0",
    "burgers": "u_t + u*u_x = nu*u_xx",
    "advection": "u_t + c*u_x = 0",
}


def _to_number(value: Any) -> Any:
    return float(parse(value, ()).evaluate()) if isinstance(value, str) else value


def _to_list(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


def _to_data(value: Any) -> Any:
    """Accept a path, columns by name, or rows; arrays stay as they are until the training reads them."""
    if isinstance(value, str):
        return File(path=_path(value), name=_path(value).name)
    if isinstance(value, Mapping | list | tuple | np.ndarray | File):
        if isinstance(value, Mapping) and (wrong := [name for name, item in value.items() if isinstance(item, str)]):
            raise ValueError(f"the column '{wrong[0]}' is a text; columns are lists of numbers")
        return value
    raise ValueError("a CSV or NPZ file, columns {name: [numbers]}, rows, or from:node.field is needed")


def _path(value: str) -> Any:
    from pathlib import Path

    return Path(value)


Number = Annotated[float, BeforeValidator(_to_number), Field(allow_inf_nan=False)]
Texts = Annotated[list[str], BeforeValidator(_to_list)]
TrainData = Annotated[Any, BeforeValidator(_to_data), Field(json_schema_extra={"format": "path"})]


class Domain(BaseModel):
    """The box of the problem, and what holds on its faces."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    bounds: dict[str, tuple[Number, Number]] = Field({}, description='`{"x": [0, 1], "t": [0, "2*pi"]}`.')
    boundary_conditions: Any = Field(
        {},
        description='`{"u(0,t)": 0, "u_x(1,t)": 0}`, `{"x=0": 0}`, `{"x": [0, 1]}`, `{"x": "periodic"}`, `{"left": '
        '{"type": "neumann", "value": 0}}` (the outward derivative).',
    )
    initial_conditions: Any = Field(
        {}, description='`{"u(x,0)": "sin(pi*x)", "u_t(x,0)": 0}`, `{"u": …, "velocity": …}`, `{"y(0)": 1}`.'
    )


class SurrogateParams(VisualParams):
    """A problem and how to train the network that solves it."""

    problem: Literal["pinn", "data"] = Field(
        "pinn", description="pinn: the equations and conditions are the loss; data: train_data alone."
    )
    equations: Texts = Field(
        [],
        max_length=10,
        description="`u_t = 0.1*u_xx`, `Derivative(u(x,t), t) = …`, `∂u/∂t = …`, `y'' + y = 0`; several for a system.",
    )
    domain: Domain = Field(Domain(), description="bounds, boundary_conditions and initial_conditions.")
    train_data: TrainData | None = Field(
        None, description="CSV or NPZ file, columns {name: [numbers]}, or rows: places by name, time, unknowns."
    )
    vars: dict[str, Number] = Field({}, description="Numbers of the other names in the equations.")
    unknowns: Texts = Field([], description="The functions to find; default: what the equations derive.")
    exact: dict[str, str] | str | None = Field(
        None, description="Known solution for comparison, `{u: formula}`; the training never sees it."
    )
    epochs: int = Field(200, ge=1, le=10_000, description="Passes of the optimiser Adam over the points.")
    batch_size: int = Field(1024, ge=1, le=65_536, description="Points at once.")
    lr: float = Field(
        1e-3, ge=1e-6, le=1, validation_alias=AliasChoices("lr", "learning_rate"), description="Learning rate of Adam."
    )
    polish: int = Field(500, ge=0, le=20_000, description="Iterations of L-BFGS after Adam; 0 for none.")
    patience: int = Field(20, ge=1, description="Adam stops after so many epochs without a better loss.")
    points: int = Field(
        2000,
        ge=10,
        validation_alias=AliasChoices("points", "training_points", "collocation_points"),
        description="Points inside the box at which the equations are to hold.",
    )
    boundary_points: int = Field(200, ge=2, description="Points on each face that has a condition.")
    layers: list[Annotated[int, Field(ge=1, le=1024)]] = Field(
        [32, 32, 32], min_length=1, max_length=10, description="Widths of the hidden layers (tanh)."
    )
    animate: bool = Field(False, description="Make a film of the solution over time.")
    fps: float = Field(24.0, ge=1, le=60, description="Frames per second.")
    format: Format = Field("mp4", description="mp4 (H.264), webm (VP9) or gif.")

    @model_validator(mode="before")
    @classmethod
    def _spellings(cls, data: Any) -> Any:
        return respell(dict(data)) if isinstance(data, Mapping) else data

    @model_validator(mode="after")
    def _readable(self) -> SurrogateParams:
        if self.problem == "data" and self.train_data is None:
            raise ValidationError("problem = 'data' needs train_data.", hint="Give a CSV or NPZ file, or columns.")
        if self.problem == "pinn":
            names, _, conditions = read_problem(self)
            if self.animate and (names.time is None or len(names.variables) < 2):
                raise ValidationError(
                    f"animate needs a time and a place; the variables are {', '.join(names.variables)}.",
                    hint="Call the time t, or leave animate out.",
                )
            if not conditions.items and not conditions.periodic and self.train_data is None:
                raise ValidationError(
                    "There are no conditions, so the equations have no one solution.",
                    hint='Give domain.boundary_conditions and initial_conditions, such as {"u(0,t)": 0}.',
                )
        return self


def respell(data: dict[str, Any]) -> dict[str, Any]:
    """Read the documented form: pde_type, and conditions and bounds beside the domain.

    Raises:
        ValidationError: Something is given twice, or pde_type is unknown.
    """
    kind = data.pop("pde_type", None)
    if kind is not None:
        name = re.sub(r"[\s_-]*(equation|pde)$", "", str(kind).lower().strip())
        if name not in KNOWN_PDES:
            raise ValidationError(f"pde_type = '{kind}' is unknown.", hint=nearest(name, KNOWN_PDES))
        data.setdefault("equations", [KNOWN_PDES[name]])
    if data.get("animate") is True and data.get("emit_animation") is None:
        data["emit_animation"] = True
    beside: dict[str, Any] = {
        name: data.pop(name) for name in ("bounds", "boundary_conditions", "initial_conditions") if name in data
    }
    if not beside:
        return data
    domain = dict(data.get("domain") or {})
    both = beside.get("boundary_conditions")
    if isinstance(both, Mapping) and set(both) <= {"initial", "boundary"} and both:
        beside.pop("boundary_conditions")
        beside |= {f"{name}_conditions": both[name] for name in both}
    if clash := sorted(set(domain) & set(beside)):
        raise ValidationError(f"'{clash[0]}' stands both beside and inside 'domain'.", hint="Give it once.")
    return {**data, "domain": domain | beside}


def read_problem(params: SurrogateParams) -> tuple[Notation, list[Any], Conditions]:
    """Return the names, the residuals and the conditions of a problem.

    Raises:
        ValidationError: The bounds, an equation or a condition cannot be read.
    """
    bounds = check_bounds(params.domain.bounds)
    if not params.equations:
        raise ValidationError("problem = 'pinn' needs equations.", hint="Such as u_t = 0.1*u_xx, or pde_type.")
    if not bounds:
        raise ValidationError("domain.bounds is missing.", hint='Give {"x": [0, 1], "t": [0, 1]}.')
    names = notation(params.equations, list(bounds), params.unknowns, params.vars)
    trees = [names.residual(text) for text in params.equations]
    for tree, text in zip(trees, params.equations, strict=True):
        check_operations(tree, text)
    if len(trees) < len(names.unknowns):
        raise ValidationError(
            f"{len(trees)} equations cannot determine {', '.join(names.unknowns)}.",
            hint="Give one for each unknown, or name the parameters in vars.",
        )
    domain = params.domain
    conditions = read_conditions(domain.boundary_conditions, domain.initial_conditions, names, bounds)
    read_exact(params, names)
    return names, trees, conditions


def check_bounds(given: Mapping[str, tuple[float, float]]) -> dict[str, tuple[float, float]]:
    """Return the bounds by their normal names: places in alphabetical order, then the time.

    The order of a mapping means nothing, and would not survive storage.

    Raises:
        ValidationError: One is empty, or there are more than four variables.
    """
    named = {normal_name(name): ends for name, ends in given.items()}
    bounds = {name: named[name] for name in sorted(named, key=lambda name: (name in TIMES, name))}
    for name, (low, high) in bounds.items():
        if not low < high or not math.isfinite(high - low):
            raise ValidationError(f"The bounds of {name}, {low:g} to {high:g}, are empty.", hint="Give [low, high].")
    if len(bounds) > MOST_VARIABLES:
        raise ValidationError(f"There are {len(bounds)} variables.", hint=f"At most {MOST_VARIABLES} are accepted.")
    return bounds


def read_exact(params: SurrogateParams, names: Notation) -> dict[str, Any]:
    """Return the formulas of the known solution, by unknown.

    Raises:
        ValidationError: One cannot be read, or an unknown has none.
    """
    if params.exact is None:
        return {}
    given = {names.unknowns[0]: params.exact} if isinstance(params.exact, str) else params.exact
    found = {normal_name(name.partition("(")[0]): text for name, text in given.items()}
    if set(found) != set(names.unknowns):
        raise ValidationError(
            f"exact speaks of {', '.join(found)}; the unknowns are {', '.join(names.unknowns)}.",
            hint="Give one formula for each unknown.",
        )
    return {name: parse(text, {*names.variables, *names.values}) for name, text in found.items()}

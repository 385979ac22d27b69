"""`tensor_algebra`: from a metric to its curvature and its geodesics, exactly."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import product
from typing import Annotated, Any, Literal, get_args

from pydantic import AliasChoices, BeforeValidator, Field, model_validator

from physlab.errors import ComputationError, PhysicsError, ValidationError, nearest
from physlab.expressions import normal_name
from physlab.tools.cas.algebra import write
from physlab.tools.context import Context
from physlab.tools.registry import Port, registry
from physlab.tools.tensors.metrics import ALIASES, NAMED, check_square, read_metric
from physlab.tools.types import Params

Quantity = Literal[
    "christoffel", "riemann", "ricci", "ricci_scalar", "einstein", "kretschmann", "geodesics"
]  # fmt: skip
QUANTITIES: tuple[str, ...] = get_args(Quantity)
CONVENTIONS = (
    "Misner-Thorne-Wheeler: R^a_bcd = d_c Gamma^a_bd - d_d Gamma^a_bc + Gamma^a_ce Gamma^e_bd - Gamma^a_de Gamma^e_bc, "
    "R_bd = R^a_bad, G_ab = R_ab - g_ab R/2; named metrics have the signature (-+++) and G = c = 1"
)
SYMBOLS = {"christoffel": (r"\Gamma", 1), "riemann": ("R", 1), "ricci": ("R", 0), "einstein": ("G", 0)}
LARGEST = 6
_OTHER = {
    "christoffel_symbols": "christoffel", "riemann_tensor": "riemann", "ricci_tensor": "ricci", "scalar":
    "ricci_scalar", "curvature_scalar": "ricci_scalar", "einstein_tensor": "einstein", "geodesic": "geodesics",
    "kretschmann_scalar": "kretschmann",
}  # fmt: skip


def _to_list(value: Any) -> Any:
    if value == "all":
        return list(QUANTITIES)
    items = [value] if isinstance(value, str) else value
    return [_OTHER.get(item, item) if isinstance(item, str) else item for item in items] if items else items


def _to_depends(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: [on] if isinstance(on, str) else on for name, on in value.items()}
    return value


class TensorParams(Params):
    """Parameters of `tensor_algebra`."""

    metric: str | tuple[tuple[float | str, ...], ...] = Field(
        description=f"Rows of formulas, (n, n), or a name: {', '.join(NAMED)}."
    )
    coords: tuple[str, ...] = Field(
        (),
        validation_alias=AliasChoices("coords", "coordinates"),
        description="Names of the coordinates, (n,), n = 2 … 6; named metrics bring their own.",
    )
    compute: Annotated[tuple[Quantity, ...], BeforeValidator(_to_list)] = Field(
        ("christoffel", "ricci", "ricci_scalar"), min_length=1, description="What to compute, or `all`."
    )
    functions: Annotated[dict[str, tuple[str, ...]], BeforeValidator(_to_depends)] = Field(
        {},
        description='Unknown functions whose name is also a known one: `{"beta": ["r"]}`; others, such as `a(t)`, are '
        "recognised.",
    )
    vars: dict[str, float] = Field({}, description='Numbers of parameters: `{"M": 1}`.')

    @model_validator(mode="after")
    def _fits(self) -> TensorParams:
        rows, coords = self.written()
        check_square(rows, coords)
        if not 2 <= len(coords) <= LARGEST:
            raise ValidationError(f"there are {len(coords)} coordinates.", hint=f"Give 2 to {LARGEST}.")
        return self

    def written(self) -> tuple[Any, list[str]]:
        """Return the rows of formulas and the coordinates that are meant."""
        if not isinstance(self.metric, str):
            if not self.coords:
                raise ValidationError("a metric of formulas needs coords.", hint='Give for instance ["t", "r"].')
            return self.metric, [normal_name(name) for name in self.coords]
        name = self.metric.strip().lower().replace(" ", "_")
        name = ALIASES.get(name, name)
        if name not in NAMED:
            raise ValidationError(f"there is no metric '{self.metric}'.", hint=nearest(name, NAMED))
        own = list(NAMED[name].coords)
        if self.coords and [normal_name(item) for item in self.coords] != own:
            raise ValidationError(
                f"the metric {name} is written in {', '.join(own)}, not in {', '.join(self.coords)}.",
                hint="Leave coords out, or write the metric as rows of formulas.",
            )
        return NAMED[name].rows, own


registry.tool("tensor_algebra", summary="Curvature and geodesics of a metric, exactly.")


@registry.method(
    "tensor_algebra",
    params=TensorParams,
    returns=(
        Port("status", "text", description="`success`"),
        Port("computation", "list", description="What was computed"),
        Port(
            "results",
            "object",
            description="By name. Tensors: their non-zero components as {indices, coords, value, latex}; scalars: "
            "{value, latex}; geodesics: for each coordinate {coordinate, acceleration, equation, latex}, u_x = dx/dλ",
        ),
        Port("metric", "list", description="The metric as it was understood, (n, n) formulas"),
        Port("inverse_metric", "list", description="Its inverse, (n, n) formulas"),
        Port("coords", "list", description="The coordinates, (n,)"),
        Port("conventions", "text", description="Signs and index positions"),
        Port("capabilities", "list", description="Everything that `compute` takes"),
    ),
    libraries=("sympy",),
    imports=("sympy",),
)
def tensor_algebra(params: TensorParams, context: Context) -> dict[str, Any]:
    """Compute the curvature of a metric and its geodesics.

    Everything is exact: functions are elements of a field of rational functions, in which zero is recognised.

    Args:
        params: The metric, its coordinates, and what to compute.
        context: Gets a warning where zero may be missed.

    Returns:
        Non-zero components with their indices (Γ^a_bc, R^a_bcd, R_ab, G_ab), scalars, geodesic equations.

    Raises:
        PhysicsError: The metric is not square, not symmetric, or has no inverse.
        ValidationError: An entry or a coordinate cannot be read.
        ComputationError: It holds functions whose derivatives lead out of what can be computed.
    """
    from physlab.tools.tensors.curvature import Geometry

    rows, coords = params.written()
    metric, symbols = read_metric(rows, coords, params.functions, params.vars)
    try:
        space = Geometry(metric, symbols)
        _require_symmetric(space, coords)
        if entangled := space.algebra.entangled:
            context.warn(
                f"{', '.join(write(item)['str'] for item in entangled)} were taken as independent of each other: a "
                "component that is zero may be listed as a long formula."
            )
        results = {name: _computed(space, name, coords) for name in dict.fromkeys(params.compute)}
        inverse = [[write(space.algebra.express(item))["str"] for item in row] for row in space.upper]
    except KeyError as error:
        raise ComputationError(
            f"The metric's derivatives hold {error}, which cannot be computed with.",
            hint="Use powers, roots, exponentials, circular and hyperbolic functions, or unknown functions like f(r).",
        ) from error
    return {
        "status": "success",
        "computation": list(results),
        "results": results,
        "metric": [[write(item)["str"] for item in metric.row(i)] for i in range(len(coords))],
        "inverse_metric": inverse,
        "coords": coords,
        "conventions": CONVENTIONS,
        "capabilities": list(QUANTITIES),
    }


def _require_symmetric(space: Any, coords: list[str]) -> None:
    for i, j in product(space.axes, repeat=2):
        if space.lower[i][j] != space.lower[j][i]:
            raise PhysicsError(
                f"metric is not symmetric: g_{coords[i]}{coords[j]} = {space.metric[i, j]} and "
                f"g_{coords[j]}{coords[i]} = {space.metric[j, i]}.",
                hint="A cross term 2 f dx dy of ds² stands as f in both places.",
            )


def _computed(space: Any, name: str, coords: list[str]) -> Any:
    if name == "geodesics":
        return _geodesics(space, coords)
    found = getattr(space, name)
    if name not in SYMBOLS:
        spelled = write(space.algebra.express(found))
        return {"value": spelled["str"], "latex": f"{'R' if name == 'ricci_scalar' else 'K'} = {spelled['latex']}"}
    listed = []
    for place, value in space.express(found).items():
        spelled = write(value)
        listed.append(
            {
                "indices": list(place),
                "coords": [coords[index] for index in place],
                "value": spelled["str"],
                "latex": f"{_label(name, [space.coords[index] for index in place])} = {spelled['latex']}",
            }
        )
    return listed


def _label(name: str, symbols: list[Any]) -> str:
    """Return a component's name in LaTeX, upper indices first."""
    letter, upper = SYMBOLS[name]
    spelled = [write(item)["latex"] for item in symbols]
    raised = f"^{{{' '.join(spelled[:upper])}}}{{}}" if upper else ""
    return f"{letter}{raised}_{{{' '.join(spelled[upper:])}}}"


def _geodesics(space: Any, coords: list[str]) -> list[dict[str, str]]:
    import sympy

    velocities = [sympy.Symbol(f"u_{name}") for name in coords]
    found = []
    for name, symbol, value in zip(coords, space.coords, space.accelerations(velocities), strict=True):
        spelled = write(value)
        found.append(
            {
                "coordinate": name,
                "acceleration": spelled["str"],
                "equation": f"d2{name}/dlambda2 = {spelled['str']}",
                "latex": rf"\frac{{d^{{2}} {write(symbol)['latex']}}}{{d\lambda^{{2}}}} = {spelled['latex']}",
            }
        )
    return found

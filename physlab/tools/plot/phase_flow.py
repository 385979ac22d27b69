"""A flow dx/dt = u(x, y), dy/dt = v(x, y) in a window of the plane, and its trajectories."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from physlab.errors import ComputationError
from physlab.tools.plot.params import reader
from physlab.tools.types import Array

RTOL, ATOL = 1e-9, 1e-12  # of the integration; the second in units of the window
MOST_STEPS = 50_000  # of one trajectory
STUCK = 1e-15  # a step this short, in units of the whole time, does not advance any more
MARGIN = 0.5  # a trajectory is followed this far out of the window, in units of the window
MEASURED = 41  # points per axis on which the pace of the flow is measured


@dataclass(frozen=True)
class Flow:
    """A flow in a window.

    Inside, places are measured in spans of the window and time in `tau`, the time in which the median point of the
    window would cross it: that makes tolerances mean the same for every system, and leaves eigenvalues × tau alone.

    Attributes:
        u: `(x=…, y=…) -> dx/dt`.
        v: `(x=…, y=…) -> dy/dt`.
        low: Lower left corner of the window, shape (2,).
        spans: Width and height of the window, shape (2,).
        tau: Time scale.
    """

    u: Callable[..., Array]
    v: Callable[..., Array]
    low: Array
    spans: Array
    tau: float

    @classmethod
    def read(cls, dx: str, dy: str, values: Mapping[str, float], x: Array, y: Array) -> Flow:
        """Return the flow of two formulas in x and y.

        Args:
            dx: dx/dt.
            dy: dy/dt.
            values: Numbers for other names.
            x: The window's ends along x, first and last.
            y: The window's ends along y.

        Raises:
            ValidationError: A formula is wrong.
            ComputationError: The flow is finite nowhere in the window, or rests everywhere.
        """
        u, v = (reader(formula, "xy", values) for formula in (dx, dy))
        low, spans = np.array([x[0], y[0]]), np.array([x[-1] - x[0], y[-1] - y[0]])
        places = np.meshgrid(*(low[i] + spans[i] * np.linspace(0, 1, MEASURED) for i in (0, 1)))
        here = dict(zip("xy", places, strict=True))
        pace = np.hypot(u(**here) / spans[0], v(**here) / spans[1])
        if not np.isfinite(pace).any():
            raise ComputationError("The flow is not finite anywhere.", hint="Check the formulas and their ranges.")
        moving = pace[np.isfinite(pace) & (pace > 0)]
        if not moving.size:
            raise ComputationError("dx and dy are zero everywhere: nothing moves.", hint="Check the formulas.")
        return cls(u, v, low, spans, 1 / float(np.median(moving)))

    def scaled(self, places: Array) -> Array:
        """Return the velocity, shape (2, …), at scaled places of the same shape, in spans per `tau`."""
        x, y = (self.low[i] + self.spans[i] * places[i] for i in (0, 1))
        return self.tau * np.stack([self.u(x=x, y=y) / self.spans[0], self.v(x=x, y=y) / self.spans[1]])

    def to_plane(self, places: Array) -> Array:
        """Return scaled places, shape (…, 2), as x and y."""
        return np.asarray(self.low + self.spans * places)

    def from_plane(self, places: Array) -> Array:
        """Return x and y, shape (…, 2), as scaled places."""
        return np.asarray((np.asarray(places, dtype=float) - self.low) / self.spans)

    def trajectory(self, start: Array, t: Array) -> tuple[Array, str]:
        """Follow one point.

        SciPy's LSODA (Hindmarsh and Petzold) with a relative tolerance of 1e-9 for each step; it changes to a stiff
        method by itself. It is stepped here and not by `solve_ivp`, which would try for ever to pass a singularity.

        Args:
            start: Where it is at t[0], scaled, shape (2,).
            t: Instants in units of `tau`, rising or falling.

        Returns:
            Scaled places, shape (instants, 2), NaN after it went out of reach (half a window outside) or could not be
            followed; and why it could not be followed, or nothing.
        """
        from scipy.integrate import LSODA

        places = np.full((len(t), 2), np.nan)
        places[0], filled = start, 1
        with np.errstate(all="ignore"):
            solver = LSODA(lambda _, place: self.scaled(place), t[0], start, t[-1], rtol=RTOL, atol=ATOL)
            for _ in range(MOST_STEPS):
                trouble = solver.step()
                if solver.status == "failed" or not np.isfinite(solver.y).all():
                    return places, trouble or "the flow has no value there."
                if solver.step_size <= STUCK * abs(t[-1] - t[0]):
                    return places, f"it meets a singularity at t = {self.tau * solver.t:.6g}."
                reached = int(np.searchsorted(np.abs(t - t[0]), abs(solver.t - t[0]), side="right"))
                if reached > filled:
                    places[filled:reached], filled = solver.dense_output()(t[filled:reached]).T, reached
                if solver.status == "finished" or np.max(np.abs(solver.y - 0.5)) > 0.5 + MARGIN:
                    places[np.max(np.abs(places - 0.5), axis=1) > 0.5 + MARGIN] = np.nan
                    return places, ""
        return places, f"it takes more than {MOST_STEPS} steps."

"""Training a network on equations, conditions and data: Adam with balanced losses, then L-BFGS."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from physlab.errors import ComputationError
from physlab.tools.surrogate.differential import Notation
from physlab.tools.surrogate.net import Plan, make_network
from physlab.tools.surrogate.torchformula import Field
from physlab.tools.types import Array

BALANCE_EVERY = 50  # epochs
DRAWS = 8  # of random signs for a trace
MEMORY = 0.9  # of the running mean of the weights
STEPS_AT_ONCE = 10  # iterations of L-BFGS between two points of the training curve


@dataclass(frozen=True)
class Term:
    """One part of the loss: the mean square of `tree - target` at points.

    Attributes:
        name: What people read.
        tree: Formula of the unknowns and their derivatives.
        points: Shape (n, variables).
        target: Shape (n).
    """

    name: str
    tree: Any
    points: Array
    target: Array


@dataclass(frozen=True)
class Settings:
    """How to train; see the parameters of the method."""

    epochs: int
    polish: int
    patience: int
    lr: float
    seed: int


@dataclass
class Trained:
    """A trained network and how it came about.

    Attributes:
        weights: (inputs, outputs) of each layer.
        biases: (outputs) of each layer.
        evaluate: `(tree, points) -> values`, in batches.
        steps: Epochs of Adam, then iterations of L-BFGS counted on.
        losses: Term → mean square at each step.
        checks: Mean square of the held-out terms at each step of Adam and L-BFGS.
        adam_epochs: How many epochs Adam ran.
        polished: How many iterations L-BFGS ran.
        early_stopped: True when Adam stopped before its last epoch.
        factors: Term → weight in the loss that L-BFGS minimised.
    """

    weights: list[Array]
    biases: list[Array]
    evaluate: Callable[[Any, Array], Array]
    steps: list[int] = field(default_factory=list)
    losses: dict[str, list[float]] = field(default_factory=dict)
    checks: list[float] = field(default_factory=list)
    adam_epochs: int = 0
    polished: int = 0
    early_stopped: bool = False
    factors: dict[str, float] = field(default_factory=dict)

    @property
    def total(self) -> Array:
        """Sum of the unweighted losses at each step."""
        return np.asarray(np.sum(list(self.losses.values()), axis=0))


class _Course:
    def __init__(
        self, torch: Any, names: Notation, plan: Plan, terms: Sequence[Term], checks: Sequence[Term],
        settings: Settings, device: str, batch: int,
    ) -> None:  # fmt: skip
        self.torch, self.names, self.settings, self.batch = torch, names, settings, batch
        self.device, self.dtype = device, torch.float32 if device == "mps" else torch.float64
        self.network = make_network(torch, plan, settings.seed, device, self.dtype)
        self.parameters = list(self.network.parameters())
        self.terms = [(term, self.tensor(term.points), self.tensor(term.target)) for term in terms]
        self.held = [(term, self.tensor(term.points), self.tensor(term.target)) for term in checks]
        self.factors = [1.0] * len(terms)
        self.order = np.random.default_rng(settings.seed)
        self.found = Trained([], [], self.evaluate, losses={term.name: [] for term in terms})

    def tensor(self, array: Array) -> Any:
        return self.torch.tensor(np.ascontiguousarray(array), dtype=self.dtype, device=self.device)

    def field(self, points: Any) -> Field:
        columns = [points[:, index].detach().clone().requires_grad_(True) for index in range(points.shape[1])]
        values = self.network(self.torch.stack(columns, dim=1))
        unknowns = {name: values[:, index] for index, name in enumerate(self.names.unknowns)}
        return Field(self.torch, dict(zip(self.names.variables, columns, strict=True)), unknowns, self.names.values)

    def square(self, term: Term, points: Any, target: Any) -> Any:
        """Return the sum of squares of a term at points."""
        return ((self.field(points).value(term.tree) - target) ** 2).sum()

    def adam(self) -> None:
        torch, settings = self.torch, self.settings
        optimiser = torch.optim.Adam(self.parameters, lr=settings.lr)
        best, waited = math.inf, 0
        kept = [item.detach().clone() for item in self.parameters]
        for epoch in range(1, settings.epochs + 1):
            if len(self.terms) > 1 and epoch % BALANCE_EVERY == 1:
                self.balance(first=epoch == 1)
                best, waited = (best, waited) if self.held else (math.inf, 0)  # another weighting, another loss
            losses = self.epoch(optimiser)
            self.note(epoch, losses)
            watched = self.found.checks[-1] if self.held else float(np.dot(self.factors, losses))
            if watched < best:
                best, waited = watched, 0
                kept = [item.detach().clone() for item in self.parameters]
            else:
                waited += 1
            self.found.adam_epochs = epoch
            if waited >= settings.patience and epoch < settings.epochs:
                self.found.early_stopped = True
                break
        with torch.no_grad():
            for item, value in zip(self.parameters, kept, strict=True):
                item.copy_(value)

    def epoch(self, optimiser: Any) -> list[float]:
        """Pass once over all points; returns the mean square of each term on the way."""
        count = math.ceil(max(len(points) for _, points, _ in self.terms) / self.batch)
        shuffled = [self.order.permutation(len(points)) for _, points, _ in self.terms]
        sums, seen = [0.0] * len(self.terms), [0] * len(self.terms)
        for number in range(count):
            optimiser.zero_grad()
            total: Any = 0.0
            for index, (term, points, target) in enumerate(self.terms):
                chosen = shuffled[index][number::count]
                chosen = chosen if len(chosen) else shuffled[index]
                where = self.torch.as_tensor(chosen, device=self.device)
                found = self.square(term, points[where], target[where])
                sums[index] += float(found.detach())
                seen[index] += len(chosen)
                total = total + self.factors[index] * found / len(chosen)
            total.backward()
            optimiser.step()
        return [found / many for found, many in zip(sums, seen, strict=True)]

    def balance(self, *, first: bool) -> None:
        """Weigh the terms by the traces of their tangent kernels (Wang, Yu and Perdikaris 2022, J. Comput. Phys. 449).

        The trace of a term, the mean square of its residual's gradient for the weights of the network, tells how fast
        the training moves it, whatever its size is now. It is estimated with random signs (Hutchinson 1990).
        """
        traces = []
        for term, points, _ in self.terms:
            some = points[: self.batch]
            found, trace = self.field(some).value(term.tree), 0.0
            for signs in self.order.choice([-1.0, 1.0], (DRAWS, len(some))):
                summed = (self.tensor(signs) * found).sum()
                slopes = self.torch.autograd.grad(summed, self.parameters, allow_unused=True, retain_graph=True)
                trace += sum(float((slope**2).sum()) for slope in slopes if slope is not None)
            traces.append(trace / (DRAWS * len(some)))
        mean = sum(traces) / len(traces)
        for index, trace in enumerate(traces):
            wanted = mean / trace if trace > 0 else 1.0
            self.factors[index] = wanted if first else MEMORY * self.factors[index] + (1 - MEMORY) * wanted

    def polish(self) -> None:
        """Minimise the weighted loss of all points by L-BFGS (SciPy's L-BFGS-B without bounds), batch by batch."""
        from scipy.optimize import minimize

        latest: list[float] = []

        def loss(vector: Array) -> tuple[float, Array]:
            nonlocal latest
            self.place(vector)
            self.network.zero_grad()
            latest = []
            for factor, (term, points, target) in zip(self.factors, self.terms, strict=True):
                mean = 0.0
                for start in range(0, len(points), self.batch):
                    part = slice(start, start + self.batch)
                    found = self.square(term, points[part], target[part]) / len(points)
                    (factor * found).backward()
                    mean += float(found.detach())
                latest.append(mean)
            slopes = [item.grad.detach().cpu().numpy().ravel() for item in self.parameters]
            return float(np.dot(self.factors, latest)), np.concatenate(slopes).astype(float)

        def tell(vector: Array) -> None:
            self.found.polished += 1
            if self.found.polished % STEPS_AT_ONCE == 0:
                self.place(vector)
                self.note(self.found.adam_epochs + self.found.polished, latest)

        start = np.concatenate([item.detach().cpu().numpy().ravel() for item in self.parameters]).astype(float)
        solve: Any = minimize
        options: Any = {"maxiter": self.settings.polish, "maxfun": 3 * self.settings.polish, "maxcor": 50, "maxls": 40,
                   "ftol": 1e-15, "gtol": 1e-10}  # fmt: skip
        result = solve(loss, start, jac=True, method="L-BFGS-B", callback=tell, options=options)
        loss(result.x)
        self.note(self.found.adam_epochs + self.found.polished, latest)

    def place(self, vector: Array) -> None:
        """Put a flat vector of numbers into the network."""
        begin = 0
        with self.torch.no_grad():
            for item in self.parameters:
                part = vector[begin : begin + item.numel()].reshape(tuple(item.shape))
                item.copy_(self.tensor(part))
                begin += item.numel()

    def note(self, step: int, losses: Sequence[float]) -> None:
        if not all(map(math.isfinite, losses)):
            raise ComputationError(
                f"The loss is no longer finite at step {step}.",
                hint="Use a smaller lr, and check that the equations are finite everywhere in the box.",
            )
        self.found.steps.append(step)
        for name, loss in zip(self.found.losses, losses, strict=True):
            self.found.losses[name].append(loss)
        if self.held:
            squares = [float(self.square(*item).detach()) / len(item[1]) for item in self.held]
            self.found.checks.append(float(np.sum(squares)))

    def evaluate(self, tree: Any, points: Array) -> Array:
        parts = []
        for start in range(0, len(points), self.batch):
            found = self.field(self.tensor(points[start : start + self.batch])).value(tree)
            parts.append(found.detach().cpu().numpy().astype(float))
        return np.concatenate(parts)

    def finish(self) -> Trained:
        found = self.found
        found.weights = [item.detach().cpu().numpy().astype(float) for item in self.network.weights]
        found.biases = [item.detach().cpu().numpy().astype(float) for item in self.network.biases]
        found.factors = {term.name: factor for factor, (term, _, _) in zip(self.factors, self.terms, strict=True)}
        return found


def train(
    torch: Any, names: Notation, plan: Plan, terms: Sequence[Term], checks: Sequence[Term], settings: Settings,
    device: str, batch: int,
) -> Trained:  # fmt: skip
    """Train a network.

    Args:
        torch: The library.
        names: Variables, unknowns and numbers.
        plan: The network.
        terms: What is minimised.
        checks: Held-out terms, which decide when Adam stops; none leaves that to the loss.
        settings: How long and how fast.
        device: Name of a torch device.
        batch: Points at once.

    Raises:
        ComputationError: The loss is not finite.
    """
    course = _Course(torch, names, plan, terms, checks, settings, device, batch)
    course.adam()
    if settings.polish:
        course.polish()
    return course.finish()

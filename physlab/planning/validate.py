"""Validation: every problem of a graph at once, each with its node, a code and a hint."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from physlab import graph
from physlab.caps import CAPS, limit
from physlab.errors import PhysicsError, PhyslabError, UnitsError, ValidationError, nearest
from physlab.model import Dag, Node, Problem
from physlab.tools.prepare import Findings, Input, Prepared, Shapes, prepare, unit_factor
from physlab.tools.registry import Method, Registry

ERROR_OF: dict[str, type[PhyslabError]] = {
    "VALIDATION_ERROR": ValidationError,
    "UNITS_ERROR": UnitsError,
    "PHYSICS_ERROR": PhysicsError,
}


@dataclass(frozen=True, slots=True)
class CheckedNode:
    """A node that was found right."""

    node: Node
    method: Method
    prepared: Prepared
    upstream: tuple[str, ...]

    @property
    def lasting(self) -> bool:
        """True when an earlier result may be taken."""
        return self.node.cache and self.method.lasting


@dataclass
class Checked:
    """What validation found.

    Attributes:
        nodes: The right nodes by id, each after what it needs (all of them when `ok`).
        problems: Errors and warnings.
    """

    nodes: dict[str, CheckedNode]
    problems: list[Problem] = field(default_factory=list)

    @property
    def errors(self) -> list[Problem]:
        """The problems that keep the graph from running."""
        return [problem for problem in self.problems if problem.severity == "error"]

    @property
    def warnings(self) -> list[Problem]:
        """The problems that do not."""
        return [problem for problem in self.problems if problem.severity == "warning"]

    @property
    def ok(self) -> bool:
        """True when the graph will run."""
        return not self.errors

    def require(self) -> None:
        """Raise one error with every problem unless the graph is right."""
        errors = self.errors
        if errors:
            shown = "\n".join(f"  - {problem}" for problem in errors[:20])
            more = f"\n  … and {len(errors) - 20} more" if len(errors) > 20 else ""
            kinds = {problem.code for problem in errors}
            raise ERROR_OF.get(kinds.pop() if len(kinds) == 1 else "", ValidationError)(
                f"The DAG has {len(errors)} error{'s' if len(errors) > 1 else ''}:\n{shown}{more}\n",
                hint="Mend them and try again; 'physlab validate' shows them as a table.",
                details={"problems": [problem.model_dump() for problem in self.problems]},
            )


def check(
    dag: Dag, registry: Registry, *, base_dir: Path, caps: Mapping[str, float] | None = None, cores: int | None = None,
    sites: Collection[str] | None = None,
) -> Checked:  # fmt: skip
    """Find everything that is wrong with a graph.

    Args:
        dag: The graph as it was read.
        registry: The tools.
        base_dir: Folder that relative file names start from.
        caps: Caps of this lab.
        cores: The most cores that any site offers, when known.
        sites: Names of the sites, when known.
    """
    problems = [*_shape(dag, limit("nodes", caps)), *_sources(dag, base_dir), *_places(dag, sites)]
    connected = graph.connect(dag)
    ids = {node.id: node for node in connected.nodes}
    upstream: dict[str, tuple[str, ...]] = {}
    told = {(edge.target, edge.source) for edge in dag.edges}  # an edge from nowhere was named already
    for node in connected.nodes:
        wanted = graph.needs(node)
        problems.extend(
            _error(node.id, f"it needs '{name}', which is not a node.", nearest(name, ids))
            for name in wanted
            if name not in ids and (node.id, name) not in told
        )
        upstream[node.id] = tuple(name for name in wanted if name in ids)
    order = graph.order(upstream)
    if len(order) < len(ids):
        problems.extend(
            _error(path[0], f"cycle: {' → '.join(path)}.", "Remove one of these dependencies.")
            for path in graph.cycles(upstream)
        )
        reached = set(order)
        order += [name for name in ids if name not in reached]
    methods: dict[tuple[str, str | None], Method | ValidationError] = {}
    nodes: dict[str, CheckedNode] = {}
    shapes: Shapes = {}
    doubles = [node for node in connected.nodes if ids[node.id] is not node] if len(ids) < len(connected.nodes) else []
    for node in [*doubles, *(ids[name] for name in order)]:
        method = _method(registry, node, methods)
        if isinstance(method, ValidationError):
            problems.append(_error(node.id, method.message, method.hint))
            continue
        prepared = _prepare(node, method, base_dir, caps, cores, problems, shapes)
        if prepared is not None:
            nodes[node.id] = CheckedNode(node, method, prepared, upstream[node.id])
    links: dict[tuple[Any, ...], float | PhyslabError] = {}
    for checked in list(nodes.values()):
        if checked.prepared.inputs:
            _check_inputs(checked, ids, methods, nodes, problems, links)
    wrong = {problem.node_id for problem in problems if problem.severity == "error"}
    return Checked({name: item for name, item in nodes.items() if name not in wrong} if wrong else nodes, problems)


def _error(node_id: str | None, message: str, hint: str = "", code: str = "VALIDATION_ERROR") -> Problem:
    return Problem(severity="error", node_id=node_id, code=code, message=message, hint=hint)


def _warning(node_id: str | None, message: str, hint: str = "") -> Problem:
    return Problem(severity="warning", node_id=node_id, code="VALIDATION_ERROR", message=message, hint=hint)


def _shape(dag: Dag, most: float) -> Iterator[Problem]:
    if not dag.nodes:
        yield _error(None, "the DAG has no nodes.", "Add at least one {id, tool, params}.")
    if len(dag.nodes) > most:
        yield _error(
            None, f"{len(dag.nodes)} nodes are more than the cap of {most:g}.", "Split it, or raise caps.nodes."
        )
    counts = Counter(node.id for node in dag.nodes)
    for name, count in counts.items():
        if count > 1:
            yield _error(name, f"{count} nodes have the id '{name}'.", "Give each node its own id.")
    for edge in dag.edges:
        for end, name in (("from", edge.source), ("to", edge.target)):
            if name not in counts:
                text = f"the edge {edge.source} → {edge.target}: '{end}' names '{name}', which is not a node."
                yield _error(edge.target if edge.target in counts else None, text, nearest(name, counts))


def _sources(dag: Dag, base_dir: Path) -> Iterator[Problem]:
    """Yield the files of references that are not there: a report would miss them after all is computed."""
    for item in dag.bib:
        if "{" not in item and not (base_dir / item).is_file():
            text = f"the bibliography '{base_dir / item}' does not exist."
            yield _error(None, text, "Correct metadata.bib: BibTeX entries, or paths of .bib files.")


def _places(dag: Dag, sites: Collection[str] | None) -> Iterator[Problem]:
    """Yield the sites that are asked for and not known: only a run that goes elsewhere as a whole can do without."""
    if sites is None:
        return
    for node in dag.nodes:
        wanted = node.resources.site if node.resources else None
        if wanted is not None and wanted not in sites:
            text = f"resources.site: this lab has no site '{wanted}'."
            yield _warning(node.id, text, f"{nearest(wanted, sites)} Or run all of it here: --site local.")


def _method(
    registry: Registry, node: Node, known: dict[tuple[str, str | None], Method | ValidationError]
) -> Method | ValidationError:
    name = (node.tool, node.method)
    if name not in known:
        try:
            known[name] = registry.find(*name)
        except ValidationError as error:
            known[name] = error
    return known[name]


def _prepare(
    node: Node,
    method: Method,
    base_dir: Path,
    caps: Mapping[str, float] | None,
    cores: int | None,
    problems: list[Problem],
    shapes: Shapes,
) -> Prepared | None:
    findings = Findings()
    prepared = prepare(node, method, base_dir, findings, shapes)
    if prepared is not None:
        if method.caps and not prepared.allow_large:
            _check_caps(method, prepared.params, caps, findings)
        if method.numeric and node.visual_outputs is None:
            chosen = ", ".join(name for name, value in prepared.visuals if value) or "none"
            hint = "Declare visual_outputs: {static, series, animation}."
            problems.append(_warning(node.id, f"no visual outputs are declared; it will write: {chosen}.", hint))
    asked = node.resources
    if asked is not None and cores is not None and asked.cpu > cores:
        text = f"resources.cpu = {asked.cpu} is more than any site offers; it will run on {cores}."
        problems.append(_warning(node.id, text))
    if node.device not in ("auto", "cpu", "gpu") and node.device not in method.devices:
        able = ", ".join(method.devices)
        problems.append(_warning(node.id, f"{method.full_name} has no {node.device} version; it runs on: {able}."))
    problems.extend(_error(node.id, message, hint, code) for code, message, hint in findings.items)
    return prepared


def _check_caps(
    method: Method, params: Mapping[str, Any], caps: Mapping[str, float] | None, findings: Findings
) -> None:
    for name, cap in method.caps.items():
        value = params.get(name)
        if isinstance(value, list) and len(value) == 3:  # [first, last, points]
            value = value[2]
        ceiling = limit(cap, caps)
        if isinstance(value, int | float) and value > ceiling:
            findings.add(
                "VALIDATION_ERROR",
                f"{name} = {value:g} is above the cap of {ceiling:g} {CAPS[cap].unit} for {CAPS[cap].protects}.",
                f"Use at most {ceiling:g}, or set allow_large: true.",
            )


def _check_inputs(
    checked: CheckedNode,
    ids: Mapping[str, Node],
    methods: Mapping[tuple[str, str | None], Method | ValidationError],
    nodes: dict[str, CheckedNode],
    problems: list[Problem],
    links: dict[tuple[Any, ...], float | PhyslabError],
) -> None:
    """Hold each reference against the fields that its source returns, and their units against the parameter's.

    Args:
        checked: The node.
        ids: All nodes.
        methods: What each tool and method name means.
        nodes: The right nodes; takes this one anew when its numbers are converted.
        problems: Takes what is wrong.
        links: What is known of a field of one method in a parameter of another: large graphs repeat few of them.
    """
    inputs: list[Input] = []
    for item in checked.prepared.inputs:
        source = ids.get(item.reference.node)
        method = methods.get((source.tool, source.method)) if source is not None else None
        if not isinstance(method, Method):
            inputs.append(item)
            continue
        link = (method, item.reference.path, checked.method, item.parameter)
        known = links.get(link)
        if known is None:
            known = links[link] = _link(item, method, checked.method)
        if isinstance(known, PhyslabError):
            code = known.code if isinstance(known, UnitsError) else "VALIDATION_ERROR"
            text = f"{item.parameter}: '{item.reference}': {known.message}"
            problems.append(_error(checked.node.id, text, known.hint, code))
        inputs.append(
            Input(item.parameter, item.reference, known) if isinstance(known, float) and known != 1.0 else item
        )
    if any(item.factor != 1.0 for item in inputs):
        old = checked.prepared
        prepared = Prepared(old.params, tuple(inputs), old.visuals, old.allow_large, old.files)
        nodes[checked.node.id] = CheckedNode(checked.node, checked.method, prepared, checked.upstream)


def _link(item: Input, source: Method, target: Method) -> float | PhyslabError:
    """Return the factor between a returned field and a parameter, or why they do not go together."""
    path = item.reference.path
    names = [port.name for port in source.returns]
    if path and not source.open_returns and path[0] != "meta" and path[0] not in names:
        return ValidationError(f"{source.full_name} returns no '{path[0]}'.", hint=nearest(path[0], names))
    try:
        return unit_factor(source, path, target, item.parameter)
    except PhyslabError as error:
        return error

"""The plan: keys, hits and misses, and where each node would run. Pure but for the look-ups it is given."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

from physlab.keys import canonical, digest, node_base, node_frame, node_key
from physlab.planning.validate import CheckedNode
from physlab.store import Entry
from physlab.tools.prepare import Input
from physlab.tools.registry import Method

State = Literal["hit", "miss", "pending"]


class Memory(Protocol):
    """The look-ups a plan needs; the store has them."""

    def hits_by_recipe(self, recipes: Sequence[str]) -> dict[str, Entry]:
        """Return intact results by recipe."""

    def hits_by_key(self, keys: Sequence[str]) -> dict[str, Entry]:
        """Return intact results by content key."""

    def digest_files(self, paths: Collection[Path]) -> Mapping[Path, str]:
        """Return the SHA-256 of files."""


@dataclass(slots=True)
class Device:
    """The device kind of a node, why it is not the one asked for, and the site that has it, with the reason."""

    kind: str
    fallback: str | None = None
    place: tuple[str, str] | None = None


@dataclass(slots=True)
class PlannedNode:
    """One node of the plan.

    Attributes:
        checked: The node, its method and parameters.
        params: The parameters as they enter the key (files by digest).
        device: Device kind it will run on.
        fallback: Why that is not the one asked for.
        place: Site that has the device, and why it was chosen; None: the site is chosen when the node begins.
        base: Identity without its inputs.
        recipe: Identity over the recipes of its inputs.
        key: Content key; None while an input is not computed yet.
        state: `hit`, `miss`, or `pending` on a node that must run first.
        entry: The result, for a hit.
        waits_for: The nodes a pending node waits for.
    """

    checked: CheckedNode
    params: dict[str, Any]
    device: str
    fallback: str | None
    base: str
    recipe: str
    key: str | None = None
    state: State = "pending"
    entry: Entry | None = None
    waits_for: tuple[str, ...] = ()
    place: tuple[str, str] | None = None

    @property
    def id(self) -> str:
        """The node's id."""
        return self.checked.node.id


@dataclass
class Plan:
    """What a run would do.

    Attributes:
        nodes: By id, each after what it needs.
        refreshed: Ids that run although a result may be there.
        frame_of: Gives the part of a node's identity beside its parameters and seed, on a kind of device.
    """

    nodes: dict[str, PlannedNode]
    refreshed: frozenset[str]
    frame_of: Callable[[CheckedNode, str], str]

    def count(self, state: State) -> int:
        """Return how many nodes are in a state."""
        return sum(node.state == state for node in self.nodes.values())

    def settle(self, node: PlannedNode, entry: Entry) -> None:
        """Take in a node's result."""
        node.entry, node.key = entry, entry.key

    def key_of(self, node: PlannedNode) -> str | None:
        """Return a node's content key if all its inputs are known."""
        contents = self._contents(node)
        return None if contents is None else node_key(node.base, contents)

    def _contents(self, node: PlannedNode) -> list[str] | None:
        contents = []
        for item in node.checked.prepared.inputs:
            entry = self.nodes[item.reference.node].entry
            if entry is None:
                return None
            contents.append(content_digest(entry, item))
        return contents

    def identity_on(self, node: PlannedNode, device: str) -> tuple[str, str]:
        """Return recipe and key of a node that ran on a device, perhaps another one than was planned."""
        if device == node.device:
            return node.recipe, str(node.key)
        base = node_base(self.frame_of(node.checked, device), node.checked.node.seed, canonical(node.params))
        return node_key(base, _recipes(node.checked, self.nodes)), node_key(base, self._contents(node) or [])


def content_digest(entry: Entry, item: Input) -> str:
    """Return what identifies the value that an input takes from a result: a digest, then what is done to it.

    A field that the result lacks gives a digest that no result has; the run then says what is missing.
    """
    path = item.reference.path
    if not path:
        return _taken(digest(entry.fields), (), item.factor)
    return _taken(entry.fields.get(path[0], f"{entry.record}:no {path[0]}"), path[1:], item.factor)


def _taken(source: str, path: Sequence[str], factor: float) -> str:
    """Spell which part of a source enters a node, and its change of unit: 1 eV and 1 J have the same digits."""
    return ".".join((source, *path)) + ("" if factor == 1.0 else f"*{factor!r}")


def make_plan(
    nodes: Mapping[str, CheckedNode],
    memory: Memory,
    *,
    code_of: Callable[[Method], str],
    device_of: Callable[[CheckedNode], Device],
    refresh: bool | Collection[str] = False,
) -> Plan:
    """Plan a run.

    Args:
        nodes: The checked nodes, each after what it needs.
        memory: Where results are looked up.
        code_of: Gives the code digest of a method.
        device_of: Gives the device of a node; alike for nodes of one method, wish and resources.
        refresh: True or node ids: compute although a result is there.
    """
    codes: dict[Method, str] = {}

    def frame_of(item: CheckedNode, device: str) -> str:
        if item.method not in codes:
            codes[item.method] = code_of(item.method)
        visuals = [what for what, wanted in item.prepared.visuals if wanted]
        return node_frame(
            tool=item.node.tool, method=item.method.name, visuals=visuals, code=codes[item.method], device=device
        )

    planned = _identify(nodes, memory, frame_of, device_of)
    if refresh is True:
        again = frozenset(planned)
    else:
        again = frozenset(refresh or ()) | {name for name, item in nodes.items() if not item.lasting}
    plan = Plan(planned, again, frame_of)
    known = memory.hits_by_recipe([node.recipe for node in planned.values() if node.id not in again])
    fresh = _resolve(plan, planned.values(), known)
    readers: dict[str, list[PlannedNode]] = {}
    for node in planned.values():
        for name in {item.reference.node for item in node.checked.prepared.inputs} if node.state != "hit" else ():
            readers.setdefault(name, []).append(node)
    while fresh:  # each round goes on behind those whose recipe is new but whose inputs have known contents
        found = memory.hits_by_key(list({str(node.key): None for node in fresh}))
        late = [node for node in fresh if node.key in found]
        for node in late:
            node.state = "hit"
            plan.settle(node, found[str(node.key)])
        fresh = []
        while late:
            behind = {reader.id: reader for node in late for reader in readers.get(node.id, ())}
            new = _resolve(plan, behind.values(), known)
            fresh += new
            late = [node for node in behind.values() if node.state == "hit"]
    for node in planned.values():
        if node.state != "hit":
            node.waits_for = tuple(name for name in node.checked.upstream if planned[name].state != "hit")
            node.state = "pending" if node.key is None else "miss"
    return plan


def _identify(
    nodes: Mapping[str, CheckedNode],
    memory: Memory,
    frame_of: Callable[[CheckedNode, str], str],
    device_of: Callable[[CheckedNode], Device],
) -> dict[str, PlannedNode]:
    paths = {Path(path) for item in nodes.values() for path in item.prepared.files}
    files = {str(path): found for path, found in memory.digest_files(paths).items()} if paths else {}
    texts: dict[int, bytes] = {}  # nodes of one shape share their parameters; all of them live as long as `planned`
    frames: dict[tuple[Any, ...], tuple[str, Device]] = {}
    planned: dict[str, PlannedNode] = {}
    for name, item in nodes.items():
        method, node, prepared = item.method, item.node, item.prepared
        kind = (id(method), node.device, id(prepared.visuals), node.resources if len(method.devices) > 1 else None)
        if kind not in frames:
            device = device_of(item)
            frames[kind] = (frame_of(item, device.kind), device)
        frame, device = frames[kind]
        params = _with_digests(prepared.params, files) if prepared.files else prepared.params
        text = texts.get(id(params))
        if text is None:
            text = texts[id(params)] = canonical(params)
        base = node_base(frame, node.seed, text)
        recipe = node_key(base, _recipes(item, planned))
        planned[name] = PlannedNode(item, params, device.kind, device.fallback, base, recipe, place=device.place)
    return planned


def _recipes(item: CheckedNode, planned: Mapping[str, PlannedNode]) -> list[str]:
    return [
        _taken(planned[entry.reference.node].recipe, entry.reference.path, entry.factor)
        for entry in item.prepared.inputs
    ]


def _with_digests(value: Any, files: Mapping[str, str]) -> Any:
    if isinstance(value, dict):
        if len(value) == 1 and "$path" in value:
            return {"$file": files[value["$path"]]}
        return {key: _with_digests(item, files) for key, item in value.items()}
    if isinstance(value, list):
        return [_with_digests(item, files) for item in value]
    return value


def _resolve(plan: Plan, nodes: Iterable[PlannedNode], known: Mapping[str, Entry]) -> list[PlannedNode]:
    """Give nodes their keys as far as that is possible, take the hits, and return whose keys are to be looked up."""
    unknown = []
    for node in nodes:
        node.key = plan.key_of(node)
        entry = known.get(node.recipe)
        if node.id in plan.refreshed or node.key is None:
            continue
        if entry is not None and node.key == entry.key:
            node.state, node.entry = "hit", entry
        else:
            unknown.append(node)
    return unknown

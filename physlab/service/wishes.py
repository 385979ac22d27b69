"""The parameters of the public methods: their accepted names, and what must be there."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from physlab.errors import ValidationError, nearest
from physlab.lab import Lab
from physlab.model import RunRequest


def take(params: dict[str, Any], method: str, **names: tuple[str, ...]) -> dict[str, Any]:
    """Pick a method's parameters by their accepted names, refusing what is left.

    Raises:
        ValidationError: A name is unknown, or a parameter stands there under two names.
    """
    rest = dict(params)
    taken = {}
    for name, spellings in names.items():
        found = [spelling for spelling in (name, *spellings) if spelling in rest]
        if len(found) > 1:
            raise ValidationError(f"{method}: '{found[0]}' and '{found[1]}' mean the same.", hint="Give one of them.")
        if found:
            taken[name] = rest.pop(found[0])
    if rest:
        known = [spelling for name, others in names.items() for spelling in (name, *others)]
        raise ValidationError(
            f"{method} knows no parameter '{next(iter(rest))}'.", hint=nearest(next(iter(rest)), known)
        )
    return taken


def needed(taken: Mapping[str, Any], name: str, method: str) -> Any:
    """Return a parameter that must be there.

    Raises:
        ValidationError: It is not.
    """
    if taken.get(name) is None:
        raise ValidationError(f"{method} needs '{name}'.", hint="See: physlab tools show experiment_orchestrator.")
    return taken[name]


def read_run_call(params: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
    """Return the graph and the wishes that the parameters of a `run_dag` call spell.

    Raises:
        ValidationError: A parameter is unknown, or no graph is named.
    """
    taken = take(
        params,
        "run_dag",
        dag_id=("dag", "name", "spec"),
        parallelism=(),
        offload_policy=("execution_policy",),
        site=(),
        refresh=(),
        fail_fast=(),
        cache_enabled=(),
        parallel_execution=(),
    )
    dag = needed(taken, "dag_id", "run_dag")
    if taken.pop("cache_enabled", True) is False:
        taken["refresh"] = True
    if taken.pop("parallel_execution", True) is False:
        taken["parallelism"] = 1
    return dag, {name: wish for name, wish in taken.items() if name != "dag_id"}


def run_request(lab: Lab, **changes: Any) -> RunRequest:
    """Return the lab's defaults for a run with the changes of one call; who names a cluster wants its nodes there.

    Raises:
        ValidationError: A value is out of its range, or there is no such cluster.
    """
    import pydantic

    site = changes.get("site")
    if site not in (None, "local"):
        lab.clusters(site)
        changes["offload_policy"] = changes.get("offload_policy") or "remote_first"
    try:
        return lab.settings.run.request(**changes)
    except pydantic.ValidationError as error:
        item = error.errors()[0]
        name = ".".join(map(str, item["loc"][:1]))
        raise ValidationError(
            f"{name} = {item['input']!r}: {item['msg'][:1].lower()}{item['msg'][1:]}.", hint="See: physlab run --help."
        ) from error

"""The work pool that pods come from, and the deployment of `run-node` in it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from uuid import UUID

from prefect.exceptions import ObjectNotFound

from physlab.engine.locator import entrypoint, root
from physlab.errors import ConfigurationError
from physlab.sites.kubernetes.variables import NEEDED

if TYPE_CHECKING:
    from prefect.client.orchestration import SyncPrefectClient

TYPE, FLOW = "kubernetes", "run-node"
PULL = {"physlab.engine.locator.set_root": dict[str, Any]()}
HINT = "Make it: physlab site install {site}"


@dataclass(frozen=True)
class Pool:
    """A work pool that is ready to take pods.

    Attributes:
        name: Its name.
        deployment: The deployment of `run-node` in it.
        usual: What its pods are given that do not ask for something else.
    """

    name: str
    deployment: UUID
    usual: dict[str, Any]


def template() -> dict[str, Any]:
    """Return the base job template of the lab's pools, `deployments/kubernetes/chart/pool.json`."""
    return dict(json.loads((root() / "deployments" / "kubernetes" / "chart" / "pool.json").read_text(encoding="utf-8")))


def find_pool(client: SyncPrefectClient, name: str, site: str) -> Pool:
    """Return a site's work pool.

    Raises:
        ConfigurationError: It, or `run-node` in it, is missing, or it is another kind of pool.
    """
    hint = HINT.format(site=site)
    try:
        pool = client.read_work_pool(name)
    except ObjectNotFound as error:
        raise ConfigurationError(f"There is no work pool '{name}' on this Prefect server.", hint=hint) from error
    if pool.type != TYPE:
        raise ConfigurationError(
            f"The work pool '{name}' is of type {pool.type}; pods need one of type {TYPE}.",
            hint=f"Name another one: pool in [sites.kubernetes.{site}].",
        )
    known = pool.base_job_template.get("variables", {}).get("properties", {})
    if missing := sorted(NEEDED - set(known)):
        raise ConfigurationError(
            f"The work pool '{name}' has no variables {', '.join(missing)}: its pods would not get what nodes ask for.",
            hint=f"Give it the lab's template: physlab site install {site}",
        )
    try:
        deployment = client.read_deployment_by_name(f"{FLOW}/{name}").id
    except ObjectNotFound as error:
        raise ConfigurationError(f"There is no deployment {FLOW}/{name}.", hint=hint) from error
    return Pool(name, deployment, _defaults(pool.base_job_template))


def make_pool(client: SyncPrefectClient, name: str, namespace: str | None = None) -> Pool:
    """Make a work pool with the lab's template, and `run-node` in it; what is there is brought up to date.

    Args:
        client: The server's client.
        name: What the pool is called.
        namespace: Where its pods are made unless somebody said so before.

    Raises:
        ConfigurationError: It is there and of another kind.
    """
    from prefect.client.schemas.actions import WorkPoolCreate, WorkPoolUpdate

    try:
        pool = client.read_work_pool(name)
    except ObjectNotFound:
        made = _with_defaults({"namespace": namespace} if namespace else {})
        client.create_work_pool(WorkPoolCreate(name=name, type=TYPE, base_job_template=made))
    else:
        if pool.type != TYPE:
            raise ConfigurationError(
                f"The work pool '{name}' is of type {pool.type}; pods need one of type {TYPE}.",
                hint="Name another one: pool in [sites.kubernetes.NAME].",
            )
        made = _with_defaults(_defaults(pool.base_job_template))
        client.update_work_pool(name, WorkPoolUpdate(base_job_template=made))
    deployment = client.create_deployment(
        client.create_flow_from_name(FLOW), name, work_pool_name=name, work_queue_name="default",
        entrypoint=f"flows/{entrypoint('run_node').rpartition('/')[2]}", pull_steps=[PULL], tags=["physlab"],
        description="Run nodes in a pod; started by runs of a graph.",
        parameter_openapi_schema=_parameters(),
    )  # fmt: skip
    return Pool(name, deployment, _defaults(made))


def _defaults(of: dict[str, Any]) -> dict[str, Any]:
    """Return the defaults of the variables of a base job template."""
    properties = of.get("variables", {}).get("properties", {})
    return {name: one["default"] for name, one in properties.items() if one.get("default") is not None}


def _with_defaults(given: dict[str, Any]) -> dict[str, Any]:
    """Return the lab's template with the defaults that somebody gave its variables."""
    new = template()
    for name in given.keys() & new["variables"]["properties"].keys():
        new["variables"]["properties"][name]["default"] = given[name]
    return new


def _parameters() -> dict[str, Any]:
    from prefect.utilities.callables import parameter_schema

    from physlab.engine.locator import load_flow

    return parameter_schema(load_flow("run_node")).model_dump_for_openapi()

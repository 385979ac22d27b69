"""The lab: settings, store, tools and sites together, and the graphs it knows by name."""

from __future__ import annotations

import contextvars
import re
import secrets
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from physlab import graph
from physlab.collector import no_collection
from physlab.errors import ValidationError, nearest
from physlab.model import Dag, RunRecord, RunRequest
from physlab.plugins import all_tools
from physlab.settings import KubernetesSiteSettings, Settings, SlurmSiteSettings
from physlab.sites.base import LOCAL, Site
from physlab.sites.kubernetes.launching import Launcher, no_server
from physlab.specfile import SUFFIXES, read_spec
from physlab.spelling import Vocabulary, read_dag
from physlab.store import Store, open_store, schema
from physlab.store.index import dag_face
from physlab.store.lease import has_ended
from physlab.tools import Registry, Tool
from physlab.tools.fingerprint import code_digest

if TYPE_CHECKING:
    from physlab.planning import Checked, Plan
    from physlab.sites import LocalSite
    from physlab.sites.forerunner import Forerunner

Launch = Callable[[str, KubernetesSiteSettings], Launcher]
CALL = "call "
"""How the title of a run begins that was a single tool call."""


@dataclass(frozen=True)
class NamedDag:
    """A graph with its identity and the folder that its relative file names start from."""

    dag: Dag
    dag_id: str
    base_dir: Path

    def entitled(self, title: str) -> NamedDag:
        """Return the same graph under a title, which is no part of its identity."""
        return NamedDag(self.dag.model_copy(update={"title": title}), self.dag_id, self.base_dir)


class Lab:
    """One lab. Opens its parts when they are needed; a context manager.

    Args:
        settings: What the lab set.
        forerunner: A worker that was started beforehand, for the first work of this lab.
        launch: Makes what starts the pods of a Kubernetes site; None where no Prefect server is at hand.
    """

    def __init__(self, settings: Settings, forerunner: Forerunner | None = None, launch: Launch | None = None) -> None:
        self.settings = settings
        self._launch = launch
        self._only_plans = True
        self._forerunner = forerunner
        self._sites: dict[int | None, LocalSite] = {}
        self._clusters: dict[str, Site] = {}

    @cached_property
    def store(self) -> Store:
        """The store, created on first use."""
        return open_store(self.settings.home / "store", self.settings.store.index_url)

    @cached_property
    def registry(self) -> Registry:
        """All tools."""
        return all_tools()

    @cached_property
    def vocabulary(self) -> Vocabulary:
        """The names of the tools, for reading payloads."""
        tools = self.registry.tools
        return Vocabulary(
            discriminators=_OfTools(
                tools, lambda tool: tool.discriminator or ("method" if None not in tool.methods else None)
            ),
            aliases=self.registry.aliases,
            method_aliases=_OfTools(tools, lambda tool: tool.method_aliases),
        )

    def sites(self, at_once: int | None = None) -> list[Site]:
        """Return the sites of the lab, for so many nodes at the same time; the first is this machine.

        They are the same from run to run, with their warm workers, until a run was stopped and closed them.
        """
        from physlab.sites import LocalSite

        site = self._sites.get(at_once)
        if site is None or site.closed:
            local = self.settings.sites.local
            site = self._sites[at_once] = LocalSite(
                self.store.root, local.workers, local.memory_gb, at_once, self._forerunner
            )
            self._forerunner = None
        return [site]

    @property
    def site_names(self) -> list[str]:
        """The names of all sites."""
        return [LOCAL, *self.settings.sites.slurm, *self.settings.sites.kubernetes]

    def clusters(self, name: str | None = None) -> list[Site]:
        """Return the clusters where nodes may run: the one of this name, or all that are configured.

        Raises:
            ValidationError: There is none of that name.
        """
        if name == LOCAL:
            return []
        sites = self.settings.sites
        pods = [] if self._launch is None and not self._only_plans else list(sites.kubernetes)
        found = []
        for each in [name] if name else [*sites.slurm, *pods]:
            known = self._clusters.get(each)
            if known is None or known.closed:
                known = self._clusters[each] = self._kubernetes(each) if each in sites.kubernetes else self._slurm(each)
            found.append(known)
        return found

    def prepare(self, site: str | None) -> None:
        """Say that nodes are going to be run, not only planned: without a Prefect server none goes to a pod.

        Raises:
            ConfigurationError: The site that is asked for starts pods, and there is no Prefect server.
        """
        self._only_plans = False
        if self._launch is None and site in self.settings.sites.kubernetes:
            raise no_server(str(site))

    def _slurm(self, name: str) -> Site:
        from physlab.sites.slurm.site import SlurmSite

        _, settings = self.cluster(name)
        return SlurmSite(
            name, settings, self.store.root, self.site_folder(name), self.settings.home / "sites" / name,
            comment="physlab", tools=self.settings.tools, share=settings.share_store,
        )  # fmt: skip

    def _kubernetes(self, name: str) -> Site:
        from physlab.sites.kubernetes.site import KubernetesSite

        settings, launch = self.settings.sites.kubernetes[name], self._launch
        context = contextvars.copy_context()  # it tells which server is meant, and threads of a run do not inherit it
        return KubernetesSite(
            name, settings, self.store.root, None if launch is None else lambda: context.run(launch, name, settings),
            tools=self.settings.tools, known=self.mean_durations,
        )  # fmt: skip

    def site_folder(self, name: str) -> Path:
        """Return the folder of a cluster where its pilots, and what they need, live; a path there."""
        _, settings = self.cluster(name)
        return (settings.folder or self.settings.home / "sites" / name).absolute()

    def cluster(self, name: str | None = None) -> tuple[str, SlurmSiteSettings]:
        """Return a Slurm cluster by name; the first one that is configured, or the one at hand here, for None.

        Raises:
            ValidationError: There is none of that name.
        """
        known = self.settings.sites.slurm
        if name is None:
            return next(iter(known.items()), ("slurm", SlurmSiteSettings()))
        if name in self.settings.sites.kubernetes:
            raise ValidationError(
                f"'{name}' is a Kubernetes cluster; here a Slurm cluster is needed.",
                hint=f"Slurm: {', '.join(known) or 'none'}.",
            )
        if name not in known:
            names = [*known, *self.settings.sites.kubernetes]
            hint = (
                nearest(name, names)
                if names
                else (f"Describe it in physlab.toml under [sites.slurm.{name}] or [sites.kubernetes.{name}].")
            )
            raise ValidationError(f"There is no cluster '{name}'.", hint=hint)
        return name, known[name]

    def read(self, spec: Any, base_dir: Path) -> NamedDag:
        """Return the graph that a specification spells."""
        with no_collection():
            dag = spec if isinstance(spec, Dag) else read_dag(spec, self.vocabulary)
            return NamedDag(dag, graph.identity(dag), base_dir)

    def remember(self, named: NamedDag) -> None:
        """Store a graph as it is written now, so that it can be named by its id or title."""
        content = named.dag.model_dump(mode="json", by_alias=True, exclude_defaults=True, exclude={"nodes"})
        base_dir = str(named.base_dir.resolve())
        record = {"kind": "dag", "dag_id": named.dag_id, "dag": content, "base_dir": base_dir}
        table = schema.dags
        query = table.select().where(table.c.dag_id == named.dag_id, table.c.title == named.dag.title)
        known = self.store.index.rows(query.order_by(table.c.seq.desc()).limit(1))
        if not known or known[0]["face"] != dag_face(record):
            content["nodes"] = [graph.brief(node) for node in named.dag.nodes]
            self.store.append("dag", record)
            self.store.flush()

    def find_dag(self, name: Any, base_dir: Path | None = None, *, what: str = "DAG") -> NamedDag:
        """Return a graph by file, by `dag_id`, by title, from a sentence, or from the specification itself.

        Args:
            name: Which one.
            base_dir: Folder that relative file names start from.
            what: What an error calls it: the word of whoever asks.

        Raises:
            ValidationError: There is none of that name, or the file is not a DAG.
        """
        if isinstance(name, NamedDag):
            return name
        if not isinstance(name, str):
            return self.read(name, base_dir or Path.cwd())
        path = Path(name)
        if path.suffix in SUFFIXES or path.is_file():
            path = (base_dir or Path.cwd()) / path
            named = self.read(read_spec(path), path.parent)
            return named if named.dag.title else named.entitled(path.stem.replace("_", " "))
        self.store.refresh()
        table = schema.dags
        rows = self.store.index.rows(
            table.select().where((table.c.dag_id == name) | (table.c.title == name)).order_by(table.c.seq.desc())
        )
        rows = rows or [row for row in self.dags() if slug(row["title"]) == slug(name)]
        if not rows and len(name.split()) > 1:
            return self._from_sentence(name, base_dir or Path.cwd(), what)
        if not rows:
            titles = {row["title"] for row in self.dags() if row["title"] and not row["title"].startswith(CALL)}
            raise ValidationError(
                f"There is no {what} '{name}'.",
                hint=f"Give a file, an id or a title. {nearest(name, titles) if titles else 'None is defined yet.'}",
            )
        record = self.store.record(rows[0]["digest"])
        return NamedDag(Dag.model_validate(record["dag"]), record["dag_id"], Path(record["base_dir"]))

    def _from_sentence(self, text: str, base_dir: Path, what: str) -> NamedDag:
        from physlab.language import read_sentence

        try:
            return self.read(read_sentence(text), base_dir)
        except ValidationError as error:
            raise ValidationError(
                f"There is no {what} '{text}'. {error.message}",
                hint=f"Give a file, an id, a title or a sentence. {error.hint}",
            ) from error

    def dags(self) -> list[dict[str, Any]]:
        """Return the graphs that were defined, latest first."""
        self.store.refresh()
        return self.store.index.rows(schema.dags.select().order_by(schema.dags.c.seq.desc()))

    def runs(self) -> list[dict[str, Any]]:
        """Return the runs, latest first; one whose process ended without a word is `interrupted`."""
        self.store.refresh()
        rows = self.store.index.rows(schema.runs.select().order_by(schema.runs.c.seq.desc()))
        for row in rows:
            if row["status"] == "running":
                process = self.store.record(row["digest"]).get("process")
                row["status"] = "interrupted" if process and has_ended(process) else "running"
        return rows

    def find_run(self, name: str) -> RunRecord:
        """Return a run by its id, the beginning of its id, `latest`, or the id or title of its graph (its latest run).

        Raises:
            ValidationError: There is none.
        """
        rows = [row for row in self.runs() if row["status"] not in ("running", "interrupted")]
        if name == "latest":
            exact = [row for row in rows if not row["title"].startswith(CALL)]
        else:
            exact = [row for row in rows if name in (row["run_id"], row["dag_id"], row["title"])]
        found = exact or [row for row in rows if len(name) >= 4 and row["run_id"].startswith(name)]
        found = found or [row for row in rows if slug(name) and slug(row["title"]) == slug(name)]
        if not found:
            known = [row["run_id"] for row in rows[:10]]
            raise ValidationError(
                f"There is no finished run '{name}'.",
                hint=nearest(name, known) if known else "Nothing was run yet: physlab run examples/hydrogen_2p.yaml.",
            )
        return RunRecord.model_validate(self.store.record(found[0]["digest"]))

    def check(self, named: NamedDag) -> Checked:
        """Validate a graph."""
        from physlab.planning import check
        from physlab.sites.local import usable_cores

        cores = self.settings.sites.local.workers or len(usable_cores())
        with no_collection():
            return check(
                named.dag, self.registry, base_dir=named.base_dir, caps=self.settings.caps, cores=cores,
                sites=self.site_names,
            )  # fmt: skip

    def plan(self, checked: Checked, refresh: Any = False, request: RunRequest | None = None) -> Plan:
        """Plan a run of a right graph.

        Args:
            checked: The graph.
            refresh: True or node ids: compute although a result is there.
            request: How it will be run; where decides on which device.

        Raises:
            ValidationError: `refresh` names a node that is not there.
            ResourceError: The lab insists on an accelerator, a method could use one, and there is none.
            ConfigurationError: A node asks for a site that is not there, or that cannot run it.
        """
        from physlab.planning import make_plan
        from physlab.planning.devices import Devices
        from physlab.planning.placement import require_sites

        unknown = [] if isinstance(refresh, bool) else [name for name in refresh if name not in checked.nodes]
        if unknown:
            hint = nearest(unknown[0], checked.nodes)
            raise ValidationError(f"refresh names '{unknown[0]}', which is not a node.", hint=hint)
        self.store.refresh()
        asked = request or RunRequest()
        clusters = self.clusters(asked.site)
        if asked.site is None:
            pods = self.settings.sites.kubernetes if self._launch is None else ()
            require_sites({name: item.node for name, item in checked.nodes.items()}, clusters, self.site_names, pods)
        sites = [*self.sites(asked.parallelism), *clusters] if clusters else []
        devices = Devices(self.settings.device, sites, asked.offload_policy, self.mean_durations)
        with no_collection():
            return make_plan(
                checked.nodes, self.store, code_of=code_digest, device_of=devices.device_of, refresh=refresh
            )

    def mean_durations(self) -> dict[tuple[str, str | None], float]:
        """Return how long each method took on average [ms]."""
        table = schema.nodes.c
        query = sa.select(table.tool, table.method, sa.func.avg(table.duration_ms).label("mean"))
        rows = self.store.index.rows(query.group_by(table.tool, table.method))
        return {(row["tool"], row["method"]): float(row["mean"]) for row in rows}

    def close(self) -> None:
        """Stop the sites and write what is pending."""
        for site in (*self._clusters.values(), *self._sites.values()):
            site.close()
        if "store" in self.__dict__:
            self.store.close()

    def __enter__(self) -> Lab:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class _OfTools(Mapping[str, Any]):
    """Something of each tool; a tool is imported when it is asked for."""

    def __init__(self, tools: Mapping[str, Tool], pick: Callable[[Tool], Any]) -> None:
        self._tools, self._pick = tools, pick

    def __getitem__(self, name: str) -> Any:
        return self._pick(self._tools[name])

    def __contains__(self, name: object) -> bool:
        return name in self._tools

    def __iter__(self) -> Iterator[str]:
        return iter(self._tools)

    def __len__(self) -> int:
        return len(self._tools)


def slug(title: str) -> str:
    """Return a title as a folder or command-line name."""
    return re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-")


def new_run_id() -> str:
    """Return a name for a run: its time and six random digits."""
    return f"{datetime.now(UTC):%Y%m%d-%H%M%S}-{secrets.token_hex(3)}"

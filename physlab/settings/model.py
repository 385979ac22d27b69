"""The tree of settings, one class for each section of `physlab.toml`."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    PrivateAttr,
    SecretStr,
    StringConstraints,
    field_validator,
    model_validator,
)

from physlab.caps import CAPS
from physlab.errors import nearest
from physlab.model import RunRequest, Web
from physlab.model.base import Model
from physlab.model.notebook import Name
from physlab.model.record import OffloadPolicy
from physlab.settings.backup import BackupSettings, NotifySettings
from physlab.settings.institute import InstituteName, InstituteSettings
from physlab.settings.portal import PortalSettings
from physlab.settings.remote import KeySettings, RemoteStoreSettings, ReplicaSettings, StoreName


def _known_cap(name: str) -> str:
    if name not in CAPS:
        raise ValueError(f"there is no cap '{name}'. {nearest(name, CAPS)}")
    return name


def _not_taken(name: str) -> str:
    if name in ("local", "lab"):
        raise ValueError(f"'{name}' is this machine's own name")
    return name


CapName = Annotated[str, AfterValidator(_known_cap)]
CapValue = Annotated[float, Field(gt=0, allow_inf_nan=False)]
SiteName = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9-]{0,31}$"), AfterValidator(_not_taken)]
DeviceKind = Literal["cuda", "hip", "mps", "xpu", "cpu"]


def _listed(value: object) -> object:
    """Read `a, b` (an environment variable) as a list."""
    return [part.strip() for part in value.split(",") if part.strip()] if isinstance(value, str) else value


class StoreSettings(Model):
    """`[store]`: where results are kept."""

    index_url: str | None = Field(None, description="SQLAlchemy URL of the index; unset: SQLite in the lab's home.")


class RunSettings(Model):
    """`[run]`: how a graph is run unless the call says otherwise."""

    parallelism: int = Field(2, ge=1, le=16, description="Nodes at once, 1 to 16.")
    offload_policy: OffloadPolicy = Field("auto", description="Where nodes go: local_first, remote_first or auto.")
    site: str | None = Field(None, description="The cluster to use, or local for none; unset: all that are described.")
    fail_fast: bool = Field(False, description="Stop the run at the first failed node.")
    split_s: float = Field(
        8, gt=0, description="A film that is expected to take so long or longer is drawn in parts side by side [s]."
    )

    def request(self, **changes: object) -> RunRequest:
        """Return these defaults as a request, with the changes of one call (None keeps the default)."""
        return RunRequest.model_validate(self.model_dump() | {k: v for k, v in changes.items() if v is not None})


class ServerSettings(Model):
    """`[server]`: the lab's own local Prefect server."""

    mode: Literal["lab", "ephemeral", "none"] = Field(
        "lab", description="lab: one server per home, started when needed; ephemeral: Prefect's own; none: no Prefect."
    )
    host: str = Field("127.0.0.1", description="Address it listens on.")
    port: int | None = Field(None, ge=1, le=65535, description="Port; unset: a free one, kept from then on.")
    database_url: str | None = Field(
        None, description="postgresql+asyncpg://user:password@host/database; unset: SQLite in the lab's home."
    )
    idle_timeout_s: float = Field(1800, gt=0, description="It stops after so long without run, worker, schedule [s].")
    start_timeout_s: float = Field(120, gt=0, description="How long its start may take [s].")

    @field_validator("database_url")
    @classmethod
    def _is_known_database(cls, url: str | None) -> str | None:
        if url is not None and not url.startswith(("postgresql://", "postgresql+asyncpg://")):
            raise ValueError("use postgresql+asyncpg://user:password@host/database, or leave it out for SQLite")
        return url and url.replace("postgresql://", "postgresql+asyncpg://", 1)


class LocalSiteSettings(Model):
    """`[sites.local]`: what this machine gives to nodes."""

    workers: int | None = Field(None, ge=1, le=256, description="Worker processes; unset: as many as cores.")
    memory_gb: float | None = Field(None, gt=0, description="Memory limit of a node that names none [GB]; unset: none.")


class SlurmSiteSettings(Model):
    """`[sites.slurm.NAME]`: a cluster, by a name that the lab gives it."""

    host: str | None = Field(
        None, description="Login node for ssh; unset: the cluster's commands are at hand here, on its login node, say."
    )
    folder: Path | None = Field(
        None, description="Folder on the cluster that its nodes see under the same path; unset: jobs in the lab's home."
    )
    python: str | None = Field(
        None,
        description="Python on the nodes that has physlab; unset: what `physlab site install` brought, else as here.",
    )
    prologue: Annotated[tuple[str, ...], BeforeValidator(_listed)] = Field(
        (), description="Shell lines before a job begins, such as module load python."
    )
    partition: str | None = Field(None, description="Queue; unset: the cluster's default.")
    account: str | None = Field(None, description="Whom jobs are charged to; unset: the cluster's default.")
    qos: str | None = Field(None, description="Quality of service; unset: the cluster's default.")
    constraint: str | None = Field(None, description="Feature that machines must have; unset: none.")
    gpu_partition: str | None = Field(None, description="Queue of the machines with accelerators; unset: partition.")
    cpus: int = Field(4, ge=1, le=4096, description="Cores of one pilot, the job that runs nodes one after another.")
    memory_gb: float = Field(8, gt=0, description="Memory of one pilot [GB].")
    most_memory_gb: float | None = Field(
        None, gt=0, description="Memory up to which a node that ran out of it is given more [GB]; unset: 8 times that."
    )
    walltime_s: float = Field(3600, ge=180, description="Time limit of one pilot [s].")
    max_pilots: int = Field(8, ge=1, le=1000, description="Pilots at once, at most.")
    idle_s: float = Field(30, ge=1, description="A pilot without work ends after so long [s].")
    share_store: bool = Field(
        True, description="Pilots read and write the lab's store where they can reach it; false: everything travels."
    )
    interface: str | None = Field(
        None, description="Network interface that nodes reach this side by, such as ib0; unset: the host's address."
    )
    scheduler: Literal["here", "job"] = Field(
        "here",
        description="Where the pilots' scheduler lives: here (on host, if there is one), or in a job of its own.",
    )

    @field_validator("folder")
    @classmethod
    def _is_absolute(cls, folder: Path | None) -> Path | None:
        if folder is not None and not folder.is_absolute():
            raise ValueError("an absolute path on the cluster is needed, such as /scratch/me/physlab")
        return folder

    @model_validator(mode="after")
    def _has_a_folder_there(self) -> Self:
        if self.host is not None and self.folder is None:
            raise ValueError("a cluster behind a host needs a folder, such as /scratch/me/physlab")
        return self


class KubernetesSiteSettings(Model):
    """`[sites.kubernetes.NAME]`: a cluster whose pods run nodes, through a Prefect work pool, and jobs."""

    kubeconfig: Path | None = Field(
        None, description="Access to the cluster; unset: KUBECONFIG, ~/.kube/config, or that of the pod we are in."
    )
    context: str | None = Field(None, description="Context of the kubeconfig; unset: its current one.")
    namespace: str | None = Field(None, description="Namespace of pods and jobs; unset: that of the context.")
    pool: str = Field("physlab-k8s", description="Prefect work pool whose worker starts the pods of nodes.")
    image: str | None = Field(None, description="Image with physlab for the pods of nodes; unset: the pool's.")
    api_url: str | None = Field(None, description="Prefect API as pods reach it; unset: as this machine does.")
    store: str | None = Field(
        None, description="Where files travel through: s3://bucket/prefix, or a folder that pods mount (volume_claim)."
    )
    store_endpoint: str | None = Field(None, description="URL of an S3-compatible service; unset: Amazon's.")
    store_secret: str | None = Field(
        None, description="Secret in the namespace whose keys pods get as variables, such as AWS_ACCESS_KEY_ID."
    )
    volume_claim: str | None = Field(None, description="Claim that pods mount at the store's path.")
    service_account: str | None = Field(None, description="Service account of the pods; unset: the pool's.")
    node_selector: dict[str, str] = Field({}, description="Labels that machines must have.")
    cpus: int = Field(1, ge=1, le=1024, description="Cores of a pod whose nodes do not ask for more.")
    memory_gb: float = Field(2, gt=0, description="Memory of such a pod [GB].")
    most_memory_gb: float | None = Field(
        None, gt=0, description="Memory up to which a node that ran out of it is given more [GB]; unset: 8 times that."
    )
    gpu_resource: str | None = Field(
        None, description="What the cluster calls its accelerators, such as nvidia.com/gpu; unset: it has none."
    )
    walltime_s: float = Field(3600, ge=60, description="Time limit of a pod [s].")
    pending_s: float = Field(300, ge=5, description="A pod that has not begun after so long is given up [s].")
    max_pods: int = Field(16, ge=1, le=1000, description="Pods at once, at most.")
    pack_s: float = Field(30, ge=0, description="Small nodes share a pod up to so much expected work [s].")
    ttl_s: int = Field(300, ge=0, description="A finished job is removed by the cluster after so long [s].")

    @field_validator("store")
    @classmethod
    def _is_a_place(cls, store: str | None) -> str | None:
        if store is not None and not re.fullmatch(r"[a-z0-9]+://[^/@\s]\S*|/\S.*", store):
            raise ValueError("give s3://bucket/prefix, or an absolute folder; keys belong into store_secret")
        return store

    @model_validator(mode="after")
    def _mounts_a_folder(self) -> Self:
        if self.volume_claim is not None and not (self.store or "").startswith("/"):
            raise ValueError("volume_claim is mounted at the store: store must be a folder then, such as /exchange")
        return self


class SitesSettings(Model):
    """`[sites]`: where nodes run."""

    local: LocalSiteSettings = LocalSiteSettings()
    slurm: dict[SiteName, SlurmSiteSettings] = Field({}, description="Slurm clusters by name.")
    kubernetes: dict[SiteName, KubernetesSiteSettings] = Field({}, description="Kubernetes clusters by name.")

    @model_validator(mode="after")
    def _has_one_of_each_name(self) -> Self:
        if both := self.slurm.keys() & self.kubernetes.keys():
            raise ValueError(f"'{min(both)}' is a Slurm and a Kubernetes cluster: call one of them something else")
        return self


class DeviceSettings(Model):
    """`[device]`: which accelerator is used."""

    mode: Literal["auto", "gpu", "cpu"] = Field(
        "auto", description="gpu insists where a method can, cpu forbids, auto takes what works."
    )
    preference: Annotated[tuple[DeviceKind, ...], BeforeValidator(_listed)] = Field(
        ("cuda", "hip", "mps", "xpu", "cpu"), min_length=1, description="Device kinds that may be used, best first."
    )
    max_vram_mb: float = Field(4096, gt=0, description="Device memory that one training may take [MB].")


class VisualsSettings(Model):
    """`[visuals]`: how animations and contact sheets are written."""

    mp4_codec: str = Field("libx264", description="ffmpeg codec of MP4 animations.")
    webm_codec: str = Field("libvpx-vp9", description="ffmpeg codec of WebM animations.")
    thumbnail_width_px: int = Field(384, ge=16, le=4096, description="Width of a thumbnail [px].")
    thumbnail_rows: int = Field(3, ge=1, le=50, description="Rows of a contact sheet.")
    thumbnail_columns: int = Field(4, ge=1, le=50, description="Columns of a contact sheet.")


def _authority(url: str) -> str:
    if not re.fullmatch(r"https?://[^\s/@?#]+(/[^\s@#]*)?", url):
        raise ValueError("give an http:// or https:// address without user and password")
    return url


class CollaborationSettings(Model):
    """`[collaboration]`: who you are to others, and how long what you share stays open."""

    person: str | None = Field(None, description="Your name in notebooks, shares and signatures; unset: the login.")
    passphrase: SecretStr | None = Field(
        None, description="Of your signing key, where nobody can be asked for it; better as a variable than in a file."
    )
    passphrase_file: Path | None = Field(None, description="File with it that only you may read.")
    session: Name = Field("lab", description="The session that runs, notebook entries and shares belong to.")
    database_url: str | None = Field(
        None, description="SQLAlchemy URL of people, sessions and audit; unset: SQLite in the lab's home."
    )
    timestamp_url: Annotated[str, AfterValidator(_authority)] | None = Field(
        None, description="Address of an authority of time stamps (RFC 3161) for printed notebooks; unset: none."
    )
    share_expires_h: float = Field(72, gt=0, le=8760, description="A share link works so long, at most a year [h].")


class ReportSettings(Model):
    """`[report]`: what stands on the title page."""

    lab: str = Field("physlab", min_length=1, description="Name of the lab.")
    authors: Annotated[tuple[str, ...], BeforeValidator(_listed)] = Field((), description="Names below the title.")
    logo: Path | None = Field(None, description="PNG or SVG file beside the lab's name.")


def _service(url: str) -> str:
    bare = url.rstrip("/")
    if not re.fullmatch(
        r"https://[^\s/@?#]+(/[^\s@?#]*)?|http://(127\.0\.0\.1|localhost|\[::1\])(:\d+)?(/[^\s@?#]*)?", bare
    ):
        raise ValueError("give an https:// address without user, password and query; http:// only on this machine")
    return bare


ServiceUrl = Annotated[str, AfterValidator(_service)]


class ExportSettings(Model):
    """`[export]`: where work is published when a node asks for it, and with which token."""

    github_api: ServiceUrl = Field("https://api.github.com", description="REST address of GitHub or GitHub Enterprise.")
    github_owner: str | None = Field(
        None, description="User or organisation that repositories go to; unset: the token's."
    )
    github_token: SecretStr | None = Field(
        None, description="Access token of GitHub; better as a variable than in a file."
    )
    zenodo_url: ServiceUrl = Field(
        "https://zenodo.org", description="Zenodo, or another InvenioRDM with its deposit API."
    )
    zenodo_token: SecretStr | None = Field(
        None, description="Access token of it, with deposit:write and deposit:actions."
    )
    zenodo_sandbox_url: ServiceUrl = Field("https://sandbox.zenodo.org", description="The place to try depositions at.")
    zenodo_sandbox_token: SecretStr | None = Field(None, description="Access token of that place; it is another one.")


class EndpointSettings(Model):
    """`[endpoint]`: a language model behind an OpenAI-compatible interface; without a base_url none is ever asked."""

    base_url: str | None = Field(
        None, description="Such as http://localhost:11434/v1, `/chat/completions` is added; unset: no model is asked."
    )
    api_key: SecretStr | None = Field(
        None, description="Sent as bearer token; better in the environment than in a file."
    )
    model: str = Field("qwen2.5-coder", min_length=1, description="Name of the model, as the endpoint knows it.")
    timeout_s: float = Field(30, gt=0, le=600, description="How long an answer may take [s].")
    sentences: bool = Field(True, description="nli_parse may ask it to put what it does not understand in other words.")
    sentences_timeout_s: float = Field(2.5, gt=0, le=600, description="How long nli_parse waits for that [s].")

    @field_validator("base_url")
    @classmethod
    def _is_web_address(cls, url: str | None) -> str | None:
        if url is not None and not url.startswith(("http://", "https://")):
            raise ValueError("an address that begins with http:// or https:// is needed")
        if url is not None and "@" in url.partition("://")[2].partition("/")[0]:
            raise ValueError("a user and password do not belong into the address: set endpoint.api_key")
        return url and url.rstrip("/")


class DvcRemoteSettings(Model):
    """`[dvc.remotes.NAME]`: a place that DVC sends data to."""

    url: str = Field(description="A folder, ssh://host/folder, or s3://bucket/prefix; without user:password.")
    endpoint: str | None = Field(None, description="URL of an S3-compatible service; unset: Amazon's.")

    @field_validator("url")
    @classmethod
    def _has_no_password(cls, url: str) -> str:
        if not re.fullmatch(r"[a-z0-9]+://\S+|/.*", url):
            raise ValueError("give an absolute folder, ssh://host/folder, or s3://bucket/prefix")
        if re.search(r"://[^/@]*:[^/@]*@", url):
            raise ValueError("a password does not belong into the address: physlab dvc remote add --secret password")
        return url


class DvcSettings(Model):
    """`[dvc]`: a Git repository with runs whose data DVC tracks, for people without physlab."""

    repository: Path | None = Field(None, description="Folder of the repository; unset: repository in the lab's home.")
    commit: Literal["off", "runs"] = Field(
        "off", description="off: when you say so; runs: each completed run, after its end, in a process of its own."
    )
    author: str | None = Field(
        None, description="Who commits, as `Name <mail>`; unset: Git's own configuration, else collaboration.person."
    )
    remotes: dict[SiteName, DvcRemoteSettings] = Field({}, description="Places that DVC sends data to, by name.")

    @field_validator("author")
    @classmethod
    def _is_an_author(cls, author: str | None) -> str | None:
        if author is not None and not re.fullmatch(r"[^<>\n]*[^<>\s][^<>\n]* <[^<>\s]+>", author):
            raise ValueError("give a name and an address, such as Ada Lovelace <ada@example.org>")
        return author


class Settings(Model):
    """Everything a lab may set."""

    home: Path = Field(description="The lab's own folder: store, journal, index, server state.")
    results: Path = Field(Path("results"), description="Folder for results with human names.")
    tools: Annotated[tuple[Path, ...], BeforeValidator(_listed)] = Field(
        (), description="Python files whose tools this lab has, such as optics.py."
    )
    store: StoreSettings = StoreSettings()
    stores: dict[StoreName, RemoteStoreSettings] = Field({}, description="Other places for bytes and records by name.")
    replicas: ReplicaSettings = ReplicaSettings()
    keys: KeySettings = KeySettings()
    run: RunSettings = RunSettings()
    caps: dict[CapName, CapValue] = Field({}, description="Safety caps that differ from the table, by name.")
    server: ServerSettings = ServerSettings()
    sites: SitesSettings = SitesSettings()
    device: DeviceSettings = DeviceSettings()
    visuals: VisualsSettings = VisualsSettings()
    web: Web = Web()
    collaboration: CollaborationSettings = CollaborationSettings()
    portal: PortalSettings = PortalSettings()
    institutes: dict[InstituteName, InstituteSettings] = Field({}, description="Who signs people in, by name.")
    report: ReportSettings = ReportSettings()
    export: ExportSettings = ExportSettings()
    endpoint: EndpointSettings = EndpointSettings()
    dvc: DvcSettings = DvcSettings()
    backup: BackupSettings = BackupSettings()
    notify: NotifySettings = NotifySettings()
    _origins: dict[str, str] = PrivateAttr(default_factory=dict)

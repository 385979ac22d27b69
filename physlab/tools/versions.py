"""`artifact_versioning` as a node: files registered with their origin. The lab answers it itself."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from pydantic import AliasChoices, BaseModel, ConfigDict, Field, model_validator

from physlab.tools.collaboration import FAMILY
from physlab.tools.context import Context
from physlab.tools.registry import Port, registry
from physlab.tools.types import File, Params, array_to_json


class Metadata(BaseModel):
    """What is told of an artifact; more names are kept as they are."""

    model_config = ConfigDict(frozen=True, extra="allow")

    experiment: str | None = Field(None, description="Which experiment it belongs to.")
    parameters: dict[str, Any] = Field({}, description="Parameters, as `params_json`.")
    tools_used: list[str] = Field([], description="Tools that made it.")
    commit_hash: str | None = Field(None, description="Version of the code, as `code_version`.")


class VersioningParams(Params):
    """What to register, and where it came from; or how the lab backs itself up."""

    artifacts: Any = Field(
        None,
        validation_alias=AliasChoices("artifacts", "artifact_path", "artifact", "results"),
        description="Paths of files and folders, addresses (`s3://…`), or what another node made (`from:node`).",
    )
    parents: list[str] = Field(
        [],
        validation_alias=AliasChoices("parents", "lineage"),
        description="What they were made from: `sha256:…`, or paths.",
    )
    params_json: dict[str, Any] = Field({}, description="Parameters that they were made with.")
    code_version: str | None = Field(
        None, description="Version of the code; unset: the commit of the git repository here, and what differs from it."
    )
    metadata: Metadata = Field(Metadata(), description="`{experiment, parameters, tools_used, commit_hash}` and more.")
    tag: str | None = Field(None, description="A name for the version; with one artifact.")
    external: bool = Field(False, description="Leave the bytes where they are; note their digest, verify it at use.")
    label: str | None = Field(
        None, description="`private`, or `embargo:2027-01-31`: not to leave the lab, for ever or before that day."
    )
    auto_backup: bool = Field(False, description="Instead of registering: back the lab up on a schedule.")
    backup_schedule: str | None = Field(None, description="With auto_backup: `daily`, or five fields of cron.")
    retention_policy: str | None = Field(None, description="With auto_backup: how long it keeps, such as `30_days`.")

    @model_validator(mode="after")
    def _one_of_both(self) -> VersioningParams:
        if not self.auto_backup and self.artifacts in (None, [], "", {}):
            raise ValueError("artifacts: name at least one")
        if self.auto_backup and self.artifacts is not None:
            raise ValueError("auto_backup is a call of its own: leave artifacts out")
        if not self.auto_backup and (self.backup_schedule or self.retention_policy):
            raise ValueError("backup_schedule and retention_policy belong to auto_backup: true")
        if self.params_json and self.metadata.parameters and self.params_json != self.metadata.parameters:
            raise ValueError("params_json and metadata.parameters say different things")
        if self.code_version and self.metadata.commit_hash and self.code_version != self.metadata.commit_hash:
            raise ValueError("code_version and metadata.commit_hash say different things")
        return self


@registry.method(
    FAMILY,
    "artifact_versioning",
    params=VersioningParams,
    returns=(
        Port("records", "list", description="For each artifact: its path, `hash`, `lineage_id`, `version`, `cached`"),
        Port("backup", "object", description="With auto_backup: schedule, retention and when it runs next"),
    ),
    asks_lab=True,
    lasting=False,
    time_limit_s=None,
    kind="user",
)
def artifact_versioning(params: VersioningParams, context: Context) -> dict[str, Any]:
    """Register files with their hash, parents, parameters and code, and keep their bytes."""
    given = params.model_copy(update={"artifacts": named_files(params.artifacts, context)})
    body = context.ask_lab("artifact_versioning", given)
    context.meta.update(body.pop("meta", {}))
    return body


def named_files(artifacts: Any, context: Context) -> Any:
    """Return what another node made as files with names: its files, and its values as one JSON document."""
    if artifacts is None or isinstance(artifacts, str):
        return artifacts if artifacts is None else [artifacts]
    if isinstance(artifacts, list) and all(isinstance(item, str) for item in artifacts):
        return artifacts
    files: dict[str, str] = {}
    values = _without_files(artifacts, "", files)
    if values not in (None, {}, []) and not isinstance(artifacts, File):
        document = context.workdir / "results.json"
        text = json.dumps(values, indent=2, ensure_ascii=False, allow_nan=False, default=str)
        document.write_text(text)
        files["results.json"] = str(document)
    return files


def _without_files(value: Any, place: str, files: dict[str, str]) -> Any:
    """Return the values of a tree without its files, which are put into `files`: name → path."""
    if isinstance(value, File):
        name = value.name if value.name not in files else f"{place.strip('/').replace('/', '_')}_{value.name}"
        files[name] = str(Path(value.path))
        return None
    if isinstance(value, dict):
        kept = {key: _without_files(item, f"{place}/{key}", files) for key, item in value.items()}
        return {key: item for key, item in kept.items() if item is not None}
    if isinstance(value, list):
        found = [_without_files(item, f"{place}/{index}", files) for index, item in enumerate(value)]
        return None if value and all(isinstance(item, File) for item in value) else found
    return _finite(array_to_json(value))


def _finite(value: Any) -> Any:
    """Return a value that JSON can hold: what is not finite as text."""
    if isinstance(value, float) and (value != value or value in (float("inf"), float("-inf"))):
        return str(value)
    if isinstance(value, list):
        return [_finite(item) for item in value]
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    return value

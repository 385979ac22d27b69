"""The flow `artifact-versioning`."""

from typing import Any

from prefect import flow

from physlab.engine import conduct


@flow(name="artifact-versioning", log_prints=False, persist_result=False)
def artifact_versioning(
    artifacts: list[str] | None = None,
    parents: list[str] | None = None,
    params_json: dict[str, Any] | None = None,
    code_version: str | None = None,
    metadata: dict[str, Any] | None = None,
    tag: str | None = None,
    external: bool = False,
    artifact_path: str | None = None,
    lineage: list[str] | None = None,
    auto_backup: bool = False,
    backup_schedule: str | None = None,
    retention_policy: str | None = None,
    lab: str | None = None,
) -> dict[str, Any]:
    """Register files with their hash, parents, parameters and code; or let the lab back itself up.

    Args:
        artifacts: Paths of files and folders on the worker, or addresses (s3://…).
        parents: What they were made from: sha256:…, or paths.
        params_json: Parameters that they were made with.
        code_version: Version of the code; what git says where the worker runs when empty.
        metadata: What else is told: experiment, parameters, tools_used, commit_hash, ….
        tag: A name for the version; with one artifact.
        external: Leave the bytes where they are, and note their digest.
        artifact_path: One artifact, instead of artifacts.
        lineage: Instead of parents.
        auto_backup: Instead of registering: back the lab up on a schedule.
        backup_schedule: With auto_backup: daily, or five fields of cron.
        retention_policy: With auto_backup: how long it keeps, such as 30_days.
        lab: Name of a saved `Local Lab` block; the worker's own settings when empty.

    Returns:
        records with hash, lineage_id and cached for each artifact, and meta.
    """
    given = locals()
    return conduct.answer("distributed_collaboration", "artifact_versioning", given)

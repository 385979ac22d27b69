"""Versions of artifacts: registered, looked back at, given back, and run again."""

from physlab.service.versions.answer import artifact_versioning
from physlab.service.versions.garbage import collect_garbage
from physlab.service.versions.look import (
    all_labels,
    all_tags,
    diff_versions,
    find_version,
    impact_of,
    label_version,
    lineage_of,
    lineage_text,
    restore_version,
    tag_version,
    verify_versions,
    version_log,
)

__all__ = [
    "all_labels",
    "all_tags",
    "artifact_versioning",
    "collect_garbage",
    "diff_versions",
    "find_version",
    "impact_of",
    "label_version",
    "lineage_of",
    "lineage_text",
    "restore_version",
    "tag_version",
    "verify_versions",
    "version_log",
]

"""What the house speaks: frozen values that every room above may hold."""

from physlab.model.base import Model
from physlab.model.call import Call
from physlab.model.dag import Dag, Edge, Node, Resources, Visuals
from physlab.model.problem import Problem
from physlab.model.record import NodeRecord, NodeRun, RunRecord, RunRequest
from physlab.model.reference import Reference, find_references
from physlab.model.stored import Artifact, StoredArray, StoredFile, is_input, is_stored_array, is_stored_file
from physlab.model.web import Web
from physlab.model.work import Share, Work, WorkResult

__all__ = [
    "Artifact",
    "Call",
    "Dag",
    "Edge",
    "Model",
    "Node",
    "NodeRecord",
    "NodeRun",
    "Problem",
    "Reference",
    "Resources",
    "RunRecord",
    "RunRequest",
    "Share",
    "StoredArray",
    "StoredFile",
    "Visuals",
    "Web",
    "Work",
    "WorkResult",
    "find_references",
    "is_input",
    "is_stored_array",
    "is_stored_file",
]

"""Looking before running: is the graph right, what is there already, what runs where and why."""

from physlab.planning.plan import Device, Plan, PlannedNode, make_plan
from physlab.planning.validate import Checked, CheckedNode, check
from physlab.planning.why import explain_miss

__all__ = ["Checked", "CheckedNode", "Device", "Plan", "PlannedNode", "check", "explain_miss", "make_plan"]

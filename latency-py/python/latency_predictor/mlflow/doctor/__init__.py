"""The artifact troubles of MLflow, above all in containers: told apart, with evidence, cause and cure, and repaired."""

from .collect import Scope, ScopeError
from .diagnose import Examination, diagnose
from .findings import Code, Finding, Report, Severity, Step
from .repair import RepairError

__all__ = [
    "Code",
    "Examination",
    "Finding",
    "RepairError",
    "Report",
    "Scope",
    "ScopeError",
    "Severity",
    "Step",
    "diagnose",
]

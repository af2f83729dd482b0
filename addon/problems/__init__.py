"""Failures and states as types, and their words. Standard library only; no bpy.

Import the kinds from their modules: ``setup``, ``connection``, ``serving``, ``viewport``. ``words`` is for the edges
alone: panels, the command line, logs.
"""

from .actions import Action
from .report import Notice, Problem, Report, UnknownReport, Value, fields_of, from_fields
from .states import EnvironmentState, LiveState, ServerState, SetUpPhase, SetUpState

__all__ = [
    "Action",
    "EnvironmentState",
    "LiveState",
    "Notice",
    "Problem",
    "Report",
    "ServerState",
    "SetUpPhase",
    "SetUpState",
    "UnknownReport",
    "Value",
    "fields_of",
    "from_fields",
]

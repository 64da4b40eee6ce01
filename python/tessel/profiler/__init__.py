"""How long each kernel takes, and where in the program: profile, schedule, record_function."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .. import _names
from .profile import (
    DeviceType,
    ProfilerAction,
    ProfilerActivity,
    profile,
    record_function,
    schedule,
    supported_activities,
    tensorboard_trace_handler,
)
from .table import EventList, FunctionEvent

__all__ = [
    "DeviceType",
    "EventList",
    "FunctionEvent",
    "ProfilerAction",
    "ProfilerActivity",
    "profile",
    "record_function",
    "schedule",
    "supported_activities",
    "tensorboard_trace_handler",
]

if not TYPE_CHECKING:
    __getattr__ = _names.absent(__name__)

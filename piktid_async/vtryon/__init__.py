"""Vtryon's Recolor API: other colours for garments in images that Vtryon has made.

A service of its own, with its own key and tasks. It recolors the results of Vtryon's pose and
model tasks; product photos cannot be uploaded to it. There is no event stream: tasks are polled.
https://vtryon.legresca.ai/guide/api-integration/recolor
"""

from piktid_async.vtryon.models import ColorChange, Recolor, TaskResult
from piktid_async.vtryon.session import VtryonSession
from piktid_async.vtryon.tasks import Task

__all__ = ["ColorChange", "Recolor", "Task", "TaskResult", "VtryonSession"]

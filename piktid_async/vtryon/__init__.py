"""Vtryon's Recolor API: other colours for garments in images that Vtryon has made.

A service of its own, with its own key and tasks. It recolors the results of Vtryon's pose and
model tasks; what is uploaded here is for its try-on. There is no event stream: tasks are polled.
https://vtryon.legresca.ai/guide/api-integration/recolor
"""

from piktid_async.vtryon.images import PersonImages, TryOnImages
from piktid_async.vtryon.models import ColorChange, Recolor, TaskResult, TryOnImage
from piktid_async.vtryon.session import VtryonSession
from piktid_async.vtryon.tasks import Task

__all__ = [
    "ColorChange",
    "PersonImages",
    "Recolor",
    "Task",
    "TaskResult",
    "TryOnImage",
    "TryOnImages",
    "VtryonSession",
]

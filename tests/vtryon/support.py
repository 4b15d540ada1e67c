"""What the tests of Vtryon share: a quick pace, two recolors, the names of calls."""

from __future__ import annotations

from collections.abc import Callable

from piktid_async.sandbox import Sandbox
from piktid_async.vtryon import ColorChange, Recolor, VtryonSession

QUICK = 0.02
"""Seconds between two looks at a task."""

BLUE = Recolor(pose_image_generation_id=936, color_changes=[ColorChange("blouse", "royal blue")])
FAILING = Recolor(pose_image_generation_id=936, color_changes=[ColorChange("hat", "royal blue")])

POLLS = "GET /v2/models/multipose-tasks/501/"
CREATIONS = "POST /v4/models/multipose-image-recolor/"
LISTS = "GET /v4/models/multipose-image-recolor/"

MakeSandbox = Callable[..., Sandbox]
MakeSession = Callable[..., VtryonSession]

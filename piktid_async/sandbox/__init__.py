"""A local server that behaves as the documentation of the On-Model API says.

Two origins listen on loopback: the API, and a storage that takes signed uploads and serves the
result images. Point a program at `Sandbox.url` with `Sandbox.token`; nothing else changes.
Vtryon's Recolor API has two origins more: see `Sandbox.vtryon_url` and `Sandbox.vtryon_key`.
"""

from piktid_async.sandbox.books import Books, JobFacts, OutputFacts
from piktid_async.sandbox.faults import Faults
from piktid_async.sandbox.server import Sandbox
from piktid_async.sandbox.settings import SandboxLimits
from piktid_async.sandbox.vtryon import VtryonBooks

__all__ = ["Books", "Faults", "JobFacts", "OutputFacts", "Sandbox", "SandboxLimits", "VtryonBooks"]

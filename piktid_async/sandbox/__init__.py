"""A local server that behaves as the documentation of the On-Model API says.

Two origins listen on loopback: the API, and a storage that takes signed uploads and serves the
result images. Point a program at `Sandbox.url` with `Sandbox.token`; nothing else changes.
"""

from piktid_async.sandbox.books import Books, JobFacts
from piktid_async.sandbox.faults import Faults
from piktid_async.sandbox.server import Sandbox
from piktid_async.sandbox.settings import SandboxLimits

__all__ = ["Books", "Faults", "JobFacts", "Sandbox", "SandboxLimits"]

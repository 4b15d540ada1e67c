"""The second service of the sandbox: Vtryon's Recolor API, as its page says.

https://vtryon.legresca.ai/guide/api-integration/recolor
"""

from piktid_async.sandbox.vtryon.service import Vtryon, VtryonBooks

__all__ = ["Vtryon", "VtryonBooks"]

"""Words that every ring shares: JSON, secrets, links to live machinery, redaction."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Generic, Self, TypeAlias, TypeVar
from urllib.parse import urlsplit

Json: TypeAlias = "bool | int | float | str | list[Json] | dict[str, Json] | None"
JsonObject: TypeAlias = dict[str, Json]
Params: TypeAlias = Mapping[str, str | int | float | tuple[str, ...]]
"""A query; a tuple is sent as the same name several times."""
NoteId: TypeAlias = int | str
"""A notification's id; the documented ones are integers."""

T = TypeVar("T")

_QUERY = re.compile(r"""(https?://[^\s?#"'<>]*)[?#][^\s"'<>]*""", re.IGNORECASE)
# What is as good as a password where it stands without its URL.
_CREDENTIAL = re.compile(
    r"""\b(bearer[ ]+(?=\S{12})|(?:x-amz-(?:signature|credential|security-token)|x-goog-signature
    |signature|awsaccesskeyid|key-pair-id|x-sig|sig)=)[^\s&"'<>;,]+""",
    re.IGNORECASE | re.VERBOSE,
)

DEEPEST = 64
"""Lists and objects in one another that are accepted from anybody; documented answers have six."""


class Secret:
    """Hold a token so that neither repr, str, format nor pickle shows it."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """Return the token itself."""
        return self._value

    def __repr__(self) -> str:
        return "Secret(***)"

    def __reduce__(self) -> str:
        raise TypeError("a secret is not pickled: read it from its source again")


class Link(Generic[T]):
    """Let a data class carry a reference to live machinery: copies keep it, pickles drop it."""

    __slots__ = ("target",)

    def __init__(self, target: T | None = None) -> None:
        self.target: T | None = target

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, memo: object) -> Self:
        return self

    def __reduce__(self) -> tuple[type[Link[T]], tuple[()]]:
        return type(self), ()


def redact_url(url: str | None) -> str:
    """Return the URL without user, query and fragment, which may hold a signature."""
    if url is None:
        return "None"
    try:
        parts = urlsplit(url)
    except ValueError:
        return "'***'"
    host = parts.netloc.rpartition("@")[2]
    shown = f"{parts.scheme}://{host}{parts.path}" if parts.scheme else parts.path
    return repr(shown + ("?***" if parts.query else ""))


def redact_text(text: str) -> str:
    """Return somebody else's words without the queries of the URLs, and without signatures."""
    return _CREDENTIAL.sub(r"\1***", _QUERY.sub(r"\1?***", text))


def redact_json(value: Json, *, _depth: int = 0) -> Json:
    """Return somebody else's JSON with every text redacted; what lies absurdly deep is left out."""
    if isinstance(value, str):
        return redact_text(value)
    if not isinstance(value, list | dict):
        return value
    if _depth >= DEEPEST:
        return "***"
    if isinstance(value, list):
        return [redact_json(each, _depth=_depth + 1) for each in value]
    return {redact_text(key): redact_json(each, _depth=_depth + 1) for key, each in value.items()}


def words(text: str | None) -> str | None:
    """Convert a field of somebody else's words: None stays, signed URLs lose their queries."""
    return None if text is None else redact_text(text)


def shown(value: object) -> str:
    """Return a value as messages and reprs show it: never the bytes of an image."""
    if isinstance(value, bytes | bytearray | memoryview):
        return f"<{len(value)} bytes>"
    return repr(value)

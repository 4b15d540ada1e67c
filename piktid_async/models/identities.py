"""Identities: the people that pictures are made of."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, ClassVar, Literal, TypeAlias, get_args

import attrs

from piktid_async.errors import InvalidRequestError
from piktid_async.models import rules
from piktid_async.models.images import UploadedFile, unannotated
from piktid_async.models.requests import JobRequest
from piktid_async.types import Json, redact_url

Gender: TypeAlias = Literal["male", "female", "non-binary"]
IdentitySize: TypeAlias = Literal["1K", "2K", "4K"]
IdentityFormat: TypeAlias = Literal["jpg", "png"]
IdentitySort: TypeAlias = Literal["created_at", "name"]

READY = "completed"
PREPARATION_ENDED = frozenset({READY, "failed", "aborted"})
"""Preprocessing statuses after which nothing changes; an unknown one is none of them."""

PROMOTION_CREDITS = 50.0
"""https://docs.piktid.com/docs/v2/identities/promote_generated__post"""

ORBITA = "orbita"
NOT_BY_ORBITA = frozenset({"4:5", "5:4", "21:9"})


@attrs.frozen(kw_only=True)
class Identity:
    """A person of the account, of one of its groups, or of the platform.

    Which fields are set depends on the call: `face_detected` comes from an upload, `locked` and
    `tier` from a list.
    """

    identity_code: str
    """What job requests take."""
    name: str | None = None
    preprocessing_status: str | None = None
    """pending, processing, completed or failed; the service may add others."""
    link: str | None = attrs.field(default=None, repr=redact_url)
    """A signed URL of its picture."""
    image_description: Mapping[str, Json] | None = None
    """Tag, gender, age, as far as they are known."""
    visibility: str | None = None
    groups: tuple[str, ...] = ()
    created_by: str | None = None
    original_filename: str | None = None
    created_at: str | None = None
    updated_at: str | None = None
    success: bool | None = None
    face_detected: bool | None = None
    face_metadata: Mapping[str, Json] | None = None
    locked: bool | None = None
    """Whether the plan is too small for this platform identity."""
    tier: str | None = None

    @property
    def ready(self) -> bool:
        """Whether jobs can use it."""
        return self.preprocessing_status == READY


@attrs.frozen(kw_only=True)
class IdentityStatus:
    """How far the preparation of an identity is."""

    preprocessing_status: str | None = None
    error_message: str | None = None

    @property
    def ended(self) -> bool:
        """Whether nothing more will change."""
        return self.preprocessing_status in PREPARATION_ENDED


@attrs.frozen(kw_only=True)
class MetadataUpdate:
    """The answer to a change of metadata."""

    success: bool | None = None
    message: str | None = None
    name: str | None = None
    image_description: Mapping[str, Json] | None = None
    """The description as it is now."""


@attrs.frozen(kw_only=True)
class PovImage:
    """One normalised point of view."""

    original_filename: str | None = None
    link: str | None = attrs.field(default=None, repr=redact_url)
    thumbnail_link: str | None = attrs.field(default=None, repr=redact_url)


@attrs.frozen(kw_only=True)
class PovUpload:
    """The answer to the upload of a point of view."""

    pov_index: int | None = None
    success: bool | None = None
    processed_images: tuple[PovImage, ...] = ()
    processed_count: int | None = None


@attrs.frozen(kw_only=True)
class Promotion:
    """A draft that has become an identity, and is being prepared."""

    identity_code: str
    preprocessing_job_id: str | None = None
    status: str | None = None
    message: str | None = None


@attrs.frozen(kw_only=True)
class IdentityOptions:
    """How drafts are to come out; what is left out is the service's choice.

    https://docs.piktid.com/docs/v2/create-identity
    """

    ar: str | None = attrs.field(default=None, validator=rules.optional(rules.text))
    """Aspect ratio, such as "3:4"."""
    size: IdentitySize | None = attrs.field(
        default=None, validator=rules.optional(rules.one_of(*get_args(IdentitySize)))
    )
    format: IdentityFormat | None = attrs.field(
        default=None, validator=rules.optional(rules.one_of(*get_args(IdentityFormat)))
    )


def _group(_: object, attribute: attrs.Attribute[Any], value: object) -> None:
    if value is not None and not isinstance(value, Mapping):
        raise InvalidRequestError(
            attribute.name, f"takes a mapping of its fields, not {type(value).__name__}"
        )
    rules.as_json(attribute.name, value)


def _assets(value: Iterable[UploadedFile | str | Mapping[str, str]]) -> tuple[str, ...]:
    given = rules.in_order("input_assets", value)
    return tuple(
        unannotated("input_assets", each.get("file_id", "") if isinstance(each, Mapping) else each)
        for each in given
    )


@attrs.frozen(kw_only=True)
class IdentityInstruction:
    """One conceptual face, and how many drafts of it; says at least one thing about it.

    Fields that the service documents: `appearance` gender, age, ethnicity, skin, build, size,
    height, expression; `face` eyes, eyebrows, nose, lips, smile, face_shape, facial_hair,
    makeup, marks; `hair` color, length, style. Others are passed on.
    https://docs.piktid.com/docs/v2/create-identity ("Building a brief")
    """

    appearance: Mapping[str, Json] | None = attrs.field(default=None, validator=_group)
    face: Mapping[str, Json] | None = attrs.field(default=None, validator=_group)
    hair: Mapping[str, Json] | None = attrs.field(default=None, validator=_group)
    prompt: str | None = attrs.field(default=None, validator=rules.optional(rules.text))
    """Overrides the fields above, which are then kept as metadata. Names no real person."""
    input_assets: tuple[str, ...] = attrs.field(default=(), converter=_assets)
    """At most 3 uploaded files, or their ids, for the generator to go by. Kept as ids."""
    num_variations: int = attrs.field(default=1, validator=rules.whole_number(1, 8))
    options: IdentityOptions | None = attrs.field(
        default=None, validator=rules.optional(rules.instance_of(IdentityOptions))
    )

    def __attrs_post_init__(self) -> None:
        if not (self.prompt or self.appearance or self.face or self.hair):
            raise InvalidRequestError(
                "prompt", "an instruction says something: give prompt, appearance, face or hair"
            )
        if len(self.input_assets) > 3:
            raise InvalidRequestError(
                "input_assets", f"takes at most 3, not {len(self.input_assets)}"
            )

    @classmethod
    def of(cls, value: Any) -> IdentityInstruction:
        """Return an instruction, given as such or as the mapping that a brief holds."""
        if isinstance(value, cls):
            return value
        if not isinstance(value, Mapping):
            raise InvalidRequestError(
                "instructions", f"takes IdentityInstruction(...), not {type(value).__name__}"
            )
        known = {field.name for field in attrs.fields(cls)}
        strange = sorted(str(key) for key in value if key not in known)
        if strange:
            raise InvalidRequestError("instructions", f"has no field {', '.join(strange)}")
        options = value.get("options")
        if isinstance(options, Mapping):
            names = [field.name for field in attrs.fields(IdentityOptions)]
            strange = sorted(str(key) for key in options if key not in names)
            if strange:
                raise InvalidRequestError("options", f"has no field {', '.join(strange)}")
            value = {**value, "options": IdentityOptions(**options)}
        return cls(**{key: each for key, each in value.items() if each is not None})


def _instructions(value: Iterable[Any]) -> tuple[IdentityInstruction, ...]:
    return tuple(IdentityInstruction.of(each) for each in rules.as_tuple("instructions", value))


@attrs.frozen(kw_only=True)
class CreateIdentity(JobRequest):
    """Generate drafts of new people; none of them is an identity before it is promoted.

    Makes `num_variations` drafts for each of the instructions. Charges credits, by an amount
    that no page names. Raises `InvalidRequestError` when built against a rule.
    https://docs.piktid.com/docs/v2/identities/create_identity__post
    """

    kind: ClassVar[str] = "identity_creation"

    instructions: tuple[IdentityInstruction, ...] = attrs.field(converter=_instructions)
    """One or more; mappings as in a brief are taken, too."""
    model: str = attrs.field(default="auto", validator=rules.text)
    """Engine: auto, nano_banana_pro, seedream, orbita, or one that is new.

    Orbita makes 1K only, takes no `input_assets`, and knows no 4:5, 5:4 and 21:9.
    """
    name: str | None = attrs.field(default=None, validator=rules.optional(rules.text))
    """For the identity that a draft of it becomes; the service adds a suffix if it is taken."""

    def __attrs_post_init__(self) -> None:
        if not self.instructions:
            raise InvalidRequestError(
                "instructions", "drafts need at least one: give an IdentityInstruction"
            )
        if self.model == ORBITA:
            for instruction in self.instructions:
                _check_orbita(instruction)

    @property
    def total_outputs(self) -> int:
        """Drafts, over all instructions."""
        return sum(instruction.num_variations for instruction in self.instructions)

    @property
    def credits(self) -> float | None:
        """None: the price is not documented."""
        return None

    @property
    def project_id(self) -> str | None:
        """None: drafts belong to no project."""
        return None

    @property
    def input_ids(self) -> tuple[str, ...]:
        """File ids of the images to go by, in order."""
        return tuple(each for given in self.instructions for each in given.input_assets)


def _check_orbita(instruction: IdentityInstruction) -> None:
    options = instruction.options or IdentityOptions()
    if instruction.input_assets:
        raise InvalidRequestError("input_assets", "the engine orbita takes none")
    if options.size not in (None, "1K"):
        raise InvalidRequestError("size", f"the engine orbita makes 1K only, not {options.size}")
    if options.ar in NOT_BY_ORBITA:
        raise InvalidRequestError("ar", f"the engine orbita does not make {options.ar}")

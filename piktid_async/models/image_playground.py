"""Image Playground: one picture from words, pictures and identities, edited call by call."""

from __future__ import annotations

from typing import ClassVar, Literal, Protocol, TypeAlias, get_args

import attrs

from piktid_async.errors import InvalidRequestError
from piktid_async.models import rules
from piktid_async.models.images import file_id_of
from piktid_async.models.inputs import PlainImage, as_identity_codes, as_plain_images
from piktid_async.models.outputs import CREDITS_BY_SIZE, Size, check_custom_size
from piktid_async.models.requests import JobRequest

OutputMode: TypeAlias = Literal["auto", "match", "ratio", "custom"]
Ratio: TypeAlias = Literal["1:1", "3:2", "2:3", "3:4", "4:3", "4:5", "5:4", "9:16", "16:9", "21:9"]

MOST_IDENTITIES = 2


class Conversation(Protocol):
    """A job that can be continued: one of this kind."""

    @property
    def id(self) -> str:
        """The service's id of the job, which is that of its conversation."""


def _conversation_id(value: Conversation | str | None) -> str | None:
    if value is None:
        return None
    found: object = value if isinstance(value, str) else getattr(value, "id", None)
    if not isinstance(found, str) or not found.strip():
        raise InvalidRequestError(
            "conversation", f"takes a job of this kind or its id, not {type(value).__name__}"
        )
    kind = getattr(value, "kind", ImagePlayground.kind)
    if kind != ImagePlayground.kind:
        raise InvalidRequestError(
            "conversation", f"a {kind} job cannot be continued: pass one of its outputs in images"
        )
    return rules.checked_letters("conversation", found)


@attrs.frozen(kw_only=True)
class ImagePlayground(JobRequest):
    """Make one picture, or up to four variations of it, from a prompt, images or identities.

    At least one of the three is needed; they combine. Costs 3, 5 or 10 credits a variation, by
    `size`, whatever its delivered dimensions; failed ones are free. Raises `InvalidRequestError`
    when built against a rule. https://docs.piktid.com/docs/v2/image-playground
    """

    kind: ClassVar[str] = "edit_chat"
    pooled: ClassVar[bool] = False

    prompt: str | None = attrs.field(default=None, validator=rules.optional(rules.text))
    images: tuple[PlainImage, ...] = attrs.field(default=(), converter=as_plain_images)
    """The first is edited, the others are references; all are, if a conversation goes on."""
    identities: tuple[str, ...] = attrs.field(default=(), converter=as_identity_codes)
    """Who is to be seen: at most two identities, or their codes. Kept as codes."""
    model: str = attrs.field(default="auto", validator=rules.text)
    """Engine: auto, nano_banana_2, nano_banana_pro, gpt_image, seedream, or one that is new.

    A named engine has no safety fallback.
    """
    size: Size = attrs.field(default="2K", validator=rules.one_of(*get_args(Size)))
    """Sets quality and price; 2K and 4K need a paid plan."""
    num_variations: int = attrs.field(default=1, validator=rules.whole_number(1, 4))
    output_mode: OutputMode = attrs.field(
        default="auto", validator=rules.one_of(*get_args(OutputMode))
    )
    """Delivered dimensions: those of the input (auto, match), `aspect_ratio`, or custom."""
    aspect_ratio: Ratio | None = attrs.field(
        default=None, validator=rules.optional(rules.one_of(*get_args(Ratio)))
    )
    """For output_mode="ratio", and only there."""
    width: int | None = None
    """Pixels, for output_mode="custom" and only there: 256 to 7000, a multiple of 8."""
    height: int | None = None
    """Pixels, like `width`; the two are at most 4:1 apart."""
    conversation: str | None = attrs.field(default=None, converter=_conversation_id)
    """An earlier job of this kind, or its id, whose last output is edited further. Kept as id.

    By one program at a time: no answer tells which generation was begun. Costs two requests more.
    Where another program adds to it at the same moment, awaiting the job raises
    `GenerationUnknownError` unless the number of outputs tells the two apart.
    """

    def __attrs_post_init__(self) -> None:
        if self.prompt is None and not self.images and not self.identities:
            raise InvalidRequestError("prompt", "give at least one of prompt, images, identities")
        if len(self.identities) > MOST_IDENTITIES:
            raise InvalidRequestError(
                "identities", f"takes at most {MOST_IDENTITIES}, not {len(self.identities)}"
            )
        self._belongs_to("ratio", "aspect_ratio")
        self._belongs_to("custom", "width")
        self._belongs_to("custom", "height")
        check_custom_size(self.width, self.height)

    def _belongs_to(self, mode: OutputMode, field: str) -> None:
        given = getattr(self, field) is not None
        if given and self.output_mode != mode:
            raise InvalidRequestError(
                field, f"belongs to output_mode={mode!r}: set that, or leave {field} out"
            )
        if not given and self.output_mode == mode:
            raise InvalidRequestError(field, f"is needed with output_mode={mode!r}")

    @property
    def total_outputs(self) -> int:
        """The variations."""
        return self.num_variations

    @property
    def credits(self) -> float | None:
        """Estimated cost in credits."""
        return float(self.num_variations * CREDITS_BY_SIZE[self.size])

    @property
    def project_id(self) -> str | None:
        """None: these jobs belong to no project."""
        return None

    @property
    def conversation_id(self) -> str | None:
        """The conversation that the job continues; None if it begins one."""
        return self.conversation

    @property
    def input_ids(self) -> tuple[str, ...]:
        """File ids of the images, in order."""
        return tuple(file_id_of("images", image) for image in self.images)

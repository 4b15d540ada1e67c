"""How an identity looks when it is drawn: the same code always looks the same."""

from typing import Literal

import attrs

from piktid_async.sandbox.imaging.words import Rgb8, seed_of

Hair = Literal["long", "bob", "short", "bun", "curly", "shaved"]

SKINS: tuple[Rgb8, ...] = (
    (243, 212, 190), (232, 190, 160), (213, 164, 128), (186, 132, 96), (146, 98, 70), (104, 68, 50),
)  # fmt: skip
HAIRS: tuple[Rgb8, ...] = (
    (34, 28, 28), (74, 48, 34), (122, 80, 48), (198, 160, 104), (142, 66, 40), (96, 96, 100),
)  # fmt: skip
_STYLES: tuple[Hair, ...] = ("long", "short", "bob", "curly", "bun", "shaved")
_BUILT_IN = "default-pro-"


@attrs.frozen(kw_only=True)
class Look:
    """Colours and build of a figure."""

    skin: Rgb8
    hair: Rgb8
    style: Hair
    shoulders: float
    """Half their width, of the height of the figure."""
    eyes: Rgb8


def look_of(code: str) -> Look:
    """Return the look of an identity, by its code."""
    number = code.removeprefix(_BUILT_IN)
    if code.startswith(_BUILT_IN) and number.isdigit():
        # The built-in ones shall not happen to look alike.
        step = int(number) - 1
        picks = (step * 2 + step // 3, step * 5, step, step)
    else:
        seed = seed_of("identity", code)
        picks = (seed, seed >> 8, seed >> 16, seed >> 24)
    return Look(
        skin=SKINS[picks[0] % len(SKINS)],
        hair=HAIRS[picks[1] % len(HAIRS)],
        style=_STYLES[picks[2] % len(_STYLES)],
        shoulders=(0.1, 0.112, 0.103, 0.116)[picks[3] % 4],
        eyes=((70, 48, 36), (66, 92, 118), (78, 100, 70))[picks[3] % 3],
    )

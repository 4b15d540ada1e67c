"""A drawn figure that wears the cut-out garments.

The body stands behind its clothes: garments keep their own outline, and arms and legs are laid
where sleeves and trouser legs end. Lengths are fractions of the figure's height.
"""

from collections.abc import Iterable
from functools import lru_cache

import attrs
import numpy as np
from PIL import Image

from piktid_async.sandbox.imaging import bottoms, tops
from piktid_async.sandbox.imaging.cloth import Curve, Part, Sheet
from piktid_async.sandbox.imaging.garments import Garment, Kind, measured
from piktid_async.sandbox.imaging.head import hair_behind, head, neck
from piktid_async.sandbox.imaging.looks import Look
from piktid_async.sandbox.imaging.modelling import Modelling
from piktid_async.sandbox.imaging.pieces import resized
from piktid_async.sandbox.imaging.spaces import srgb_from_linear
from piktid_async.sandbox.imaging.words import Rgb8

WIDE = 0.72
_SHOULDER, _WAIST, _ANKLE, _SOLE = 0.168, 0.385, 0.945, 0.985
_ORDER: tuple[Kind, ...] = (
    "shoes", "trousers", "shorts", "skirt", "dress", "top", "outer", "bag", "hat",
)  # fmt: skip
_BELOW = frozenset(["trousers", "shorts", "skirt"])

Box = tuple[float, float, float, float]


@attrs.frozen(kw_only=True)
class Pose:
    """How the figure stands."""

    stance: float = 0.05
    """Distance of each foot from the axis."""
    stride: float = 0.0
    """How much farther forward, so lower, one foot is."""
    elbows: float = 0.0
    """How far the elbows point outwards: hands on the hips."""
    smile: bool = False


def dressed(
    garments: Iterable[Garment], look: Look, pose: Pose, *, height: int, tucked: bool = False
) -> Image.Image:
    """Draw the figure with its clothes as RGBA; what is missing of them is plain."""
    worn = _outfit(list(garments))
    order = list(_ORDER)
    if tucked:
        order.remove("top")
        order.insert(0, "top")
    body = Modelling(height, wide=WIDE)
    hair_behind(body, look)
    _legs(body, look, pose, worn)
    upper = worn.get("outer") or worn.get("top") or worn.get("dress")
    for side in (-1, 1):
        _arm(body, look, pose, upper, side=side)
    _torso(body, look)
    for kind in order:
        if kind in worn:
            body.paste(worn[kind].image, _box(worn[kind], look))
    inner = worn.get("top") or worn.get("dress") or worn.get("outer")
    neck(body, look, opening=0.044, depth=_neckline(inner, look))
    head(body, look, smile=pose.smile)
    if "hat" in worn:
        body.paste(worn["hat"].image, _box(worn["hat"], look))
    return body.layer


def _outfit(garments: list[Garment]) -> dict[Kind, Garment]:
    """Take one garment of each kind, the first given, and add what decency asks for."""
    worn: dict[Kind, Garment] = {}
    for garment in garments:
        worn.setdefault(garment.kind, garment)
    if "dress" in worn:
        return {kind: each for kind, each in worn.items() if kind not in _BELOW}
    if "top" not in worn:
        worn["top"] = _plain("top")
    if not _BELOW & set(worn):
        worn["trousers"] = _plain("trousers")
    return worn


def _box(garment: Garment, look: Look) -> Box:
    """Return where a garment goes: left, top, right, bottom."""
    tall = _height(garment, look)
    wide = _width(garment, look)
    if garment.kind in ("top", "outer", "dress"):
        left = -garment.center * wide
        top = _SHOULDER - garment.shoulder * tall
        return left, top, left + wide, top + tall
    if garment.kind in ("trousers", "shorts", "skirt"):
        top = _WAIST - 0.005
        return -wide / 2, top, wide / 2, top + tall
    if garment.kind == "shoes":
        return -wide / 2, _SOLE - tall, wide / 2, _SOLE
    if garment.kind == "hat":
        return -wide / 2, 0.056 - tall, wide / 2, 0.056
    return 0.13, 0.47, 0.13 + wide, 0.47 + tall


def _width(garment: Garment, look: Look) -> float:
    scale = 2 * look.shoulders / 0.21
    if garment.kind in ("top", "outer", "dress"):
        body = {"top": 0.212, "outer": 0.232, "dress": 0.186}[garment.kind] * scale
        return min(0.62, body / garment.chest)
    if garment.kind in ("trousers", "shorts", "skirt"):
        return min(
            0.5, {"trousers": 0.178, "shorts": 0.182, "skirt": 0.162}[garment.kind] / garment.waist
        )
    return {"shoes": 0.2, "hat": 0.13, "bag": 0.16}[garment.kind]


def _height(garment: Garment, look: Look) -> float:
    """Return the height, in proportion, unless the body asks for a little more or less."""
    natural = _width(garment, look) * garment.aspect
    if garment.kind == "top":
        return min(max(0.335, 0.8 * natural), 1.15 * natural)
    if garment.kind == "trousers":
        return min(max(_ANKLE + 0.012 - _WAIST, 0.7 * natural), 1.4 * natural)
    if garment.kind in ("dress", "outer"):
        return min(natural, 0.78)
    return min(natural, 0.56)


def _neckline(inner: Garment | None, look: Look) -> float:
    """Return how far below the shoulders the skin is seen."""
    if inner is None:
        return 0.03
    low = (inner.neckline - inner.shoulder) * _height(inner, look)
    return min(0.075, max(0.012, low + 0.002))


def _legs(body: Modelling, look: Look, pose: Pose, worn: dict[Kind, Garment]) -> None:
    trousers = worn.get("trousers")
    ends = trousers.legs if trousers is not None else None
    for side in (-1, 1):
        foot = side * pose.stance
        if trousers is not None and ends is not None:
            foot = ends[0 if side < 0 else 1] * _width(trousers, look)
        low = pose.stride * (0.5 if side < 0 else -0.5) if ends is None else 0.0
        path: Curve = (
            (side * 0.05, 0.44), (side * 0.052, 0.55), (0.5 * (side * 0.05 + foot), 0.71 + low / 2),
            (foot, 0.79 + low), (foot, _ANKLE + low),
        )  # fmt: skip
        body.limb(path, (0.047, 0.046, 0.031, 0.031, 0.0165), look.skin, lift=0.1)
        if "shoes" not in worn:
            _shoe(body, foot, _SOLE + low, side)


def _shoe(body: Modelling, x: float, sole: float, side: int) -> None:
    upper: Curve = (
        (x - 0.021, sole - 0.05), (x + 0.021, sole - 0.05), (x + 0.025 + 0.006 * side, sole - 0.02),
        (x + 0.027 + 0.01 * side, sole - 0.006), (x - 0.027 + 0.01 * side, sole - 0.006),
        (x - 0.025 + 0.006 * side, sole - 0.02), (x - 0.021, sole - 0.05),
    )  # fmt: skip
    under: Curve = (
        (x - 0.029 + 0.01 * side, sole - 0.009), (x + 0.029 + 0.01 * side, sole - 0.009),
        (x + 0.028 + 0.01 * side, sole), (x - 0.028 + 0.01 * side, sole),
        (x - 0.029 + 0.01 * side, sole - 0.009),
    )  # fmt: skip
    body.add((upper,), (66, 64, 66), relief=0.009, lift=0.2)
    body.add((under,), (232, 230, 226), relief=0.003, lift=0.0)


def _torso(body: Modelling, look: Look) -> None:
    wide = look.shoulders
    outline = (
        ((0.028, 0.158), (0.06, 0.166), (wide - 0.008, 0.178), (wide, 0.2)),
        ((wide, 0.2), (0.088, 0.26), (0.074, 0.37), (0.09, 0.46), (0.088, 0.5)),
        ((0.088, 0.5), (0, 0.51), (-0.088, 0.5)),
        ((-0.088, 0.5), (-0.09, 0.46), (-0.074, 0.37), (-0.088, 0.26), (-wide, 0.2)),
        ((-wide, 0.2), (-wide + 0.008, 0.178), (-0.06, 0.166), (-0.028, 0.158)),
    )
    body.add(outline, look.skin, relief=0.02, lift=0.2)


def _arm(body: Modelling, look: Look, pose: Pose, upper: Garment | None, *, side: int) -> None:
    """Lay the arm through the sleeve's opening; the forearm hangs, or rests on the hip."""
    start = (side * (look.shoulders - 0.014), 0.196)
    opening = _opening(upper, look, side)
    if opening is None:
        elbow = (side * (look.shoulders + 0.018), 0.352)
    else:
        dx, dy = opening[0] - start[0], opening[1] - start[1]
        long = max(0.02, (dx * dx + dy * dy) ** 0.5)
        if long > 0.19:  # a long sleeve: only the hand is seen
            inside = (opening[0] - 0.03 * dx / long, opening[1] - 0.03 * dy / long)
            wrist = (opening[0] + 0.012 * dx / long, opening[1] + 0.012 * dy / long)
            _hand(body, look, (inside,), (0.0145,), wrist, (dx / long * 0.6, dy / long), side)
            return
        elbow = (start[0] + 0.158 * dx / long, start[1] + 0.158 * dy / long)
    if pose.elbows:
        elbow = (elbow[0] + side * pose.elbows, elbow[1] - 0.01)
        wrist = (side * 0.088, 0.432)
    else:
        wrist = (elbow[0] + side * 0.016, elbow[1] + 0.132)
    dx, dy = wrist[0] - elbow[0], wrist[1] - elbow[1]
    long = max(0.02, (dx * dx + dy * dy) ** 0.5)
    cap = (start[0] - side * 0.012, start[1] - 0.017)
    middle = ((start[0] + elbow[0]) / 2, (start[1] + elbow[1]) / 2)
    above, widths = (cap, start, middle, elbow), (0.014, 0.0265, 0.0255, 0.0205)
    _hand(body, look, above, widths, wrist, (dx / long, dy / long), side)


def _hand(
    body: Modelling,
    look: Look,
    above: Curve,
    widths: tuple[float, ...],
    wrist: tuple[float, float],
    along: tuple[float, float],
    side: int,
) -> None:
    """Draw an arm, given down to its wrist, with its hand."""
    x, y = wrist
    dx, dy = along

    def out(far: float, off: float) -> tuple[float, float]:
        return x + far * dx - off * side * dy, y + far * dy + off * side * dx

    hand = (wrist, out(0.026, 0.0), out(0.05, 0.003), out(0.072, 0.006))
    body.limb((*above, *hand), (*widths, 0.0138, 0.0175, 0.0158, 0.0075), look.skin, lift=0.15)
    thumb = (out(0.012, 0.012), out(0.034, 0.02), out(0.046, 0.019))
    body.limb(thumb, (0.006, 0.0065, 0.004), look.skin, lift=0.1)


def _opening(upper: Garment | None, look: Look, side: int) -> tuple[float, float] | None:
    """Return the middle of a sleeve's opening on the figure."""
    if upper is None or upper.sleeve is None:
        return None
    out, down = upper.sleeve
    tall = _height(upper, look)
    return side * out * _width(upper, look), _SHOULDER + (down - upper.shoulder) * tall


@lru_cache(maxsize=8)
def _plain(kind: Kind) -> Garment:
    """Draw a plain garment for whoever was given none of its kind."""
    if kind == "top":
        return measured(drawn(tops.tshirt((0.72, 0.72, 0.71))), told="tshirt")
    return measured(drawn(bottoms.trousers((0.045, 0.05, 0.065))), told="trousers")


def drawn(parts: list[Part], *, edge: int = 900) -> Image.Image:
    """Draw a garment as RGBA: what black and white backdrops shine through is clear."""
    lights = []
    for backdrop in (0.0, 1.0):
        shape = (edge, round(0.8 * edge), 3)
        sheet = Sheet(np.full(shape, backdrop, np.float32), rng=np.random.default_rng(11))
        for part in parts:
            sheet.add(
                attrs.evolve(resized(part, wide=1.3, tall=0.98, down=0.0), lift=part.lift / 2)
            )
        lights.append(sheet.light)
    dark, bright = lights
    cover = np.clip(1 - (bright - dark).mean(axis=-1), 0, 1)
    color = srgb_from_linear(dark / np.maximum(cover, np.float32(0.05))[..., None])
    # A faint cover is the shadow on the backdrop.
    cover = np.clip((cover - np.float32(0.55)) / np.float32(0.4), 0, 1)
    layer = np.concatenate([color, cover[..., None] * 255], axis=-1)
    image = Image.fromarray(np.clip(layer + np.float32(0.5), 0, 255).astype(np.uint8))
    return image.crop(image.getbbox())


def tint_of(image: Image.Image) -> Rgb8:
    """Return the colour of a picture's border: that of its backdrop."""
    small = np.asarray(image.convert("RGB").resize((32, 32), Image.Resampling.BOX))
    rim = np.concatenate([small[0], small[:20, 0], small[:20, -1]])
    red, green, blue = np.median(rim, axis=0).round().astype(int).tolist()
    return red, green, blue

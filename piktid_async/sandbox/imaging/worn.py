"""Make a flat garment look round, turned, or near."""

import math

import numpy as np
from PIL import Image, ImageChops, ImageDraw

from piktid_async.sandbox.imaging.compose import as_picture, blurred, scaled

_BEND = 0.8
"""How far round the body the edges of the cloth reach (1 would be a quarter turn)."""


def filled_out(garment: Image.Image) -> Image.Image:
    """Let an invisible body fill the garment: cylinder shading, a dark hollow at the neck."""
    round_ = _bent(garment)
    cover = round_.getchannel("A")
    width, height = round_.size
    # Far from the outline is near to the eye; a wide blur tells how far.
    depth = np.asarray(blurred(cover, radius=0.09 * max(width, height)), np.float32) / 255
    x = np.linspace(-1, 1, width, dtype=np.float32)[None]
    tone = 0.52 + 0.56 * np.clip(depth * 1.15, 0, 1) ** 1.3 + 0.05 * np.exp(-((x + 0.3) ** 2) / 0.2)
    veil = as_picture(255 * np.clip(tone, 0, 1), round_.size)
    shaded = ImageChops.multiply(round_.convert("RGB"), Image.merge("RGB", (veil, veil, veil)))
    shaded = _hollow(shaded, cover)
    shaded.putalpha(cover)
    return shaded


def _hollow(picture: Image.Image, cover: Image.Image) -> Image.Image:
    """Darken the inside below the upper rim, as in an empty neck or waistband."""
    width, height = picture.size
    strip = np.asarray(cover.crop((0, 0, width, max(1, round(0.05 * height)))))
    columns = np.flatnonzero(strip.max(axis=0) > 128)
    if not len(columns):
        return picture
    center, half = float(columns.mean()), float(columns[-1] - columns[0]) / 2
    half = min(half, 0.16 * width)
    hollow = Image.new("L", picture.size)
    box = (center - 0.72 * half, -0.02 * height, center + 0.72 * half, 0.07 * height)
    ImageDraw.Draw(hollow).ellipse(box, fill=190)
    soft = blurred(hollow, radius=0.012 * max(picture.size)).point(lambda value: 255 - value)
    return ImageChops.multiply(picture, Image.merge("RGB", (soft, soft, soft)))


def _bent(garment: Image.Image) -> Image.Image:
    """Wrap the cloth round a cylinder: its sides are seen at a slant and grow narrow."""
    width, height = garment.size
    new = max(2, round(width * math.sin(_BEND) / _BEND))
    strips = 24
    mesh = []
    for step in range(strips):
        edges = [new * step // strips, new * (step + 1) // strips]
        left, right = (
            width / 2 * (1 + math.asin((2 * edge / new - 1) * math.sin(_BEND)) / _BEND)
            for edge in edges
        )
        quad = (left, 0, left, height, right, height, right, 0)
        mesh.append(((edges[0], 0, edges[1], height), quad))
    premultiplied = garment.convert("RGBa")
    bent = premultiplied.transform(
        (new, height), Image.Transform.MESH, mesh, Image.Resampling.BICUBIC
    )
    return bent.convert("RGBA")


def swung(garment: Image.Image) -> Image.Image:
    """Turn the garment to three quarters: narrower, and smaller where it is farther away."""
    width, height = garment.size
    far = 0.07 * height
    quad = (0, -far, 0, height + far, width, height, width, 0)
    size = (max(1, round(0.8 * width)), height)
    turned = (
        garment.convert("RGBa")
        .transform(size, Image.Transform.QUAD, quad, Image.Resampling.BICUBIC)
        .convert("RGBA")
    )
    veil = (
        Image.linear_gradient("L")
        .rotate(90)
        .resize(size)
        .point(lambda value: 200 + value * 55 // 255)
    )
    shaded = ImageChops.multiply(turned.convert("RGB"), Image.merge("RGB", (veil, veil, veil)))
    shaded.putalpha(turned.getchannel("A"))
    box = shaded.getbbox()
    return shaded.crop(box) if box is not None else shaded


def close_up(garment: Image.Image) -> Image.Image:
    """Show a square of the cloth from near, where most of it is cloth."""
    width, height = garment.size
    edge = max(8, round(0.42 * min(width, height)))
    cover = np.asarray(garment.getchannel("A"), np.float32)
    best, corner = -1.0, (0, 0)
    for top in np.linspace(0, height - edge, 7).astype(int).tolist():
        for left in np.linspace(0, width - edge, 7).astype(int).tolist():
            full = float(cover[top : top + edge, left : left + edge].mean())
            # Of equals, the upper middle: collars and buttons are there.
            score = full - 12 * abs((left + edge / 2) / width - 0.5) - 8 * top / height
            if score > best:
                best, corner = score, (left, top)
    left, top = corner
    return scaled(garment.crop((left, top, left + edge, top + edge)), (edge * 2, edge * 2))

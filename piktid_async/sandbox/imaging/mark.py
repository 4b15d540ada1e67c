"""The visible "AI-generated" mark in the bottom-right corner."""

from PIL import Image, ImageDraw, ImageFont

TEXT = "AI-generated"


def stamp(image: Image.Image) -> Image.Image:
    """Return a copy with the mark burnt in; its letters are about 3 % of the short edge high."""
    width, height = image.size
    points = max(9.0, min(width, height) * 0.03)
    font = ImageFont.load_default(size=points)
    left, top, right, bottom = font.getbbox(TEXT)
    margin, pad = round(points * 0.8), round(points * 0.45)
    box = (
        width - margin - 2 * pad - round(right - left),
        height - margin - 2 * pad - round(bottom - top),
        width - margin,
        height - margin,
    )
    corner = image.crop(box).convert("RGBA")
    layer = Image.new("RGBA", corner.size, (0, 0, 0, 0))
    draw = ImageDraw.Draw(layer)
    plate = (0, 0, corner.width - 1, corner.height - 1)
    draw.rounded_rectangle(plate, radius=points * 0.4, fill=(20, 20, 20, 150))
    draw.text((pad - left, pad - top), TEXT, font=font, fill=(255, 255, 255, 240))
    marked = image.copy()
    marked.paste(Image.alpha_composite(corner, layer).convert("RGB"), box[:2])
    return marked

"""Numbers in words."""

from __future__ import annotations


def count(number: int, thing: str) -> str:
    """Return `1 product`, `2 products`."""
    many = f"{thing[:-1]}ies" if thing.endswith("ty") else f"{thing}s"
    return f"{number:,} {thing if number == 1 else many}"


def span(seconds: float) -> str:
    """Return a time in its two largest units: `2 days 3 h`, `4 min 5 s`, `0.7 s`."""
    if seconds < 60:
        return f"{seconds:.1f} s" if seconds % 1 else f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s" if rest else f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    if hours < 48:
        return f"{hours:,} h {minutes} min" if minutes else f"{hours:,} h"
    days, hours = divmod(hours, 24)
    return f"{days:,} days {hours} h" if hours else f"{days:,} days"

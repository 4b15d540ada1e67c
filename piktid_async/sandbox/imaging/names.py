"""Colour names of the fashion trade; they win over the CSS colour of the same name.

CSS "navy" and "forestgreen" are screen primaries that no cloth has, hence the overrides.
"""

FASHION = {
    "amber": "#d9902f", "amethyst": "#8a63a8", "anthracite": "#34383c", "apricot": "#f0b488",
    "aubergine": "#45263f", "baby blue": "#a9c8e4", "baby pink": "#f2c1cd",
    "blush": "#e8bdb5", "blush pink": "#e8bdb5",
    "bottle green": "#12402f", "brick": "#9c4030", "brick red": "#9c3a2c",
    "bronze": "#8a6138", "bubblegum": "#f28bb2", "burgundy": "#6b1d32",
    "burnt orange": "#bf5a1f", "butter": "#f3e3a1", "camel": "#bd935f", "caramel": "#a86b3a",
    "cerulean": "#2c7fb0", "champagne": "#e9d9bd", "charcoal": "#3d4045",
    "cherry": "#a8172f", "chestnut": "#73402c", "cinnamon": "#9c5a34", "claret": "#741f33",
    "coal": "#2c2d30", "cobalt": "#1f4aa8", "cobalt blue": "#1f4aa8", "coffee": "#5a4032",
    "cognac": "#96542c", "copper": "#ac6a45", "cream": "#f3ead6", "dark green": "#1e4230",
    "denim": "#4d6a8e", "denim blue": "#4d6a8e", "dusty pink": "#cf9d9c",
    "dusty rose": "#bd8585", "ecru": "#e4d9c0", "eggplant": "#45263f",
    "electric blue": "#1f5fe0", "emerald": "#0f7a55", "emerald green": "#0f7a55",
    "fern": "#5d8050", "forest": "#2c5a3c", "forest green": "#2c5a3c",
    "fuchsia": "#c9278a", "hot pink": "#e8418f", "hunter green": "#2f4f38",
    "ice blue": "#cfe2ec", "indigo": "#323a73", "ink": "#20263a", "ivory": "#f4efdf",
    "jade": "#2f9674", "jet black": "#17171a", "khaki": "#a3946b", "lavender": "#b9a9d6",
    "lemon": "#f2dd62", "light blue": "#a5c5e0", "light pink": "#f2c4cf", "lilac": "#bfa2cf",
    "mahogany": "#5f2a22", "marigold": "#e59f21", "mauve": "#a47c98",
    "merlot": "#5a1d2c", "midnight": "#1c2238", "midnight blue": "#1c2340",
    "mint": "#b2dcc4", "mint green": "#b2dcc4", "mocha": "#7a5a48", "moss": "#616b3a",
    "moss green": "#616b3a", "mulberry": "#7d2f58", "mustard": "#cf9f2c",
    "mustard yellow": "#d3a32c", "navy": "#202c4e", "navy blue": "#202c4e",
    "nude": "#ddb79d", "oatmeal": "#d8cbb4", "ochre": "#bd8630", "off white": "#f1ede2",
    "olive": "#65683a", "olive green": "#65683a", "oxblood": "#561c22", "oyster": "#dcd4c7",
    "peach": "#f5bf9f", "pearl": "#ebe5da", "periwinkle": "#8d98d6", "petrol": "#1d5562",
    "petrol blue": "#1d5562", "pine": "#24503f", "pine green": "#24503f",
    "pistachio": "#b5c98b", "plum": "#64305a", "powder blue": "#b3cddc",
    "powder pink": "#ecc8c8", "racing green": "#123e2c", "raspberry": "#b02657",
    "rose": "#d97f92", "rose gold": "#cf9686", "royal blue": "#2a4cb5",
    "royal purple": "#5b348f", "ruby": "#991f3d", "rust": "#a14a24", "sage": "#9caf8d",
    "sage green": "#9caf8d", "sand": "#d3bf9c", "sapphire": "#1c448f", "scarlet": "#c6202b",
    "seafoam": "#a3d6c2", "slate": "#596673", "steel blue": "#5b81a3", "stone": "#c2b8a5",
    "tangerine": "#f0812a", "taupe": "#8c7c6d", "teal": "#127475", "terracotta": "#bb6040",
    "terra cotta": "#bb6040", "tobacco": "#755236", "ultramarine": "#2a37a3",
    "vanilla": "#f2e6bd", "wine": "#5f1f33", "wine red": "#6b1d32",
}  # fmt: skip

MODIFIERS = {
    "light": (0.11, 0.8), "lighter": (0.11, 0.8), "pale": (0.17, 0.55), "pastel": (0.2, 0.55),
    "soft": (0.07, 0.75), "dusty": (0.02, 0.6), "muted": (0.0, 0.6), "faded": (0.06, 0.6),
    "dark": (-0.13, 0.85), "darker": (-0.13, 0.85), "deep": (-0.1, 1.0), "rich": (-0.04, 1.1),
    "bright": (0.05, 1.2), "vivid": (0.02, 1.3), "neon": (0.1, 1.5),
}  # fmt: skip
"""Words before a colour: what they add to its OKLab lightness, and scale its chroma by."""

GARMENTS = frozenset(
    [
        "blazer", "blouse", "cardigan", "coat", "dress", "garment", "hat", "hoodie", "item",
        "jacket", "jeans", "jersey", "jumper", "pants", "polo", "pullover", "shirt", "shorts",
        "skirt", "sweater", "sweatshirt", "tee", "top", "trousers", "tshirt", "t",
    ]
)  # fmt: skip
"""Words which, right after a colour, say that it is the colour the garment has now."""

DETAILS = frozenset(
    [
        "button", "buttons", "stripe", "stripes", "collar", "lining", "logo", "print",
        "stitching", "trim", "zip", "background",
    ]
)  # fmt: skip
"""Words which, right after a colour, say that it is not the garment's main colour."""

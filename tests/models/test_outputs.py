from __future__ import annotations

from typing import Any

import attrs
import pytest

from piktid_async.errors import InvalidRequestError
from piktid_async.models.images import UploadedFile
from piktid_async.models.outputs import Camera, DesignValue, Lighting, OutputOptions, design

FILE = UploadedFile(file_id="img_1", filename="a.jpg", content_type="image/jpeg")


@attrs.frozen
class Styled:
    plain: Any = attrs.field(default=None, validator=design())
    lit: Any = attrs.field(default=None, validator=design(Lighting))


def test_nothing_is_set_by_default():
    assert attrs.astuple(OutputOptions()) == (None,) * 6


@pytest.mark.parametrize(("size", "price"), [("1K", 3), ("2K", 5), ("4K", 10)])
def test_each_size_has_its_documented_price(size, price):
    assert OutputOptions(size=size).credits_per_output == price


@pytest.mark.parametrize(
    "options", [{}, {"ar": "1:1"}, {"size": "2K", "width": 512, "height": 512}]
)
def test_a_price_that_no_page_tells_is_none(options):
    assert OutputOptions(**options).credits_per_output is None


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("size", "8K"),
        ("size", "2k"),
        ("size", 2048),
        ("ar", "2:3"),
        ("ar", "21:9"),
        ("format", "webp"),
        ("format", "JPG"),
    ],
)
def test_a_value_that_is_not_listed_is_refused(field, value):
    with pytest.raises(InvalidRequestError, match=f"^{field}: must be one of"):
        OutputOptions(**{field: value})


@pytest.mark.parametrize("ar", ["1:1", "3:4", "4:3", "9:16", "16:9"])
def test_each_documented_shape_is_taken(ar):
    assert OutputOptions(ar=ar).ar == ar


@pytest.mark.parametrize("edges", [(256, 256), (7000, 7000), (256, 1024), (1024, 256), (2048, 512)])
def test_custom_sizes_include_the_ends_of_their_ranges(edges):
    options = OutputOptions(width=edges[0], height=edges[1])
    assert (options.width, options.height) == edges


@pytest.mark.parametrize("edge", [0, 248, 7008, 513, 260, -512, 512.0, "512", True])
@pytest.mark.parametrize("field", ["width", "height"])
def test_an_edge_out_of_range_or_off_the_grid_is_refused(field, edge):
    with pytest.raises(InvalidRequestError, match=f"^{field}: must be from 256 to 7000 and a mult"):
        OutputOptions(**{"width": 512, "height": 512, field: edge})


@pytest.mark.parametrize(("given", "missing"), [("width", "height"), ("height", "width")])
def test_one_edge_alone_is_refused_and_the_other_named(given, missing):
    with pytest.raises(InvalidRequestError, match=f"^{missing}: .* give both"):
        OutputOptions(**{given: 512})


@pytest.mark.parametrize("edges", [(256, 1032), (1032, 256), (7000, 256)])
def test_a_custom_size_beyond_one_to_four_is_refused(edges):
    with pytest.raises(InvalidRequestError, match=r"^width: .*from 1:4 to 4:1"):
        OutputOptions(width=edges[0], height=edges[1])


@pytest.mark.parametrize("seed", [0, -1, 2**64 - 1])
def test_any_seed_that_json_carries_is_taken(seed):
    assert OutputOptions(seed=seed).seed == seed


@pytest.mark.parametrize("seed", [True, 1.0, "1", 2**64])
def test_a_seed_that_is_no_whole_number_or_too_long_is_refused(seed):
    with pytest.raises(InvalidRequestError, match=r"^seed: must be a whole number"):
        OutputOptions(seed=seed)


@pytest.mark.parametrize(
    ("value", "kept"),
    [
        (DesignValue("linen", FILE), ("linen", "img_1")),
        (DesignValue("linen", "img_2"), ("linen", "img_2")),
        (DesignValue("linen"), ("linen", None)),
        (DesignValue(image=FILE), (None, "img_1")),
    ],
)
def test_a_design_value_has_a_text_an_image_or_both(value, kept):
    assert attrs.astuple(value) == kept


@pytest.mark.parametrize(
    ("given", "field"),
    [({}, "text"), ({"text": " "}, "text"), ({"image": ""}, "image"), ({"image": 7}, "image")],
)
def test_a_design_value_that_says_nothing_is_refused(given, field):
    with pytest.raises(InvalidRequestError) as caught:
        DesignValue(**given)
    assert caught.value.field == field


@pytest.mark.parametrize("value", [None, "linen", 0, 12, DesignValue("linen")])
def test_a_design_is_text_an_index_or_a_design_value(value):
    assert Styled(plain=value, lit=value).plain == value


@pytest.mark.parametrize("value", ["", "  ", -1, 2**63, True, 1.0, {"text": "a"}, ["a"], b"a"])
@pytest.mark.parametrize("field", ["plain", "lit"])
def test_what_is_no_design_is_refused(field, value):
    with pytest.raises(InvalidRequestError, match=f"^{field}: must be a non-empty text"):
        Styled(**{field: value})


def test_a_structure_is_taken_only_where_it_means_something():
    light = Lighting(quality="soft")
    assert Styled(lit=light).lit is light
    with pytest.raises(InvalidRequestError, match=r"^plain: .* or DesignValue$"):
        Styled(plain=light)
    with pytest.raises(InvalidRequestError, match=r"^lit: .* or DesignValue or Lighting$"):
        Styled(lit=Camera(angle="low"))


@pytest.mark.parametrize("kind", [Camera, Lighting])
def test_a_structure_needs_one_part_and_takes_only_words(kind):
    first, *others = (field.name for field in attrs.fields(kind))
    for name in (first, *others):
        assert getattr(kind(**{name: "x"}), name) == "x"
        with pytest.raises(InvalidRequestError, match=f"^{name}: must be a non-empty text"):
            kind(**{name: 3})
    with pytest.raises(InvalidRequestError, match=f"^{first}: give at least one of {first}, "):
        kind()

from __future__ import annotations

import attrs
import pytest

from piktid_async.errors import ConfigurationError
from piktid_async.models.settings import StreamSettings

TIMES = [each.name for each in attrs.fields(StreamSettings) if each.name != "connect"]


def test_the_keepalive_is_the_documented_one():
    assert StreamSettings().keepalive == 15.0
    assert StreamSettings().connect is True


@pytest.mark.parametrize("name", TIMES)
@pytest.mark.parametrize("value", [0, -1, float("nan"), "5", None, True])
def test_a_time_that_is_no_positive_number_is_refused_by_name(name, value):
    with pytest.raises(
        ConfigurationError, match=f"stream settings: {name} must be positive seconds, not"
    ):
        StreamSettings(**{name: value})


@pytest.mark.parametrize("value", [0, 1, "no", None])
def test_connect_is_true_or_false(value):
    with pytest.raises(ConfigurationError, match="stream settings: connect must be True or False"):
        StreamSettings(connect=value)


def test_settings_cannot_be_changed_in_place():
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        StreamSettings().keepalive = 1.0

from __future__ import annotations

import attrs
import pytest

from piktid_async.errors import ConfigurationError
from piktid_async.models.limits import DOCUMENTED_PER_MINUTE, AccountLimits


def test_the_defaults_are_the_documented_limits():
    limits = AccountLimits()
    assert limits.active_jobs == 5
    assert limits.window == 60.0
    assert limits.per_minute == {
        "/garment-recolor": 5,
        "/create-packshot": 5,
        "/model-swap": 5,
        "/flat-2-model": 5,
        "/edit-chat": 15,
        "/identity/create": 5,
        "/identity/promote-generated": 5,
    }


def test_changing_one_s_own_limits_does_not_change_the_defaults():
    limits = AccountLimits()
    assert limits.per_minute is not AccountLimits().per_minute
    assert limits.per_minute is not DOCUMENTED_PER_MINUTE


def test_unlimited_holds_nothing_back():
    limits = AccountLimits.unlimited()
    assert (limits.active_jobs, dict(limits.per_minute)) == (None, {})


def test_limits_can_be_given_as_the_contract_writes_them():
    limits = AccountLimits(active_jobs=2, per_minute={"/garment-recolor": 1})
    assert (limits.active_jobs, limits.per_minute) == (2, {"/garment-recolor": 1})


@pytest.mark.parametrize("value", [0, -1, 1.5, "5", True])
def test_active_jobs_below_one_are_refused(value):
    with pytest.raises(ConfigurationError, match="limits: active_jobs must be 1 or more, not"):
        AccountLimits(active_jobs=value)


@pytest.mark.parametrize("value", [0, -1, 1.5, "5", True, None])
def test_a_rate_below_one_is_refused_by_its_path(value):
    with pytest.raises(ConfigurationError, match="limits: /edit-chat must be 1 or more, not"):
        AccountLimits(per_minute={"/edit-chat": value})


@pytest.mark.parametrize("path", ["garment-recolor", "", 5])
def test_a_rate_for_what_is_no_path_is_refused_and_not_ignored(path):
    with pytest.raises(ConfigurationError, match="begins with a slash"):
        AccountLimits(per_minute={path: 5})


@pytest.mark.parametrize("value", [0, -1.0, float("nan"), "60", None, True])
def test_a_window_that_is_no_positive_number_of_seconds_is_refused(value):
    with pytest.raises(ConfigurationError, match="limits: window must be positive seconds, not"):
        AccountLimits(window=value)


def test_limits_cannot_be_changed_in_place():
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        AccountLimits().active_jobs = 7

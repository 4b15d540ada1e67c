from __future__ import annotations

import attrs
import pytest

from piktid_async.errors import InvalidRequestError
from piktid_async.models.projects import Project, project_id_of


def test_a_project_is_known_by_its_key():
    assert project_id_of(Project("abc123", "spring-drop")) == project_id_of("abc123") == "abc123"


@pytest.mark.parametrize("value", [None, 7, "", " ", Project(""), Project(7), ["abc123"]])
def test_what_is_no_project_is_refused_with_the_way_to_get_one(value):
    with pytest.raises(InvalidRequestError, match=r"^project: .* see session\.projects\.ensure$"):
        project_id_of(value)


def test_a_project_cannot_be_changed_in_place():
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        Project("abc123").project_id = "x"

"""What is wrong with a tree reaches its author as sentences, with the paths and the names that the author knows."""

from __future__ import annotations

from typing import Annotated, Literal

import pytest
from pydantic import BeforeValidator, Field

from valueverse.documents import DocumentError, Problem
from valueverse.documents.validation import StrictModel, judge_object, wrong


def _even(value: object) -> object:
    if isinstance(value, int) and value % 2:
        raise wrong(f"{value} is odd", code="odd_number", suggestion=str(value + 1))
    return value


class Circle(StrictModel):
    model: Literal["circle"]
    radius: Annotated[int, BeforeValidator(_even)]


class Square(StrictModel):
    model: Literal["square"]
    side: int


class Drawing(StrictModel):
    name: Annotated[str, Field(description="what the drawing is called")]
    colour: Literal["red", "green"] = "red"
    shapes: tuple[Annotated[Circle | Square, Field(discriminator="model")], ...] = ()
    labels: dict[str, str] | None = None


def problems(tree: object) -> list[Problem]:
    with pytest.raises(DocumentError) as caught:
        judge_object(Drawing, tree, "bad_drawing", {"missing": "missing_field"}, what="a drawing")
    return list(caught.value.problems)


@pytest.mark.parametrize(
    ("tree", "expected"),
    [
        ({}, ("missing_field", "name", "'name' is required in a drawing: what the drawing is called", None)),
        ({"name": "a", "colour": "gren"}, ("bad_drawing", "colour", "'red' or 'green' is expected here, not", "green")),
        ({"name": "a", "shape": []}, ("bad_drawing", "shape", "unknown field 'shape': did you mean", "shapes")),
        ({"name": "a", "shapes": [{"model": "circel"}]}, ("bad_drawing", "shapes[0].model", "unknown model", "circle")),
        (
            {"name": "a", "shapes": [{"model": "circle", "radius": 3}]},
            ("odd_number", "shapes[0].radius", "3 is odd", "4"),
        ),
        (
            {"name": "a", "shapes": [{"model": "square", "side": 1, "sid": 2}]},
            ("bad_drawing", "shapes[0].sid", "unknown field 'sid'", "side"),
        ),
        ({"name": "a", "labels": {"x": 1}}, ("bad_drawing", "labels.x", "text is expected here, not '1'", None)),
        ({"name": "a", "labels": []}, ("bad_drawing", "labels", "an object of fields is expected here", None)),
    ],
)
def test_one_mistake_is_reported_at_its_path(tree: object, expected: tuple[str, str, str, str | None]) -> None:
    (problem,) = problems(tree)
    code, path, text, suggestion = expected
    assert (problem.code, problem.path, problem.suggestion) == (code, path, suggestion)
    assert text in problem.message


def test_all_mistakes_are_reported_at_once_and_a_misspelt_field_before_what_it_leaves_missing() -> None:
    tree = {"nam": "a", "colour": "blue", "shapes": [{"model": "circle", "radius": 1, "radios": 2}, 5]}
    assert [(one.path, one.code) for one in problems(tree)] == [
        ("nam", "bad_drawing"),
        ("name", "missing_field"),
        ("colour", "bad_drawing"),
        ("shapes[0].radios", "bad_drawing"),
        ("shapes[0].radius", "odd_number"),
        ("shapes[1]", "bad_drawing"),
    ]


def test_a_single_text_lists_every_problem_with_its_path() -> None:
    with pytest.raises(DocumentError) as caught:
        judge_object(Drawing, {"nam": "a", "colour": "blue"}, "bad_drawing")
    error = caught.value.below("data")
    assert error.path == "data.nam"
    assert error.listed.startswith("unknown field 'nam': did you mean 'name'?; also at data.name: ")
    assert "; also at data.colour: " in error.listed

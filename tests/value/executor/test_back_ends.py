"""Two back ends, one meaning: NumPy over draws and Polars over customers say the same of every model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.laws import law
from tests.support.value_models import compiled
from valueverse.errors import RefusalError
from valueverse.value import library
from valueverse.value.architect.compiler.program import compile_model
from valueverse.value.architect.document.parsing import parse_model
from valueverse.value.architect.program_ir import Binding
from valueverse.value.executor import columns
from valueverse.value.executor.binding import Bound
from valueverse.value.executor.columns import array_of, columns_of, evaluate_columns
from valueverse.value.executor.deterministic import input_rows, run_deterministic
from valueverse.value.executor.numpy_backend import evaluate

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from valueverse.value.architect.program_ir import Program

    Floats = NDArray[np.float64]
    Draw = Callable[[st.SearchStrategy[Any]], Any]

NUMBERS = ["0", "0.5", "1", "2", "-1", "-3", "7", "t", "pi"]
COMPARISONS = ["==", "!=", "<", "<=", ">", ">="]
EXACT = [
    "({} + {})", "({} - {})", "({} * {})", "({} / {})", "({} / (1 + abs({})))", "(-{})", "abs({})", "floor({})",
    "ceil({})", "sqrt({})", "sqrt(abs({}))", "min({}, {})", "max({}, {}, {})", "min({}, {}, {}, {}, {})",
    "clip({}, -2, {})", "lookup({}, -1, {}, 0.5, {}, 2, {})", "interpolate({}, -1, {}, 0.5, {}, 2, {})", "cumsum({})",
    "prev({}, 1, {})", "prev({}, 2, init={})",
]  # fmt: skip
"""Operators whose result is the one nearest to the true one wherever they are computed: the bits have to agree."""
SMOOTH = [
    "exp(clip({e}, -5, 5))", "log({e})", "log(1 + abs({e}))", "sin({e})", "cos({e})",
    "(1 + abs({e})) ^ clip({e}, -3, 3)",
    "({e}) ^ 2", "({s} * {e})", "({s} / (1 + abs({e})))", "(abs({s}) + abs({s}))", "max({s}, {e})", "min({e}, {s})",
    "if({c}, {s}, {s})", "clip({s}, {e}, {e})", "interpolate({e}, 0, abs({s}), 3, abs({s}))",
    "lookup({e}, 0, {s}, 1, {s})", "cumsum(abs({s}))", "prev({s}, 1, {s})", "sqrt(abs({s}))",
]  # fmt: skip
"""Whose last bits depend on a library, put together so that small differences stay small: no jump hangs on them."""


class Grammar:
    """Random expressions over names; an exact one is made of EXACT alone."""

    def __init__(self, draw: Draw, exact: list[str], smooth: list[str], lagged: list[str]) -> None:
        self.draw, self.exact_names, self.smooth_names, self.lagged = draw, exact, smooth, lagged

    def exact(self, depth: int) -> str:
        kind = self.draw(st.integers(0, 9)) if depth else 0
        if kind <= 1:
            return str(self.draw(st.sampled_from(self.exact_names + NUMBERS)))
        if kind == 2 and self.lagged:
            name, lag = self.draw(st.sampled_from(self.lagged)), self.draw(st.integers(1, 3))
            return f"prev({name}, {lag}, {self.exact(depth - 1)})"
        if kind == 3:
            return f"if({self.condition(depth - 1)}, {self.exact(depth - 1)}, {self.exact(depth - 1)})"
        template = self.draw(st.sampled_from(EXACT))
        return str(template.format(*(self.exact(depth - 1) for _ in range(template.count("{}")))))

    def condition(self, depth: int) -> str:
        compared = self.draw(st.sampled_from(COMPARISONS))
        one = f"{self.exact(depth)} {compared} {self.exact(depth)}" if depth > 0 else "x > t"
        template = self.draw(st.sampled_from(["{}", "not ({})", "({}) and s > 1", "s < 2 or ({})", "({}) == (x > 0)"]))
        return str(template.format(one))

    def smooth(self, depth: int) -> str:
        if depth <= 0:
            return str(self.draw(st.sampled_from([*self.smooth_names, "exp(x / 9)", "sin(s)"])))
        found = str(self.draw(st.sampled_from(SMOOTH)))
        for mark, make in (("{e}", self.exact), ("{s}", self.smooth), ("{c}", self.condition)):
            while mark in found:
                found = found.replace(mark, make(depth - 1), 1)
        return found


@st.composite
def models(draw: Draw, *, exact_only: bool = False) -> tuple[Program, dict[str, Floats]]:
    """A program with loops through ``prev``, and inputs of a few customers."""
    periods, rows = draw(st.integers(1, 5)), draw(st.integers(1, 4))
    kinds = draw(st.lists(st.booleans(), min_size=1, max_size=5))
    exact = [f"v{place}" for place, smooth in enumerate(kinds) if exact_only or not smooth]
    variables, before, smooths = {}, ["x", "s"], []
    for place, _ in enumerate(kinds):
        name, grammar = f"v{place}", Grammar(draw, before, smooths, exact)
        variables[name] = grammar.exact(3) if name in exact else grammar.smooth(2)
        (before if name in exact else smooths).append(name)
    program = compiled(
        axis={"grain": "month", "periods": periods}, inputs={"x": 1, "s": [1] * periods}, variables=variables
    )
    number = st.sampled_from([-3.0, -1.0, -0.5, 0.0, 0.25, 1.0, 1.5, 2.0, 5.0, 1e3])
    table = draw(st.lists(st.lists(number, min_size=periods + 1, max_size=periods + 1), min_size=rows, max_size=rows))
    values = np.array(table)
    return program, {"x": values[:, :1], "s": values[:, 1:]}


def frame_of(inputs: dict[str, Floats]) -> pl.DataFrame:
    height = max(len(values) for values in inputs.values())
    keys = pl.DataFrame({"customer": [f"c{place}" for place in range(height)], "scenario": ["base"] * height})
    return keys.hstack([one for name, values in inputs.items() for one in columns_of(name, values)])


def in_columns(program: Program, inputs: dict[str, Floats]) -> dict[str, Floats]:
    names = [node.name for node in program.nodes]
    found = evaluate_columns(program, frame_of(inputs), names)
    return {name: array_of(found, name) for name in names}


def first_refusal(program: Program, inputs: dict[str, Floats]) -> tuple[str, str, str] | None:
    """What NumPy says of the first customer whose numbers it refuses, row by row."""
    for row in range(len(inputs["x"])):
        try:
            evaluate(program, {name: values[[row]] for name, values in inputs.items()})
        except RefusalError as refusal:
            period = refusal.message.partition(": ")[0].partition("in period ")[2]
            return f"c{row}", refusal.path, period
    return None


def agree(program: Program, inputs: dict[str, Floats], tolerance: float) -> None:
    refused = first_refusal(program, inputs)
    if refused is not None:
        with pytest.raises(RefusalError) as caught:
            in_columns(program, inputs)
        customer, node, period = refused
        assert (caught.value.code, caught.value.path) == ("no_number", node)
        assert caught.value.message.startswith(f"customer {customer!r}: {node!r} has no number")
        assert not period or f"in period {period} " in caught.value.message
        return
    with np.errstate(all="ignore"):
        one, other = evaluate(program, inputs), in_columns(program, inputs)
    for name, values in other.items():
        np.testing.assert_allclose(values, np.broadcast_to(one[name], values.shape), rtol=tolerance, atol=1e-300)


@given(models(exact_only=True))
@law(120)
def test_arithmetic_has_the_same_bits_in_both_and_what_one_refuses_the_other_does(
    model: tuple[Program, dict[str, Floats]],
) -> None:
    agree(*model, tolerance=0.0)


@given(models())
@law(120)
def test_transcendental_functions_agree_to_a_billionth(model: tuple[Program, dict[str, Floats]]) -> None:
    agree(*model, tolerance=1e-9)


@given(models())
@law(40)
def test_a_customer_s_bits_are_the_same_on_every_run_alone_or_among_others(
    model: tuple[Program, dict[str, Floats]],
) -> None:
    program, inputs = model
    if first_refusal(program, inputs) is not None:
        return
    whole, again = in_columns(program, inputs), in_columns(program, inputs)
    for row in range(len(inputs["x"])):
        alone = in_columns(program, {name: values[[row]] for name, values in inputs.items()})
        for name, values in whole.items():
            assert values[row].tobytes() == again[name][row].tobytes() == alone[name][0].tobytes()


NOT_A_NUMBER = "log(0 - x)"
NO_END = "1 / (x - x)"


@pytest.mark.parametrize(
    "expr",
    [
        *(f"if({NOT_A_NUMBER} {compared} {other}, 1, 2)" for compared in COMPARISONS for other in ("1", "x")),
        *(f"if({other} {compared} {NOT_A_NUMBER}, 1, 2)" for compared in COMPARISONS for other in ("1", NOT_A_NUMBER)),
        *(f"if({least}({NOT_A_NUMBER}, x) > 0, 1, 2)" for least in ("min", "max")),
        *(f"if({least}(x, {NOT_A_NUMBER}) > 0, 1, 2)" for least in ("min", "max")),
        f"min({NO_END}, 5)", f"clip(-{NO_END}, x, 9)", f"lookup({NOT_A_NUMBER}, 0, 1, 2, x)",
        f"if(interpolate({NOT_A_NUMBER}, 0, 1, 2, x) > 0, 1, 2)", f"interpolate({NO_END}, 0, 1, 2, x)",
        f"interpolate(-{NO_END}, 0, 1, 2, x)", f"min(7, interpolate(x, 5, {NO_END}, 9, x))",
        f"min(7, interpolate(x, 0, 1, 1, {NO_END}))", "floor(x / 49) + floor(x / 3) / 7", "interpolate(x, 0, 0, 49, 1)",
        "max(1 / (0 - (x - x)), 5)", "max(1 / (0 + -(x - x)), 5)", "max(1 / ((x - x) * -1 + 0), 5)",
    ],
)  # fmt: skip
def test_what_is_no_number_on_the_way_means_the_same_in_both(expr: str) -> None:
    program = compiled(axis={"grain": "month", "periods": 1}, inputs={"x": 1, "s": 1}, variables={"y": expr})
    agree(program, {"x": np.array([[0.5], [3.0], [49.0]]), "s": np.ones((3, 1))}, tolerance=0.0)


@pytest.mark.parametrize("exponent", [0.5, 2.0, 3.0, -2.0, 2.5])
@pytest.mark.parametrize("expr", ["x ^ k", "1.07 ^ (k * x)", "(x + pi) / max(k, 1.5)"])
def test_powers_and_quotients_have_the_same_bits_however_many_customers_share_a_query(
    exponent: float, expr: str
) -> None:
    program = compiled(axis={"grain": "month", "periods": 1}, inputs={"x": 1, "k": 1}, variables={"y": expr})
    x = np.arange(1.0, 31).reshape(-1, 1)
    inputs = {"x": x, "k": np.full(x.shape, exponent)}
    whole = in_columns(program, inputs)["y"]
    for size in (1, 2, 3, 5, 7):
        parts = [{name: one[start : start + size] for name, one in inputs.items()} for start in range(0, 30, size)]
        assert np.concatenate([in_columns(program, part)["y"] for part in parts]).tobytes() == whole.tobytes()


def test_the_bits_do_not_hang_on_how_many_rows_a_query_holds(monkeypatch: pytest.MonkeyPatch) -> None:
    program = compiled(axis={"grain": "month", "periods": 6}, inputs={"x": 1}, variables={
        "users": "prev(users, 1, x) * 0.98 + x ^ 0.3", "sum": "cumsum(exp(-users / 100))",
    })  # fmt: skip
    inputs = {"x": np.linspace(1, 90, 100).reshape(-1, 1)}
    whole = in_columns(program, inputs)
    monkeypatch.setattr(columns, "BLOCK_CELLS", 50)
    assert all(values.tobytes() == whole[name].tobytes() for name, values in in_columns(program, inputs).items())


@pytest.mark.parametrize("name", library.names())
def test_library_models_come_to_the_same_in_both(name: str) -> None:
    program = compile_model(parse_model(library.text(name)))
    periods = program.axis.periods
    bindings = [one.name for one in program.inputs if isinstance(one.source, Binding)]
    measured = {
        scenario.name: {
            f"c{size}": Bound({one: np.linspace(50, 90, periods).reshape(1, -1) * size for one in bindings}, [])
            for size in (1, 2, 3)
        }
        for scenario in program.scenarios
    }
    rows = input_rows(program, measured)
    names = [node.name for node in program.nodes]
    found = evaluate_columns(program, rows, names)
    expected = evaluate(program, {one.name: array_of(rows, one.name) for one in program.inputs})
    for node in names:
        np.testing.assert_allclose(array_of(found, node), expected[node] + np.zeros((len(rows), 1)), rtol=1e-9)
    assert run_deterministic(program, measured).height == len(rows) * len(program.outputs.targets)


GAPS: dict[str, tuple[str, list[float | None]]] = {
    "a sum": ("x + y", [None, 7.0]),
    "the least of many": ("min(5, x, y, 3)", [None, 3.0]),
    "the greatest": ("max(x, y)", [None, 4.0]),
    "a clip": ("clip(y, x, 9)", [None, 4.0]),
    "a choice by it": ("if(x > 1, 1, y)", [None, 1.0]),
    "a choice of it": ("if(y > 1, x, y)", [None, 3.0]),
    "a choice of the other": ("if(y > 1, y, x)", [4.0, 4.0]),
    "a table": ("lookup(x, 0, 1, 2, y)", [None, 4.0]),
    "a line": ("interpolate(x, 0, 1, 6, 2)", [None, 1.5]),
    "a condition of two": ("if(x > 1 or y > 1, 1, 0)", [None, 1.0]),
    "a running total": ("cumsum(x)", [None, 3.0]),
    "a power of it": ("x ^ y", [None, 81.0]),
    "a power by it": ("2 ^ x", [None, 8.0]),
}
"""y is 4 for both customers; x is missing for the first and 3 for the second."""


@pytest.mark.parametrize(("expr", "expected"), list(GAPS.values()), ids=list(GAPS))
def test_what_is_missing_makes_missing_what_it_reaches_and_never_nothing(
    expr: str, expected: list[float | None]
) -> None:
    program = compiled(axis={"grain": "month", "periods": 1}, inputs={"x": 1, "y": 1}, variables={"z": expr})
    frame = frame_of({"x": np.array([[1.0], [3.0]]), "y": np.array([[4.0], [4.0]])})
    gap = frame.with_columns(pl.when(pl.col("customer") == "c1").then(pl.col("x@1")).alias("x@1"))
    assert evaluate_columns(program, gap, ["z"])["z@1"].to_list() == expected


def test_what_nests_deep_and_tables_of_many_keys_stay_small() -> None:
    deep, table = "x", ", ".join(f"{key}, x + {key}" for key in range(64))
    for place in range(60):
        deep = f"max(x - {place}, min({deep}, {place}), 2)"
    program = compiled(
        axis={"grain": "month", "periods": 2}, inputs={"x": 1},
        variables={"deep": deep, "table": f"interpolate(x * 3, {table})", "many": f"min({', '.join(['x * t'] * 64)})"},
    )  # fmt: skip
    agree(program, {"x": np.array([[1.5], [17.0], [400.0]])}, tolerance=0.0)


def test_a_model_of_too_many_columns_is_refused_before_it_is_compiled(monkeypatch: pytest.MonkeyPatch) -> None:
    program = compiled(axis={"grain": "month", "periods": 12}, inputs={"x": 1}, variables={"y": "x * t"})
    monkeypatch.setattr(columns, "MOST_COLUMNS", 10)
    with pytest.raises(RefusalError, match="12 values") as refused:
        in_columns(program, {"x": np.ones((1, 1))})
    assert (refused.value.code, refused.value.path) == ("too_large", "axis.periods")

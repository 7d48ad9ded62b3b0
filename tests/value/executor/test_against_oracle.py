"""The executor's arrays against an oracle that works out one number at a time, on random models and hard cases."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.laws import law
from tests.support.value_models import compiled
from tests.support.value_oracle import NoNumberError, worked_out
from valueverse.errors import RefusalError
from valueverse.value import library
from valueverse.value.architect.compiler.program import compile_model
from valueverse.value.architect.document.parsing import parse_model
from valueverse.value.architect.program_ir import Binding
from valueverse.value.executor.binding import Bound
from valueverse.value.executor.customers import inputs_of
from valueverse.value.executor.evaluate import evaluate_program

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
"""Whose last bits depend on a library, put together so that small differences stay small: no jump depends on them."""


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


def rows_of(inputs: dict[str, Floats]) -> list[dict[str, list[float]]]:
    height = max(len(values) for values in inputs.values())
    return [{name: values[row].tolist() for name, values in inputs.items()} for row in range(height)]


def first_refusal(program: Program, inputs: dict[str, Floats]) -> tuple[str, set[int]] | None:
    """The first node, in the program's order, that some customer has no number of; and the periods of all of them."""
    refused: dict[str, set[int]] = {}
    for row in rows_of(inputs):
        try:
            worked_out(program, row)
        except NoNumberError as error:
            refused.setdefault(error.node, set()).add(error.period)
    order = [name for component in program.components for name in component.names]
    return next(((name, refused[name]) for name in order if name in refused), None)


def agree(program: Program, inputs: dict[str, Floats], tolerance: float) -> None:
    refused = first_refusal(program, inputs)
    if refused is not None:
        with pytest.raises(RefusalError) as caught:
            evaluate_program(program, inputs)
        node, periods = refused
        assert (caught.value.code, caught.value.path) == ("no_number", node)
        period = caught.value.message.partition(": ")[0].partition("in period ")[2].partition(",")[0]
        assert not period or int(period) in periods
        return
    found = evaluate_program(program, inputs)
    for place, row in enumerate(rows_of(inputs)):
        for name, expected in worked_out(program, row).items():
            values = np.broadcast_to(found[name], (len(inputs["x"]), found[name].shape[1]))[place]
            np.testing.assert_allclose(
                np.broadcast_to(values, (len(expected),)), expected, rtol=tolerance, atol=1e-300 if tolerance else 0.0
            )


@given(models(exact_only=True))
@law(120)
def test_arithmetic_has_the_bits_of_the_oracle_and_what_one_refuses_the_other_does(
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
    whole, again = evaluate_program(program, inputs), evaluate_program(program, inputs)
    for row in range(len(inputs["x"])):
        alone = evaluate_program(program, {name: values[[row]] for name, values in inputs.items()})
        for name, values in whole.items():
            place = row if len(values) > 1 else 0
            assert values[place].tobytes() == again[name][place].tobytes() == alone[name][0].tobytes()


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
def test_what_is_no_number_on_the_way_means_the_same_to_the_oracle(expr: str) -> None:
    program = compiled(axis={"grain": "month", "periods": 1}, inputs={"x": 1, "s": 1}, variables={"y": expr})
    agree(program, {"x": np.array([[0.5], [3.0], [49.0]]), "s": np.ones((3, 1))}, tolerance=0.0)


@pytest.mark.parametrize("exponent", [0.5, 2.0, 3.0, -2.0, 2.5, 1.0, -1.0, 0.0])
@pytest.mark.parametrize("expr", ["x ^ k", "1.07 ^ (k * x)", "(x + pi) / max(k, 1.5)"])
def test_powers_and_quotients_have_the_same_bits_however_many_customers_share_a_query(
    exponent: float, expr: str
) -> None:
    program = compiled(axis={"grain": "month", "periods": 1}, inputs={"x": 1, "k": 1}, variables={"y": expr})
    x = np.arange(1.0, 31).reshape(-1, 1)
    inputs = {"x": x, "k": np.full(x.shape, exponent)}
    whole = evaluate_program(program, inputs)["y"]
    for size in (1, 2, 3, 5, 7):
        parts = [{name: one[start : start + size] for name, one in inputs.items()} for start in range(0, 30, size)]
        assert np.concatenate([evaluate_program(program, part)["y"] for part in parts]).tobytes() == whole.tobytes()


def test_a_root_a_square_and_a_reciprocal_are_the_exact_ones_also_for_an_exponent_of_each_customer() -> None:
    program = compiled(axis={"grain": "month", "periods": 1}, inputs={"x": 1, "k": 1}, variables={"y": "x ^ k"})
    x = np.concatenate([np.arange(1.0, 400) / 7, -np.arange(1.0, 30)]).reshape(-1, 1)
    for exponent, exact in ((2.0, np.square(x)), (-1.0, 1 / x), (1.0, x)):
        assert np.array_equal(evaluate_program(program, {"x": x, "k": np.full(x.shape, exponent)})["y"], exact)
    root = evaluate_program(program, {"x": np.abs(x), "k": np.full(x.shape, 0.5)})["y"]
    assert np.array_equal(root, np.sqrt(np.abs(x)))


@pytest.mark.parametrize("name", library.names())
def test_library_models_come_to_what_the_oracle_says(name: str) -> None:
    program = compile_model(parse_model(library.text(name)))
    sources = {one.name: one.source for one in program.inputs}
    bound = [
        Bound(
            {
                name: np.linspace(50, 90, program.axis.periods).reshape(1, -1) * size
                for name, source in sources.items()
                if isinstance(source, Binding)
            },
            [],
        )
        for size in (1, 2, 3)
    ]
    inputs = inputs_of(sources, {}, bound, 1)
    found = evaluate_program(program, inputs)
    for place in range(len(bound)):
        row = {name: values[place if len(values) > 1 else 0].tolist() for name, values in inputs.items()}
        for node, expected in worked_out(program, row).items():
            values = found[node][place if len(found[node]) > 1 else 0]
            np.testing.assert_allclose(np.broadcast_to(values, (len(expected),)), expected, rtol=1e-9)

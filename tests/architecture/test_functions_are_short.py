"""A function of the product is at most 50 lines long; a longer one is several steps, each with a name."""

import ast
from collections.abc import Iterator
from pathlib import Path

import assets
import pipelines
import quality
import serving_api
import valueverse
import valueverse_client

PACKAGES = [
    Path(package.__file__).parent
    for package in (valueverse, assets, pipelines, quality, serving_api, valueverse_client)
]
LIMIT = 50
Function = ast.FunctionDef | ast.AsyncFunctionDef


def test_no_function_of_the_product_is_longer_than_the_limit() -> None:
    modules = [path for package in PACKAGES for path in sorted(package.rglob("*.py"))]
    assert len(modules) > 300
    found = [f"{path}: {one}" for path in modules for one in long_functions(path.read_text())]
    assert found == []


def test_a_long_function_is_found_and_what_is_not_its_code_does_not_count() -> None:
    code = "    x = 1\n" * (LIMIT - 1)
    assert long_functions(f"def short():\n{code}") == []
    assert long_functions(f"def long():\n{code}    x = 2") == [f"long has {LIMIT + 1} lines"]
    assert long_functions(f'def documented():\n    """Why.\n\n    How."""\n{code}') == []
    inner = "\n".join(f"    {line}" for line in f"def inner():\n{code}".splitlines())
    assert long_functions(f"def outer():\n{inner}\n    return inner") == []
    options = "    a: int = 1,\n" * 30
    assert long_functions(f"@app.command('c')\ndef command(\n{options}) -> None:\n{code}    x = 2\n") == [
        f"command has {LIMIT + 1} lines"
    ]
    assert long_functions(f"def plain(\n{options}) -> None:\n{code}") == [f"plain has {LIMIT + 31} lines"]


def long_functions(source: str) -> list[str]:
    """Functions with more lines than the limit, each with their number."""
    functions = [node for node in ast.walk(ast.parse(source)) if isinstance(node, Function)]
    return [f"{one.name} has {lines(one)} lines" for one in functions if lines(one) > LIMIT]


def lines(function: Function) -> int:
    """Lines of a function but its docstring, functions inside it, and the options that a command of the CLI takes."""
    whole = height(function)
    first = function.body[0]
    if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant):
        whole -= height(first)
    if any(isinstance(one, ast.Call) and ast.unparse(one.func).endswith(".command") for one in function.decorator_list):
        whole -= last_line_of_signature(function) - function.lineno
    return whole - sum(height(inner) for inner in nested(function))


def last_line_of_signature(function: Function) -> int:
    parts = [*function.args.args, *function.args.kwonlyargs, *function.args.defaults, function.returns]
    return max([function.lineno, *(part.end_lineno or 0 for part in parts if part is not None)])


def height(node: ast.stmt) -> int:
    return (node.end_lineno or node.lineno) - node.lineno + 1


def nested(function: Function) -> Iterator[Function]:
    """Functions directly inside one."""
    waiting: list[ast.AST] = list(function.body)
    while waiting:
        node = waiting.pop()
        if isinstance(node, Function):
            yield node
        else:
            waiting.extend(ast.iter_child_nodes(node))

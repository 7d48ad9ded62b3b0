"""A compiled model for people: its tree with units; and what is wrong with one, with the place in the text."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from valueverse.value.architect.language.expressions import expression_text
from valueverse.value.architect.program_ir import Binding, Distribution, Input, Node

if TYPE_CHECKING:
    from collections.abc import Iterable

    from valueverse.value.architect.program_ir import Program, Source

_WIDEST = 100


def tree_text(program: Program) -> str:
    """The model as a tree: money first, below it what it is made of, each with its unit; a part is spelt out once."""
    lines = [_headline(program)]
    shown: set[str] = set()
    nodes = {node.name: node for node in program.nodes}
    inputs = {one.name: one for one in program.inputs}
    roots = [node for node in program.nodes if node.kind in {"driver", "cost"}]
    reached = {name for node in roots for name in _below(node.name, nodes)}
    roots += [node for node in program.nodes if node.kind == "variable" and node.name not in reached]
    read = {name for node in program.nodes for name in node.depends}
    loose = [one for one in program.inputs if one.name not in read]
    whole: list[Node | Input] = [*roots, *loose]
    for place, root in enumerate(whole):
        last = place == len(whole) - 1
        lines.extend(_branch(root, "", nodes, inputs, shown, last=last, notes=_notes(program)))
    outputs = [target.name for target in program.outputs.targets]
    outputs += [f"P({one.text})" for one in program.outputs.probabilities]
    lines.append(f"outputs: {', '.join(outputs)}")
    lines.append(f"scenarios: {', '.join(one.name for one in program.scenarios)}")
    lines.append(f"content hash: {program.content_hash}")
    return "\n".join(lines)


def tree_json(program: Program) -> dict[str, Any]:
    """The same as data: inputs and nodes with units and what they read."""
    return {
        "model": program.model,
        "content_hash": program.content_hash,
        "currency": program.currency,
        "periods": program.axis.periods,
        "grain": program.axis.grain,
        "inputs": [{"name": one.name, "unit": _unit(one), "source": source_text(one.source)} for one in program.inputs],
        "nodes": [
            {
                "name": node.name,
                "kind": node.kind,
                "unit": _unit(node),
                "expr": node.text,
                "compiled": expression_text(node.expression),
                "reads": list(node.depends),
                "varies_in_time": node.varies_in_time,
                "varies_by_draw": node.varies_by_draw,
                "recurrent": node.recurrent,
            }
            for node in program.nodes
        ],
        "scenarios": [one.name for one in program.scenarios],
        "outputs": [target.name for target in program.outputs.targets],
    }


def _headline(program: Program) -> str:
    axis, discount = program.axis, program.axis.discount
    parts = [f"{axis.periods} x {axis.grain}", program.currency or "no currency"]
    if program.drivers or program.costs:
        parts.append(f"discounted at {discount.rate:.6g} a year ({discount.compounding}, {discount.timing} of period)")
    return f"{program.model}: {', '.join(parts)}"


def _notes(program: Program) -> dict[str, str]:
    notes = {}
    for driver in program.drivers:
        facts = [driver.kind]
        facts += [f"risk {driver.risk:g}"] if driver.risk else []
        facts += [f"attribution {driver.attribution:g}"] if driver.attribution != 1 else []
        facts += [f"decay {driver.decay:g} a year"] if driver.decay else []
        notes[driver.node] = ", ".join(facts)
    for cost in program.costs:
        facts = [f"in period {cost.at} alone"] if cost.at is not None else ["in every period"]
        facts += [f"risk {cost.risk:g}"] if cost.risk else []
        notes[cost.node] = ", ".join(facts)
    return notes


def _below(name: str, nodes: dict[str, Node]) -> set[str]:
    found: set[str] = set()
    waiting = [name]
    while waiting:
        node = nodes.get(waiting.pop())
        for one in node.depends if node else ():
            if one not in found:
                found.add(one)
                waiting.append(one)
    return found


def _branch(
    root: Node | Input,
    margin: str,
    nodes: dict[str, Node],
    inputs: dict[str, Input],
    shown: set[str],
    *,
    last: bool,
    notes: dict[str, str],
) -> Iterable[str]:
    """Lines of a part and, the first time, of what it reads; without recursion, for chains may be long."""
    waiting: list[tuple[Node | Input, str, bool]] = [(root, margin, last)]
    while waiting:
        one, indent, is_last = waiting.pop()
        line = f"{indent}{'└─' if is_last else '├─'} {_line(one, notes)}"
        below = [
            nodes.get(name) or inputs[name]
            for name in (one.depends if isinstance(one, Node) else ())
            if name != one.name
        ]
        if below and one.name in shown:
            line += " (see above)"
            below = []
        shown.add(one.name)
        yield line
        inner = f"{indent}{'   ' if is_last else '│  '}"
        if len(inner) > _WIDEST:
            continue
        waiting.extend((child, inner, place == 0) for place, child in enumerate(reversed(below)))


def _line(one: Node | Input, notes: dict[str, str]) -> str:
    if isinstance(one, Input):
        return f"{one.name} [{_unit(one)}] {source_text(one.source)}"
    note = f"  ({notes[one.name]})" if one.name in notes else ""
    text = " ".join(one.text.split())
    return f"{one.name} [{_unit(one)}] = {text if len(text) <= _WIDEST else f'{text[: _WIDEST - 3]}...'}{note}"


def _unit(one: Node | Input) -> str:
    return "bare number" if one.unit is None else str(one.unit)


def source_text(source: Source) -> str:
    """Where an input comes from, in words."""
    match source:
        case Binding(metric=metric, aggregation=aggregation, window_text=window, frozen=frozen):
            over = f" over {window}" if window else ""
            return f"{aggregation} of {metric}{over}{', frozen as baseline' if frozen else ''}"
        case Distribution(family=family, parameters=parameters, written=name):
            shown = ", ".join(f"{number:.6g}" for number in parameters[:6])
            more = ", ..." if len(parameters) > 6 else ""
            clip = f" clipped to [{', '.join('open' if one is None else f'{one:g}' for one in source.clip)}]"
            of = f"{name}: " if name != family else ""
            return f"{of}{family}({shown}{more}){clip if source.clip != (None, None) else ''}"
        case tuple():
            return f"one number per period, {source[0]:.6g} first"
        case _:
            return f"{source:.12g}"

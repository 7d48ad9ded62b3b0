"""Order in a graph of names: what comes first, and what is connected in a loop."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping


def components(graph: Mapping[str, Collection[str]]) -> list[list[str]]:
    """Strongly connected components, each after all that it points at (Tarjan, without recursion).

    Args:
        graph: what each name depends on; a name that is no key is left out. Its order decides between equals.
    """
    found: list[list[str]] = []
    number: dict[str, int] = {}
    low: dict[str, int] = {}
    waiting: list[str] = []
    open_names: set[str] = set()
    for start in graph:
        if start in number:
            continue
        number[start] = low[start] = len(number)
        waiting.append(start)
        open_names.add(start)
        path: list[tuple[str, Iterator[str]]] = [(start, iter(graph[start]))]
        while path:
            name, rest = path[-1]
            following = next((one for one in rest if one in graph and (one not in number or one in open_names)), None)
            if following is None:
                path.pop()
                if path:
                    low[path[-1][0]] = min(low[path[-1][0]], low[name])
                if low[name] == number[name]:
                    cut = waiting.index(name)
                    found.append(waiting[cut:])
                    open_names.difference_update(waiting[cut:])
                    del waiting[cut:]
            elif following in number:
                low[name] = min(low[name], number[following])
            else:
                number[following] = low[following] = len(number)
                waiting.append(following)
                open_names.add(following)
                path.append((following, iter(graph[following])))
    return found


def shortest_cycle(graph: Mapping[str, Collection[str]], start: str) -> list[str]:
    """The names of a shortest way from ``start`` back to it, ``start`` at both ends; empty: there is none."""
    before: dict[str, str] = {}
    queue = deque([start])
    while queue:
        name = queue.popleft()
        for following in graph.get(name, ()):
            if following == start:
                way = [start, name]
                while way[-1] != start:
                    way.append(before[way[-1]])
                return way[::-1] if name != start else [start, start]
            if following in graph and following not in before:
                before[following] = name
                queue.append(following)
    return []

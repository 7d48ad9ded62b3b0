"""A package of the pure core is imported by what its ``__init__`` exports, never by its inner files."""

from __future__ import annotations

import ast
from pathlib import Path

import valueverse

ROOT = Path(valueverse.__file__).parent.parent
CODE = ("valueverse", "assets", "pipelines", "quality", "serving_api")
CORE = ("catalog", "documents", "events", "formula", "invoicing", "ledger", "metering", "rating", "subscriptions")
VALUE = ("architect", "committer", "executor", "finance", "library", "realisation", "report")
PACKAGES = (*(f"valueverse.{name}" for name in CORE), *(f"valueverse.value.{name}" for name in VALUE))


def _owner(module: str) -> str | None:
    return next((package for package in PACKAGES if module == package or module.startswith(package + ".")), None)


def _module(file: Path) -> str:
    return ".".join(file.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def _imports(file: Path) -> list[tuple[str, str]]:
    """(module, name) of every ``from module import name``, and (module, "") of every ``import module``."""
    found = []
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module:
            found += [(node.module, name.name) for name in node.names]
        elif isinstance(node, ast.Import):
            found += [(name.name, "") for name in node.names]
    return found


def _exported(package: str) -> set[str]:
    tree = ast.parse((ROOT / package.replace(".", "/") / "__init__.py").read_text())
    for node in tree.body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__":
            return set(ast.literal_eval(node.value))
    return set()


def test_code_imports_a_package_by_what_it_exports() -> None:
    found = []
    for root in CODE:
        for file in (ROOT / root).rglob("*.py"):
            here = _module(file)
            for module, name in _imports(file):
                owner = _owner(module)
                if owner is None or owner == _owner(here):
                    continue
                is_package = (ROOT / module.replace(".", "/") / "__init__.py").is_file()
                if not is_package or name not in _exported(module):
                    found.append(f"{here}: {module}.{name}")
    assert found == []


def test_a_package_exports_what_another_uses_and_no_more() -> None:
    used = {
        (module, name)
        for root in (*CODE, "tests", "bench")
        for file in (ROOT / root).rglob("*.py")
        for module, name in _imports(file)
        if _owner(module) not in (None, _owner(_module(file)))
    }
    unused = []
    for package in PACKAGES:
        for face in (ROOT / package.replace(".", "/")).rglob("__init__.py"):
            module = _module(face)
            unused += [f"{module}.{name}" for name in sorted(_exported(module)) if (module, name) not in used]
    assert unused == []

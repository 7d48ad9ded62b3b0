"""The project's tenant, where a command needs one and is given none."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from valueverse.errors import RefusalError
from valueverse.platform.project_file import find_project_file, read_project_file

if TYPE_CHECKING:
    import typer

_OPTION = "--tenant"


def default_tenants(context: typer.Context) -> dict[str, Any]:
    """Defaults (click's ``default_map``) of the required ``--tenant`` options of the command that is about to run.

    Optional ones only narrow what is shown, and stay as they are. A settings file with a mistake gives no default: the
    command says what is wrong with it once it reads its settings.
    """
    name = context.invoked_subcommand or ""
    command = getattr(context.command, "commands", {}).get(name)
    if command is None or not _needs_tenant(command) or not (tenant := _tenant()):
        return {}
    return {name: _defaults(command, tenant)}


def _needs_tenant(command: Any) -> bool:
    return any(map(_is_required_tenant, command.params)) or any(
        map(_needs_tenant, getattr(command, "commands", {}).values())
    )


def _is_required_tenant(parameter: Any) -> bool:
    return parameter.required and _OPTION in parameter.opts


def _defaults(command: Any, tenant: str) -> dict[str, Any]:
    own = {one.name: [tenant] if one.multiple else tenant for one in command.params if _is_required_tenant(one)}
    return own | {name: _defaults(one, tenant) for name, one in getattr(command, "commands", {}).items()}


def _tenant() -> str | None:
    """As ``Settings.tenant``, without what loading all settings takes: it is asked for before every command."""
    if "VALUEVERSE_TENANT" in os.environ:
        return os.environ["VALUEVERSE_TENANT"]
    path = find_project_file(dict(os.environ), Path.cwd())
    try:
        return str(read_project_file(path).values.get("tenant") or "") if path else None
    except RefusalError:
        return None

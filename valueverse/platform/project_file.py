"""``valueverse.yaml``: the settings of a project folder, which also hold in every folder below it."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from valueverse.errors import RefusalError

if TYPE_CHECKING:
    from valueverse.documents import Source

FILE_NAME = "valueverse.yaml"
VARIABLE = "VALUEVERSE_PROJECT_FILE"
"""Environment variable that names the file; set and empty: there is none."""

FIELDS = {
    "tenant": "tenant",
    "catalog": "catalog",
    "catalog_from": "catalog_from",
    "home": "home",
    "landing": "external_landing",
    "lake": "external_lake_url",
    "audit_dir": "external_audit_dir",
    "fonts": "fonts",
    "postgres_port": "postgres_port",
    "dagster_port": "dagster_port",
    "api_port": "api_port",
    "architect_port": "architect_port",
    "committer_port": "committer_port",
    "executor_port": "executor_port",
    "api_groups": "api_groups",
    "metrics_port": "metrics_port",
    "events_a_minute": "events_a_minute",
    "events_a_minute_of": "events_a_minute_of",
    "otlp_endpoint": "otlp_endpoint",
    "trace_ratio": "trace_ratio",
    "kafka_brokers": "kafka_brokers",
    "kafka_topic": "kafka_topic",
    "kafka_properties": "kafka_properties",
    "api_workers": "api_workers",
    "api_cache_mib": "api_cache_mib",
    "trusted_proxies": "trusted_proxies",
}
"""Key -> field of ``Settings``. Addresses with passwords are no keys: the file is meant for version control."""

_PATHS = {"catalog", "home", "landing", "lake", "audit_dir", "fonts", "kafka_properties"}


@dataclass(frozen=True)
class ProjectFile:
    """What a ``valueverse.yaml`` states.

    Attributes:
        path: of the file.
        values: field of ``Settings`` -> value; relative paths are those of the file's folder.
    """

    path: Path
    values: dict[str, Any]
    _source: Source

    def refusal(self, field: str, message: str) -> RefusalError:
        """``bad_setting`` at the key of a field."""
        key = next(key for key, name in FIELDS.items() if name == field)
        return self._refusal(key, f"{key}: {message}")

    def _refusal(self, key: str, message: str) -> RefusalError:
        line, _ = self._source.place(key)
        return RefusalError("bad_setting", f"{self.path}, line {line}: {message}", key)


def find_project_file(environment: dict[str, str], folder: Path) -> Path | None:
    """The file that VARIABLE names, else what has its name in ``folder`` or the nearest folder above it; None: there is
    none. What is no file, or a link to nothing, is refused when it is read, for it was meant to be one."""
    if VARIABLE in environment:
        named = environment[VARIABLE]
        return Path(named).absolute() if named else None
    return next((path for one in (folder, *folder.parents) if os.path.lexists(path := one / FILE_NAME)), None)


def read_project_file(path: Path) -> ProjectFile:
    """Read the settings of a file.

    Raises:
        RefusalError: ``bad_setting``: the file cannot be read, is no mapping, or has an unknown key or a value that is
            neither text nor a whole number; with file, line, key and the cure.
    """
    from valueverse.documents import DocumentError, Format, read_document

    form = Format("settings file", "tenant, home", "bad_setting", _whole_number, 65_536, 2, 100, 200)
    try:
        source = read_document(path.read_bytes(), form)
        source.problems.refuse()
    except OSError as error:
        raise RefusalError("bad_setting", f"{path} {_why_unreadable(path, error)}") from error
    except DocumentError as error:
        first = error.problems[0]
        raise RefusalError("bad_setting", f"{path}, line {first.line}: {first.message}", first.path) from error
    file = ProjectFile(path, {}, source)
    for key, value in source.tree.items():
        if key not in FIELDS:
            unknown = RefusalError.unknown("bad_setting", f"unknown key {key!r}", key, FIELDS, key)
            raise file._refusal(key, unknown.message)
        if value is None:
            raise file._refusal(key, f"{key} has no value: give it one, or remove the line")
        if isinstance(value, bool) or not isinstance(value, str | int):
            raise file._refusal(key, f"{key} is one text or whole number, e.g. `home: .valueverse`")
        is_path = key in _PATHS and "://" not in str(value)
        file.values[FIELDS[key]] = path.parent / Path(str(value)).expanduser() if is_path else value
    return file


def _why_unreadable(path: Path, error: OSError) -> str:
    if path.is_symlink() and not path.exists():
        return f"is a link to {path.readlink()}, where nothing is: bring that file back, or remove the link"
    if path.is_dir():
        return "is a folder: write the settings into a file of this name, or rename the folder"
    return f"cannot be read: {error.strerror}"


def _whole_number(text: str) -> int:
    if not text.lstrip("-").isdigit():
        raise ValueError(f"the number {text[:40]} is no whole number")
    return int(text)

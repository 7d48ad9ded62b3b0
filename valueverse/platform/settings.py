"""Where everything is: one object read from ``VALUEVERSE_*`` variables, the same for every process and
test."""

from __future__ import annotations

import hashlib
import os
import re
import tempfile
from pathlib import Path
from typing import Literal
from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit, urlunsplit

from pydantic import Field, ValidationError, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from valueverse.errors import RefusalError
from valueverse.platform.access.secrets import secret
from valueverse.platform.servers.processes import read_record

Role = Literal["admin", "builder", "api"]

ROLE_NAMES: dict[Role, str] = {
    "admin": "valueverse_admin",
    "builder": "valueverse_builder",
    "api": "valueverse_api",
}
"""Database logins. The owner, reader and analyst group roles have no login and are in ``warehouse``."""


TENANT_KEY = re.compile(r"[a-z0-9][a-z0-9_.-]{0,62}")
"""What a tenant key looks like (contracts.md, section 1)."""


class Settings(BaseSettings):
    """Folders, addresses and ports. Every field may be set by ``VALUEVERSE_<FIELD>``; an argument wins over
    it."""

    model_config = SettingsConfigDict(env_prefix="VALUEVERSE_", frozen=True, extra="forbid", populate_by_name=True)

    home: Path = Field(default=Path(".valueverse"), validate_default=True)
    database: str = Field(default="valueverse", pattern=r"^[a-z_][a-z0-9_]{0,62}$")
    dagster_database: str = Field(default="dagster", pattern=r"^[a-z_][a-z0-9_]{0,62}$")
    postgres_port: int = Field(default=54320, ge=0, le=65535, description="0: Unix socket only")
    dagster_port: int = Field(default=3000, ge=1, le=65535)
    api_port: int = Field(default=8000, ge=1, le=65535)

    external_postgres_url: str | None = Field(default=None, validation_alias="VALUEVERSE_POSTGRES_URL")
    external_redis_url: str | None = Field(default=None, validation_alias="VALUEVERSE_REDIS_URL")
    external_lake_url: str | None = Field(default=None, validation_alias="VALUEVERSE_LAKE_URL")
    external_secrets_dir: Path | None = Field(default=None, validation_alias="VALUEVERSE_SECRETS_DIR")
    external_landing: Path | None = Field(default=None, validation_alias="VALUEVERSE_LANDING")

    @field_validator("home", "external_secrets_dir", "external_landing")
    @classmethod
    def _absolute(cls, path: Path | None) -> Path | None:
        return path if path is None else path.expanduser().absolute()

    @field_validator("external_postgres_url", "external_redis_url", "external_lake_url", mode="before")
    @classmethod
    def _empty_is_unset(cls, value: str | None) -> str | None:
        return value or None

    @property
    def landing(self) -> Path:
        """Folder that event files arrive in, one subfolder per tenant."""
        return self.external_landing or self.home / "landing"

    @property
    def lake_url(self) -> str:
        """Root of the Delta tables: a folder, or any object store delta-rs knows."""
        return self.external_lake_url or str(self.home / "lake")

    @property
    def dagster_home(self) -> Path:
        """The Dagster instance's folder (``dagster.yaml``, compute logs)."""
        return self.home / "dagster"

    @property
    def logs(self) -> Path:
        """One log file per server."""
        return self.home / "logs"

    @property
    def run(self) -> Path:
        """Records of running servers, locks."""
        return self.home / "run"

    @property
    def secrets_dir(self) -> Path:
        """One file per secret, readable by its owner alone."""
        return self.external_secrets_dir or self.home / "secrets"

    @property
    def sockets(self) -> Path:
        """Private folder of the Unix sockets: short, because the kernel takes no more than about 107 bytes of
        path."""
        mark = hashlib.sha256(os.fsencode(self.home)).hexdigest()[:12]
        return Path(tempfile.gettempdir() if len(tempfile.gettempdir()) < 40 else "/tmp") / (  # noqa: S108 - see above
            f"valueverse-{os.getuid()}-{mark}"
        )

    def postgres_url(self, role: Role, database: str | None = None) -> str:
        """``postgresql://`` address of ``role`` (libpq form; a Unix socket is in ``?host=``)."""
        if self.external_postgres_url:
            return _as_role(self.external_postgres_url, role, self._password(role), database)
        record = read_record(self.run, "postgres")
        where = {
            "host": str(record.details["sockets"]) if record else str(self.sockets),
            "port": str(record.details["port"]) if record else str(self.postgres_port or 5432),
        }
        user = f"{ROLE_NAMES[role]}:{quote(self._password(role), safe='')}"
        return f"postgresql://{user}@/{database or self.database}?{urlencode(where)}"

    @property
    def redis_url(self) -> str:
        """``redis://`` or ``unix://`` address of Valkey, password included."""
        if self.external_redis_url:
            return self.external_redis_url
        return f"unix://:{secret(self.secrets_dir, 'valkey')}@{self.sockets / 'valkey.sock'}?db=0"

    @property
    def database_name(self) -> str:
        """Name of the warehouse's database, also on an external server."""
        if self.external_postgres_url:
            return unquote(urlsplit(self.external_postgres_url).path.lstrip("/")) or self.database
        return self.database

    def environment(self) -> dict[str, str]:
        """``VALUEVERSE_*`` variables that give a child process these very settings."""
        given = {"VALUEVERSE_HOME": str(self.home)}
        for name in self.model_fields_set - {"home"}:
            value = getattr(self, name)
            if value is not None:
                given[f"VALUEVERSE_{name.removeprefix('external_').upper()}"] = str(value)
        return given

    def _password(self, role: Role) -> str:
        return secret(self.secrets_dir, f"postgres_{role}")


def _as_role(url: str, role: Role, password: str, database: str | None) -> str:
    """The administrator's address, as another login and for another database."""
    parts = urlsplit(url)
    netloc, path = parts.netloc, parts.path
    if role != "admin":
        host = netloc.rpartition("@")[2]
        netloc = f"{ROLE_NAMES[role]}:{quote(password, safe='')}@{host}"
    if database:
        path = f"/{database}"
    query = [
        (key, value) for key, value in parse_qsl(parts.query) if role == "admin" or key not in {"user", "password"}
    ]
    return urlunsplit(("postgresql", netloc, path, urlencode(query), ""))


def get_settings() -> Settings:
    """Settings of this process's environment.

    Raises:
        RefusalError: ``bad_setting``, naming the variable and what it would take.
    """
    try:
        return Settings()
    except ValidationError as error:
        first = error.errors()[0]
        field = str(first["loc"][0]) if first["loc"] else ""
        name = field if field.startswith("VALUEVERSE_") else f"VALUEVERSE_{field.upper()}"
        raise RefusalError("bad_setting", f"{name}={first.get('input')!r}: {first['msg']}", name) from error

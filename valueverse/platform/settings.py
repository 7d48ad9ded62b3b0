"""Where everything is: one object, the same for every process and test.

What holds, in this order: an argument, a ``VALUEVERSE_*`` variable, ``valueverse.yaml`` of the project folder, the
default.
"""

from __future__ import annotations

import hashlib
import ipaddress
import os
import re
import tempfile
from pathlib import Path
from typing import Literal
from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit, urlunsplit

from pydantic import Field, ValidationError, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from valueverse.dates import NO_INSTANT, is_instant
from valueverse.errors import RefusalError
from valueverse.platform.access.secrets import secret
from valueverse.platform.project_file import find_project_file, read_project_file
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


HOME = ".valueverse"

API_GROUPS = ("billing", "architect", "committer", "executor")
"""Groups of the API's routes: one process serves all of them, or several processes some each."""


MOST_EVENTS_A_MINUTE = 6_000_000
"""The largest budget: a bucket counts microseconds, and one event takes ten of them then."""


class Settings(BaseSettings):
    """Folders, addresses, ports and the tenant that commands mean. Every field may be set by ``VALUEVERSE_<FIELD>``;
    an argument wins over it. ``get_settings`` also reads the project's file."""

    model_config = SettingsConfigDict(env_prefix="VALUEVERSE_", frozen=True, extra="forbid", populate_by_name=True)

    home: Path = Field(default=Path(HOME), validate_default=True)
    database: str = Field(default="valueverse", pattern=r"^[a-z_][a-z0-9_]{0,62}$")
    dagster_database: str = Field(default="dagster", pattern=r"^[a-z_][a-z0-9_]{0,62}$")
    postgres_port: int = Field(default=54320, ge=0, le=65535, description="0: Unix socket only")
    dagster_port: int = Field(default=3001, ge=1, le=65535)
    api_port: int = Field(default=8000, ge=1, le=65535)
    architect_port: int = Field(default=8001, ge=1, le=65535)
    committer_port: int = Field(default=8002, ge=1, le=65535)
    executor_port: int = Field(default=8003, ge=1, le=65535)
    api_groups: str = Field(default="", description="groups of routes that the API serves, comma-separated; empty: all")
    trusted_proxies: str = Field(
        default="",
        description="addresses and networks of proxies whose X-Forwarded-For the API believes, comma-separated",
    )
    api_workers: int = Field(
        default_factory=lambda: min(4, os.cpu_count() or 1), ge=1, le=4, description="processes of the API that answer"
    )
    api_cache_mib: int = Field(
        default=64, ge=0, le=4096, description="memory for finished answers in each process of the API; 0: none"
    )
    metrics_port: int = Field(default=9464, ge=1, le=65535)
    webhook_private_addresses: bool = Field(
        default=False, description="webhooks may go to addresses that are not public, and by http"
    )
    webhook_days: int = Field(default=30, ge=1, le=3650, description="delivered notifications stay for so many days")
    webhook_dead_days: int = Field(default=90, ge=1, le=3650, description="the same of those that were given up")
    wallet_low_percent: int = Field(
        default=20, ge=0, le=100, description="a wallet with less left, of what the last addition made it, is low"
    )
    otlp_endpoint: str | None = Field(
        default=None,
        pattern=r"^https?://[^\s?#]+$",
        description="collector of spans, OTLP/HTTP; None: none",
    )
    trace_ratio: float = Field(default=1.0, ge=0, le=1, description="share of the traces that are sent")
    metrics_host: str = Field(default="127.0.0.1", description="address that Prometheus asks; never a public one")
    events_a_minute: int = Field(
        default=1_000_000, ge=1, le=MOST_EVENTS_A_MINUTE, description="events that a tenant may send the API a minute"
    )
    events_a_minute_of: str = Field(default="", description="the same of single tenants: acme=5000, birch=20000")

    kafka_brokers: str | None = Field(
        default=None,
        pattern=r"^[^\s,]+:\d+(,[^\s,]+:\d+)*$",
        description="host:port of brokers, comma-separated, whose topic events come through; None: no Kafka",
    )
    kafka_topic: str = Field(default="valueverse.events", pattern=r"^[a-zA-Z0-9._-]{1,249}$", description="that topic")
    kafka_properties: Path | None = Field(
        default=None, description="file with further properties of librdkafka, name=value on each line: TLS, SASL"
    )

    app_url: str = Field(
        default="http://127.0.0.1:3000",
        pattern=r"^https?://[^\s?#]+[^\s?#/]$",
        description="web app that mails link to",
    )
    api_url: str = Field(
        default="http://127.0.0.1:8000",
        pattern=r"^https?://[^\s?#]+[^\s?#/]$",
        description="address of the API that people's browsers know; identity providers send them back to it",
    )
    oidc_private_addresses: bool = Field(
        default=False, description="identity providers may have addresses that are not public, and http"
    )
    oidc_pkce_unstated: str = Field(
        default="login.microsoftonline.com",
        description="hosts of identity providers that take code challenges by S256 and do not say so, comma-separated",
    )
    smtp_url: str | None = Field(
        default=None,
        pattern=r"^(smtp|smtps)://[^\s?#/]+$",
        description="smtp://user@host:587 (STARTTLS) or smtps://user@host:465; None: a folder gets the mails",
    )
    mail_from: str = Field(
        default="ValueVerse <valueverse@localhost>",
        pattern=r"^[^\r\n]+@[^\r\n@]+$",
        description="sender of mails",
    )

    tenant: str | None = Field(
        default=None, pattern=f"^{TENANT_KEY.pattern}$", description="whom commands mean that name nobody"
    )
    catalog: Path | None = Field(default=None, description="what the tenant sells; the first `run` publishes it")
    catalog_from: str | None = Field(default=None, description="from when on it holds: an instant, or a date in UTC")
    fonts: Path | None = Field(default=None, description="folder with fonts for invoices, beside those that come along")
    project_file: Path | None = Field(default=None, description="valueverse.yaml of the project folder")

    external_postgres_url: str | None = Field(default=None, validation_alias="VALUEVERSE_POSTGRES_URL")
    external_redis_url: str | None = Field(default=None, validation_alias="VALUEVERSE_REDIS_URL")
    external_lake_url: str | None = Field(default=None, validation_alias="VALUEVERSE_LAKE_URL")
    external_secrets_dir: Path | None = Field(default=None, validation_alias="VALUEVERSE_SECRETS_DIR")
    external_landing: Path | None = Field(default=None, validation_alias="VALUEVERSE_LANDING")

    external_audit_dir: Path | None = Field(default=None, validation_alias="VALUEVERSE_AUDIT_DIR")

    vault_url: str | None = Field(default=None, description="a server with Vault's API, which wraps data keys")
    vault_mount: str = Field(default="transit", pattern=r"^[\w/-]+$", description="where its transit engine is mounted")
    vault_key: str = Field(default="valueverse", pattern=r"^[\w.-]+$", description="the key of that engine")

    @field_validator(
        "home",
        "external_secrets_dir",
        "external_landing",
        "external_audit_dir",
        "catalog",
        "fonts",
        "project_file",
        "kafka_properties",
    )
    @classmethod
    def _absolute(cls, path: Path | None) -> Path | None:
        return path if path is None else path.expanduser().absolute()

    @field_validator(
        "external_postgres_url",
        "external_redis_url",
        "external_lake_url",
        "vault_url",
        "project_file",
        "tenant",
        "fonts",
        "otlp_endpoint",
        "smtp_url",
        "kafka_brokers",
        "kafka_properties",
        mode="before",
    )
    @classmethod
    def _empty_is_unset(cls, value: object) -> object:
        return value or None

    @field_validator("catalog_from")
    @classmethod
    def _is_instant(cls, text: str | None) -> str | None:
        if text is not None and not is_instant(text):
            raise ValueError(NO_INSTANT)
        return text

    @field_validator("api_groups")
    @classmethod
    def _are_groups(cls, text: str) -> str:
        if unknown := [name for name in _names(text) if name not in API_GROUPS]:
            raise ValueError(f"has no group of routes {unknown[0]!r}; there are {', '.join(API_GROUPS)}")
        return text

    @field_validator("trusted_proxies")
    @classmethod
    def _are_proxies(cls, text: str) -> str:
        for one in _names(text):
            try:
                network = ipaddress.ip_network(one)
            except ValueError as error:
                raise ValueError(f"has {one!r}: write an address, or a network as 10.20.0.0/16") from error
            if network.prefixlen == 0:
                raise ValueError(f"has {one!r}, which is everybody: whoever asks would choose an address")
        return text

    @field_validator("events_a_minute_of")
    @classmethod
    def _are_budgets(cls, text: str) -> str:
        for one in _names(text):
            tenant, _, count = (part.strip() for part in one.partition("="))
            known = TENANT_KEY.fullmatch(tenant) and count.isascii() and count.isdigit()
            if not known or not 1 <= int(count[:20]) <= MOST_EVENTS_A_MINUTE:
                raise ValueError(f"has {one!r}: write tenant=number, the number from 1 to {MOST_EVENTS_A_MINUTE}")
        return text

    @field_validator("external_lake_url", mode="before")
    @classmethod
    def _lake_as_text(cls, value: object) -> object:
        return str(value) if isinstance(value, Path) else value

    @property
    def groups(self) -> tuple[str, ...]:
        """Groups of routes that the API serves here."""
        named = _names(self.api_groups)
        return tuple(name for name in API_GROUPS if not named or name in named)

    @property
    def proxies(self) -> tuple[str, ...]:
        """Addresses and networks of proxies whose ``X-Forwarded-For`` is believed."""
        return tuple(_names(self.trusted_proxies))

    @property
    def pkce_hosts(self) -> tuple[str, ...]:
        """Hosts of identity providers that take code challenges by S256 and do not say so."""
        return tuple(one.lower() for one in _names(self.oidc_pkce_unstated))

    def event_budget(self, tenant: str) -> int:
        """Events that a tenant may send the API a minute."""
        stated = (one.partition("=") for one in _names(self.events_a_minute_of))
        own = {name.strip(): int(count) for name, _, count in stated}
        return own.get(tenant, self.events_a_minute)

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
    def mail_dir(self) -> Path:
        """Mails, a file each, where no mail server is set."""
        return self.home / "mail"

    @property
    def logs(self) -> Path:
        """One log file per server."""
        return self.home / "logs"

    @property
    def run(self) -> Path:
        """Records of running servers, locks."""
        return self.home / "run"

    @property
    def metrics_dir(self) -> Path:
        """Files that processes count into, in a folder for each server."""
        return self.run / "metrics"

    @property
    def secrets_dir(self) -> Path:
        """One file per secret, readable by its owner alone."""
        return self.external_secrets_dir or self.home / "secrets"

    @property
    def audit_dir(self) -> Path:
        """Signed checkpoints of the audit log, a file per tenant: best on a disk that the database's owner cannot
        write."""
        return self.external_audit_dir or self.home / "audit"

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
        record = read_record(self.run, "valkey")
        socket = record.details["socket"] if record else self.sockets / "valkey.sock"
        return f"unix://:{secret(self.secrets_dir, 'valkey')}@{socket}?db=0"

    @property
    def database_name(self) -> str:
        """Name of the warehouse's database, also on an external server."""
        if self.external_postgres_url:
            return unquote(urlsplit(self.external_postgres_url).path.lstrip("/")) or self.database
        return self.database

    def environment(self) -> dict[str, str]:
        """``VALUEVERSE_*`` variables that give a child process these very settings."""
        # A child process has another working folder: above that one another project's file may lie.
        given = {"VALUEVERSE_HOME": str(self.home), "VALUEVERSE_PROJECT_FILE": str(self.project_file or "")}
        for name in self.model_fields_set - {"home", "project_file"}:
            value = getattr(self, name)
            if value is not None:
                given[_variable(name)] = str(value)
        return given

    def _password(self, role: Role) -> str:
        return secret(self.secrets_dir, f"postgres_{role}")


def _names(text: str) -> list[str]:
    return [name for one in text.split(",") if (name := one.strip())]


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
    """Settings of this process: its environment, then ``valueverse.yaml`` of the project folder that it works in.

    Raises:
        RefusalError: ``bad_setting``, naming the variable, or the file, line and key, and what it would take.
    """
    path = find_project_file(dict(os.environ), Path.cwd())
    file = read_project_file(path) if path else None
    given = {name.upper() for name in os.environ}
    known = {"home": file.path.parent / HOME, **file.values} if file else {}
    stated = {field: value for field, value in known.items() if _variable(field) not in given}
    try:
        return Settings(**stated, project_file=path)
    except ValidationError as error:
        first = error.errors()[0]
        field = _field(str(first["loc"][0])) if first["loc"] else ""
        own = first["type"] == "value_error"
        message = f"{first.get('input')!r}{' ' if own else ': '}{first['msg'].removeprefix('Value error, ')}"
        if file is not None and field in stated and field in file.values:
            raise file.refusal(field, message) from error
        raise RefusalError("bad_setting", f"{_variable(field)}={message}", _variable(field)) from error


def _variable(field: str) -> str:
    return f"VALUEVERSE_{field.removeprefix('external_').upper()}"


def _field(location: str) -> str:
    """The field that a location of an error names, which may be its variable."""
    fields = {_variable(name): name for name in Settings.model_fields}
    return fields.get(location, location)

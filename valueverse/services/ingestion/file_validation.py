"""The lines of one landing file, judged as far as the file and the run's other files show."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from valueverse.catalog import parse_catalog
from valueverse.errors import RefusalError
from valueverse.events import (
    CATALOG_PUBLISHED,
    IS_BILLING,
    judge_billing_event,
    load_exact_json,
    payload_hash,
    validate_events,
)
from valueverse.landing import LandingFile, guarded, read_chunks, refused_file
from valueverse.schemas.types import INSTANT

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime

FOUNDING = ("billing.tenant.created", CATALOG_PUBLISHED)
NO_TENANT = "the key of the message names no tenant: send it again with the tenant's key as the key of the message"
IS_FOUNDING = pl.col("type").is_in(FOUNDING)


def validated(file: LandingFile, moment: datetime) -> Iterator[pl.DataFrame]:
    """The file's lines, valid or with a reason, in frames of bounded size.

    Raises:
        RefusalError: ``unreadable_file``, also after some frames.
    """
    for lines in read_chunks(file):
        with guarded():
            # A column: looked up within the checks' conditions, Polars 2.1 loses its way among the lines.
            received = lines.with_columns(_received(file, moment).alias("receipt"))
            judged = judged_lines(received, file.tenant, pl.col("receipt"), file.name, file.file_hash).drop("receipt")
        yield _placed(file, judged)


def _placed(file: LandingFile, judged: pl.DataFrame) -> pl.DataFrame:
    """Lines of messages: ``line`` is the offset, and what names no tenant is refused."""
    if not file.offsets:
        return judged
    lines, offsets = (pl.Series(values, dtype=pl.Int64) for values in zip(*file.offsets, strict=True))
    run = pl.lit(lines).search_sorted(pl.col("line"), side="right") - 1
    offset = pl.lit(offsets).gather(run) + pl.col("line") - pl.lit(lines).gather(run)
    placed = judged.with_columns(offset.alias("line"))
    if file.tenant:
        return placed
    # A number of a card stays the reason: its line is quarantined without its text.
    instrument = (pl.col("reason") == "payment_instrument").fill_null(value=False)
    stray = {"reason": "unknown_tenant", "message": NO_TENANT, "path": "key"}
    columns = [pl.when(instrument).then(name).otherwise(pl.lit(text)).alias(name) for name, text in stray.items()]
    return placed.with_columns(*columns, pl.lit(None, pl.String).alias("tenant"))


def unreadable_file(file: LandingFile, refusal: RefusalError, moment: datetime) -> pl.DataFrame:
    """The one line that represents a file that cannot be read."""
    return judged_lines(refused_file(refusal), file.tenant, pl.lit(moment), file.name, file.file_hash)


def _received(file: LandingFile, moment: datetime) -> pl.Expr:
    """When the event of each line was received: what was refused then as too far ahead is so for ever."""
    if not file.receipts:
        return pl.lit(moment)
    lines, moments = zip(*file.receipts, strict=True)
    place = pl.lit(pl.Series(lines, dtype=pl.Int64)).search_sorted(pl.col("line"), side="right") - 1
    return pl.lit(pl.Series(moments, dtype=INSTANT)).gather(place)


def judged_lines(
    lines: pl.DataFrame, tenant: str, received_at: pl.Expr, name: str = "", file_hash: str = ""
) -> pl.DataFrame:
    """PARSED_LINES of a tenant, each received at an instant: valid or with a reason; their file's name and hash."""
    judged = _billing_judged(validate_events(lines, tenant, received_at), tenant)
    named = judged.lazy().with_columns(
        pl.lit(tenant).alias("tenant"),
        pl.lit(name).alias("file"),
        pl.lit(file_hash).alias("file_hash"),
        payload_hash().alias("payload_hash"),
    )
    instant = pl.col("instant")
    return named.with_columns(instant.alias("time"), instant.dt.date().alias("event_date")).collect()


def _billing_judged(checked: pl.DataFrame, tenant: str) -> pl.DataFrame:
    """Billing events are documents, few against usage, and are judged one by one."""
    judgeable = IS_BILLING & pl.col("reason").is_null() & pl.col("data").is_not_null()
    billing = checked.lazy().filter(judgeable).select("line", "type", "data").collect()
    verdicts = []
    for line, kind, data in billing.iter_rows():
        try:
            judge_billing_event(kind, tenant, load_exact_json(data), parse_catalog)
        except RefusalError as refusal:
            verdicts.append((line, refusal.code, refusal.message, refusal.path))
    if not verdicts:
        return checked
    names = ("reason", "message", "path")
    schema = {"line": pl.Int64} | {f"{name}_now": pl.String for name in names}
    joined = checked.join(
        pl.DataFrame(verdicts, schema=schema, orient="row"), on="line", how="left", maintain_order="left"
    )
    return joined.with_columns(pl.coalesce(f"{name}_now", name).alias(name) for name in names).drop(
        f"{name}_now" for name in names
    )


class Founders:
    """Which tenants exist: those of earlier runs, and those that a file of this run brings into being."""

    def __init__(self, known: set[str], files: Sequence[LandingFile], moment: datetime) -> None:
        self._known, self._files, self._moment = known, files, moment
        self._strangers: set[str] = set()

    def look_into(self, files: Sequence[LandingFile]) -> None:
        """Further files of the run, which may found tenants too."""
        self._files = [*self._files, *files]
        self._strangers -= {file.tenant for file in files}

    def known_only(self, judged: pl.DataFrame) -> pl.DataFrame:
        """Refuse events of tenants that nobody has created."""
        good = judged.filter(pl.col("reason").is_null())
        self._known |= set(good.filter(IS_FOUNDING)["tenant"].unique())
        strangers = [tenant for tenant in set(good["tenant"].unique()) - self._known if not self.comes(tenant)]
        stranger = pl.col("tenant").is_in(sorted(strangers)) & pl.col("reason").is_null()
        message = pl.format(
            "nobody has created the tenant '{}': send billing.tenant.created, or a catalog, first, "
            "and then this file under another name",
            "tenant",
        )
        return judged.with_columns(
            pl.when(stranger).then(pl.lit("unknown_tenant")).otherwise("reason").alias("reason"),
            pl.when(stranger).then(message).otherwise("message").alias("message"),
            pl.when(stranger).then(pl.lit("tenant")).otherwise("path").alias("path"),
        )

    def comes(self, tenant: str) -> bool:
        """Whether any file of the run founds the tenant; only for tenants not known yet are other files looked into."""
        if tenant in self._strangers:
            return False
        if any(self._founds(file) for file in self._files if file.tenant == tenant):
            self._known.add(tenant)
            return True
        self._strangers.add(tenant)
        return False

    def _founds(self, file: LandingFile) -> bool:
        try:
            # To the end: a file that turns out to be unreadable founds nobody.
            return (
                sum(
                    frame.filter(IS_FOUNDING, pl.col("reason").is_null()).height
                    for frame in validated(file, self._moment)
                )
                > 0
            )
        except RefusalError:
            return False

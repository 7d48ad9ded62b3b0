"""What prepaid money moves: grants, purchases, voids and expiry. What invoices use of it stands with the invoices."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from valueverse.invoicing.settlement import wallet_rows, whole_minor_units
from valueverse.ledger.accounts import CASH, CUSTOMER_CREDIT, EXPIRED_CREDIT, GRANTED_CREDIT, move
from valueverse.ledger.payment_movements import dated, received_events
from valueverse.schemas.ledger import JOURNAL_MOVEMENTS
from valueverse.schemas.types import INSTANT

if TYPE_CHECKING:
    from datetime import datetime

_WALLET = ["tenant", "customer", "wallet", "currency"]


def wallet_blocks(facts: pl.DataFrame) -> pl.DataFrame:
    """Grants, purchases and voids in the order in which they count (``turn``): WALLETS with ``wallet_kind`` in the
    place of ``kind`` and whole ``amount_minor``; those of nothing left out."""
    inputs = wallet_rows(received_events(facts, "wallet.granted", "wallet.purchased", "wallet.voided"))
    rows = whole_minor_units("amount", "currency", inputs).filter(pl.col("amount_minor") > 0)
    return rows.rename({"kind": "wallet_kind"}).with_row_index("turn")


def wallet_movements(blocks: pl.DataFrame, used: pl.DataFrame, zones: pl.DataFrame, as_of: datetime) -> pl.DataFrame:
    """Movements of grants, purchases, voids and of what expired by ``as_of``.

    Args:
        blocks: ``wallet_blocks``.
        used: WALLET_USES: what invoices that are not voided used of each.
        zones: tenant, timezone.
        as_of: the run's present.
    """
    sums = used.group_by("tenant", "origin").agg(pl.col("amount_minor").sum().alias("used"))
    opened = (
        blocks.filter(pl.col("wallet_kind") != "voided")
        .join(sums, on=["tenant", "origin"], how="left", maintain_order="left")
        .with_columns(pl.col("used").fill_null(0))
    )
    taken = _voided(opened, blocks.filter(pl.col("wallet_kind") == "voided"))
    gone = taken.group_by("tenant", "origin").agg(pl.col("amount_minor").sum().alias("taken"))
    lapsed = (
        opened.filter(pl.col("expires_at") <= pl.lit(as_of, INSTANT))
        .join(gone, on=["tenant", "origin"], how="left", maintain_order="left")
        .with_columns((pl.col("amount_minor") - pl.col("used") - pl.col("taken").fill_null(0)).alias("amount_minor"))
        .filter(pl.col("amount_minor") > 0)
    )
    return pl.concat([*_opened(opened, zones), *_closed(taken, "void", zones), *_closed(lapsed, "expiry", zones)])


def _opened(opened: pl.DataFrame, zones: pl.DataFrame) -> list[pl.DataFrame]:
    rows = dated(opened, "created_at", zones).with_columns(
        pl.concat_str(pl.lit("wallet_"), "wallet_kind").alias("kind"), pl.col("origin").alias("reference")
    )
    granted, bought = (rows.filter(pl.col("wallet_kind") == kind) for kind in ("granted", "purchased"))
    return [
        move(granted, GRANTED_CREDIT, "amount_minor", "customer", "wallet"),
        move(bought, CASH, "amount_minor"),
        move(rows, CUSTOMER_CREDIT, -pl.col("amount_minor"), "customer", "wallet"),
    ]


def _closed(rows: pl.DataFrame, how: str, zones: pl.DataFrame) -> list[pl.DataFrame]:
    """What a void gives back, or an expiry turns into revenue: granted credit was never paid, so it is no revenue."""
    if rows.is_empty():
        return [JOURNAL_MOVEMENTS.to_frame()]
    kind, when, reference, account = (
        ("wallet_voided", "voided_at", "void_origin", CASH)
        if how == "void"
        else ("wallet_expired", "expires_at", "origin", EXPIRED_CREDIT)
    )
    named = dated(rows, when, zones).with_columns(pl.lit(kind).alias("kind"), pl.col(reference).alias("reference"))
    granted, bought = (named.filter(pl.col("wallet_kind") == one) for one in ("granted", "purchased"))
    return [
        move(named, CUSTOMER_CREDIT, "amount_minor", "customer", "wallet"),
        move(granted, GRANTED_CREDIT, -pl.col("amount_minor"), "customer", "wallet"),
        move(bought, account, -pl.col("amount_minor")),
    ]


def _voided(opened: pl.DataFrame, voids: pl.DataFrame) -> pl.DataFrame:
    """What each void takes of each block that came before it and had not expired: ``amount_minor`` with void_origin and
    voided_at beside the block's columns.

    Blocks give in the order in which they would have been spent; the turn of a wallet's next void comes after that.
    """
    left = opened.with_columns((pl.col("amount_minor") - pl.col("used")).clip(0).alias("left"))
    turns = voids.select(
        *_WALLET,
        pl.col("turn").alias("void_turn"),
        pl.col("origin").alias("void_origin"),
        pl.col("created_at").alias("voided_at"),
        pl.col("amount_minor").alias("asked"),
        pl.int_range(pl.len()).over(_WALLET).alias("round"),
    )
    found = []
    for number in range(int(turns["round"].max() or 0) + 1 if turns.height else 0):  # type: ignore[arg-type]  # Int64
        took = _one_void(left, turns.filter(pl.col("round") == number))
        found.append(took)
        sums = took.select("turn", pl.col("took").alias("now"))
        left = (
            left.join(sums, on="turn", how="left", maintain_order="left")
            .with_columns((pl.col("left") - pl.col("now").fill_null(0)).alias("left"))
            .drop("now")
        )
    if not found:
        return left.clear()
    return pl.concat(found).filter(pl.col("took") > 0).with_columns(pl.col("took").alias("amount_minor"))


def _one_void(left: pl.DataFrame, voids: pl.DataFrame) -> pl.DataFrame:
    order = [
        pl.col("priority"), pl.col("wallet_kind") != "granted", pl.col("expires_at"), pl.col("created_at"),
        pl.col("left"), pl.col("restrict_to").list.join(","), pl.col("origin"),
    ]  # fmt: skip
    alive = pl.col("expires_at").is_null() | (pl.col("expires_at") > pl.col("voided_at"))
    there = left.join(voids, on=_WALLET).filter(pl.col("turn") < pl.col("void_turn"), alive)
    rows = there.sort(*order, nulls_last=True)
    before = pl.col("left").cum_sum().over("void_turn") - pl.col("left")
    rest = (pl.col("asked") - before).clip(0)
    return rows.with_columns(pl.min_horizontal("left", rest).alias("took"))

"""What a frame promises: a ``pl.Schema`` that also knows its key, and that puts frames into its shape."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping


class Contract(pl.Schema):
    """Columns of a frame, in order, with their types.

    Attributes:
        key: columns that identify a row; empty: rows repeat.
        nullable: columns that may be null.
    """

    def __init__(
        self,
        columns: Mapping[str, pl.DataType | type[pl.DataType]],
        *,
        key: Collection[str] = (),
        nullable: Collection[str] = (),
    ) -> None:
        super().__init__(columns)
        if unknown := {*key, *nullable} - set(self.names()):
            raise ValueError(f"no such columns: {sorted(unknown)}")
        self.key = tuple(key)
        self.nullable = frozenset(nullable)

    def conform(self, frame: pl.DataFrame, *, unset: Collection[str] = ()) -> pl.DataFrame:
        """The columns of the contract in its order and types; others are left out.

        Args:
            frame: with every column but those of ``unset``.
            unset: nullable columns that nothing is known of yet: null.

        Raises:
            pl.exceptions.ColumnNotFoundError: for a column that is missing.
            ValueError: for a column named in ``unset`` that is there, or may not be null.
        """
        if wrong := [name for name in unset if name in frame.columns or name not in self.nullable]:
            raise ValueError(f"not unset, or never null: {wrong}")
        if frame.schema == self:
            return frame
        return frame.select(
            (pl.lit(None, dtype) if name in unset else pl.col(name).cast(dtype)).alias(name)
            for name, dtype in self.items()
        )

    def part(self, *names: str) -> Contract:
        """The contract of some of its columns, which may repeat."""
        return Contract({name: self[name] for name in names}, nullable=self.nullable.intersection(names))

    def violations(self, frame: pl.DataFrame) -> list[str]:
        """What of the contract does not hold for a frame, a sentence each: columns, types, nulls and key."""
        if frame.schema != self:
            missing = [name for name in self if name not in frame.columns]
            other = [name for name in frame.columns if name not in self]
            typed = [
                f"{name} is {frame.schema[name]}, not {dtype}"
                for name, dtype in self.items()
                if name in frame.columns and frame.schema[name] != dtype
            ]
            return [f"missing {missing}, not in the contract {other}, {typed or 'in another order'}"]
        nulls = frame.select(pl.col(name).null_count() for name in self if name not in self.nullable)
        found = [
            f"{name} is null {count} times" for name, count in zip(nulls.columns, *nulls.rows(), strict=True) if count
        ]
        if self.key and (repeated := frame.height - frame.n_unique(subset=list(self.key))):
            found.append(f"{repeated} rows repeat the key {self.key}")
        return found

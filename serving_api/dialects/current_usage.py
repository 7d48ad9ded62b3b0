"""Lago's read of current usage: what a subscription's period comes to so far."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime
from decimal import Decimal
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any, Literal

import orjson
from fastapi import APIRouter, Depends, Query
from pydantic import BaseModel, ConfigDict
from starlette.requests import Request
from starlette.responses import Response

from serving_api.dialects.ingest import NAMED
from serving_api.log_reads import waiting_of
from serving_api.problems import Problem
from serving_api.responses import refuse_repeated, respond
from serving_api.schemas import Key
from serving_api.security.authentication import identify_reader
from serving_api.security.tokens import Identity
from serving_api.service import service_of
from valueverse.dates import utc_text
from valueverse.errors import RefusalError
from valueverse.money import plain
from valueverse.platform.lake import Lake
from valueverse.services.billing.current_usage import CurrentUsage, current_usage
from valueverse.services.subscriptions.billing_log import read_log

if TYPE_CHECKING:
    from collections.abc import Sequence

    from serving_api.service import Service
    from valueverse.catalog import Charge, Meter
    from valueverse.services.subscriptions.billing_log import WaitingRequest

router = APIRouter(prefix="/compat/lago/api/v1", include_in_schema=False)


class CurrentUsageQuery(BaseModel):
    """Of which subscription."""

    model_config = ConfigDict(extra="forbid")
    external_subscription_id: Key
    apply_taxes: Literal["true", "false", "True", "False"] = "true"


@router.get("/customers/{external_id}/current_usage")
async def get_current_usage(
    request: Request,
    external_id: str,
    query: Annotated[CurrentUsageQuery, Query()],
    identity: Annotated[Identity, Depends(identify_reader)],
) -> Response:
    """Every charge of the running period with its units and amount, by the engine that bills it."""
    refuse_repeated(request)
    service, moment = service_of(request), datetime.now(UTC)
    # The inbox is read before the lake: ingestion takes an event out of it only once the lake has it.
    requests = waiting_of(await service.database.call("waiting_requests", identity.tenant))
    asked = (identity.tenant, external_id, query.external_subscription_id, moment)
    try:
        found = await service.engine.work(identity.tenant, partial(_read, service, requests, *asked))
    except RefusalError as refusal:
        if refusal.code == "unknown_subscription":
            raise Problem("not-found", refusal.message) from refusal
        place = {"path": "query.external_subscription_id", "message": refusal.message}
        raise Problem("invalid-request", refusal.message, errors=[place]) from refusal
    usage = _document(found, identity.tenant, taxed=query.apply_taxes.lower() == "true")
    return respond(request, orjson.dumps({"customer_usage": usage}))


def _read(
    service: Service,
    requests: Sequence[WaitingRequest],
    tenant: str,
    customer: str,
    subscription: str,
    moment: datetime,
) -> CurrentUsage:
    settings = service.settings
    log = read_log(Lake(settings.lake_url), settings.landing, tenant, moment, requests)
    return current_usage(settings, service.upcoming.usage, log.facts(), customer, subscription, moment)


def _document(found: CurrentUsage, tenant: str, *, taxed: bool) -> dict[str, Any]:
    lines: dict[str, list[dict[str, Any]]] = {}
    for row in found.lines.iter_rows(named=True):
        lines.setdefault(row["key"], []).append(row)
    amount = int(found.lines["amount_minor"].sum())
    taxes = int(found.lines["tax_minor"].sum()) if taxed else 0
    charges = [one for one in found.plan.charges if one.metered_by()]
    return {
        "from_datetime": utc_text(found.begins),
        "to_datetime": utc_text(found.ends),
        "issuing_date": found.issued_on.isoformat(),
        "lago_invoice_id": None,
        "currency": found.currency,
        "amount_cents": amount,
        "taxes_amount_cents": taxes,
        "total_amount_cents": amount + taxes,
        "charges_usage": [_charge(one, lines.get(one.key, ()), found, tenant) for one in charges],
    }


def _charge(charge: Charge, lines: Sequence[dict[str, Any]], found: CurrentUsage, tenant: str) -> dict[str, Any]:
    [meter, *_] = charge.metered_by()
    grouped = [
        {**_amounts([line]), "grouped_by": orjson.loads(line["dimensions"]), "filters": []}
        for line in lines
        if line["dimensions"]
    ]
    return {
        **_amounts(lines),
        "amount_currency": found.currency,
        "charge": {
            "lago_id": _id(tenant, "charge", found.plan.key, str(found.plan.version), charge.key),
            "charge_model": charge.price.model,
            "invoice_display_name": charge.name or charge.key,
        },
        "billable_metric": _metric(found.meters[meter], tenant),
        "filters": [],
        "grouped_usage": grouped,
    }


def _amounts(lines: Sequence[dict[str, Any]]) -> dict[str, Any]:
    # Several meters of one charge have no quantity together.
    units = plain(sum((line["quantity"] or Decimal(0) for line in lines), Decimal(0)))
    return {
        "units": units,
        "total_aggregated_units": units,
        "events_count": sum(line["event_count"] for line in lines),
        "amount_cents": sum(line["amount_minor"] for line in lines),
    }


def _metric(meter: Meter, tenant: str) -> dict[str, Any]:
    return {
        "lago_id": _id(tenant, "meter", meter.key),
        "name": meter.name or meter.key,
        "code": meter.event_type,
        "aggregation_type": f"{meter.aggregation}_agg",
    }


def _id(*names: str) -> str:
    return str(uuid.uuid5(NAMED, "/".join(names)))

"""Operations of the API; generated, see docs/clients.md."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator
from datetime import date, datetime
from functools import partial
from typing import Any, Literal

from valueverse_client._generated import types


class AsyncOperations(ABC):
    """A method for each operation: its HTTP method and path, as the API's documentation names them."""

    @abstractmethod
    async def _ask(self, *parts: Any, **more: Any) -> Any:
        """The answer to a request, its body read."""

    @abstractmethod
    def _iterate(self, call: Any, **query: Any) -> Any:
        """The rows of all pages of a list."""

    async def delete_api_key(self, prefix: str) -> None:
        """Revoke an API key."""
        await self._ask("DELETE", "/v1/api-keys/{prefix}", {"prefix": prefix})

    async def delete_customer_payment_instrument(self, key: str, instrument: str) -> None:
        """Remove a payment instrument."""
        await self._ask(
            "DELETE", "/v1/customers/{key}/payment-instruments/{instrument}", {"key": key, "instrument": instrument}
        )

    async def delete_identity_provider(self, *, if_match: str) -> None:
        """Remove the identity provider."""
        await self._ask("DELETE", "/v1/identity-provider", {}, headers={"If-Match": if_match})

    async def delete_invitation(self, invitation: str) -> None:
        """Revoke an invitation."""
        await self._ask("DELETE", "/v1/invitations/{invitation}", {"invitation": invitation})

    async def get_api_keys(self, *, limit: int | None = None, cursor: str | None = None) -> types.ApiKeyPage:
        """List API keys."""
        return await self._ask("GET", "/v1/api-keys", {}, query={"limit": limit, "cursor": cursor})

    def iterate_api_keys(self, *, limit: int | None = None) -> AsyncIterator[types.ApiKey]:
        """List API keys; every row, page by page."""
        return self._iterate(self.get_api_keys, limit=limit)

    async def get_audit_checkpoint(self) -> types.AuditCheckpoint:
        """The newest signed checkpoint."""
        return await self._ask("GET", "/v1/audit/checkpoint", {})

    async def get_audit_consistency(self, *, from_: int, to: int | None = None) -> types.AuditConsistency:
        """Prove that the log continues its past."""
        return await self._ask("GET", "/v1/audit/consistency", {}, query={"from": from_, "to": to})

    async def get_audit_entries(
        self, *, object: str | None = None, limit: int | None = None, cursor: str | None = None
    ) -> types.AuditEntryPage:
        """List entries of the audit log."""
        return await self._ask(
            "GET", "/v1/audit/entries", {}, query={"object": object, "limit": limit, "cursor": cursor}
        )

    def iterate_audit_entries(
        self, *, object: str | None = None, limit: int | None = None
    ) -> AsyncIterator[types.AuditEntry]:
        """List entries of the audit log; every row, page by page."""
        return self._iterate(self.get_audit_entries, object=object, limit=limit)

    async def get_audit_proof_by_sequence(self, sequence: int, *, size: int | None = None) -> types.AuditProof:
        """Prove that an entry is in the log."""
        return await self._ask("GET", "/v1/audit/proof/{sequence}", {"sequence": sequence}, query={"size": size})

    async def get_auth_oidc_by_tenant_callback(
        self, tenant: str, *, state: str, code: str | None = None, iss: str | None = None
    ) -> None:
        """Come back from the identity provider."""
        await self._ask(
            "GET",
            "/v1/auth/oidc/{tenant}/callback",
            {"tenant": tenant},
            query={"state": state, "code": code, "iss": iss},
        )

    async def get_auth_oidc_by_tenant_start(self, tenant: str, *, code_challenge: str) -> None:
        """Sign in by the identity provider."""
        await self._ask(
            "GET", "/v1/auth/oidc/{tenant}/start", {"tenant": tenant}, query={"code_challenge": code_challenge}
        )

    async def get_catalogs(self, *, known_at: str | datetime | None = None) -> types.CatalogPage:
        """List catalogs."""
        return await self._ask("GET", "/v1/catalogs", {}, query={"known_at": known_at})

    async def get_commit(self, id: str) -> types.WholeCommit:
        """A commit."""
        return await self._ask("GET", "/v1/commits/{id}", {"id": id})

    async def get_commit_diff(self, id: str, *, before: str | None = None) -> types.CommitDiff:
        """What a commit changes."""
        return await self._ask("GET", "/v1/commits/{id}/diff", {"id": id}, query={"before": before})

    async def get_commit_realisation(
        self,
        id: str,
        *,
        month: str | None = None,
        from_: Literal["committed", "forecast", "realised"] | None = None,
        to: Literal["committed", "forecast", "realised"] | None = None,
        output: str | None = None,
        period: int | None = None,
    ) -> types.Realisation:
        """Realised against committed value."""
        return await self._ask(
            "GET",
            "/v1/commits/{id}/realisation",
            {"id": id},
            query={"month": month, "from": from_, "to": to, "output": output, "period": period},
        )

    async def get_commit_verify(self, id: str, *, head: str | None = None) -> types.Verification:
        """Verify commits."""
        return await self._ask("GET", "/v1/commits/{id}/verify", {"id": id}, query={"head": head})

    async def get_commits(self, *, limit: int | None = None, cursor: str | None = None) -> types.CommitPage:
        """List commits."""
        return await self._ask("GET", "/v1/commits", {}, query={"limit": limit, "cursor": cursor})

    def iterate_commits(self, *, limit: int | None = None) -> AsyncIterator[types.Commit]:
        """List commits; every row, page by page."""
        return self._iterate(self.get_commits, limit=limit)

    async def get_credit_notes(
        self,
        *,
        known_at: str | datetime | None = None,
        invoice: str | None = None,
        limit: int | None = None,
        cursor: str | None = None,
    ) -> types.CreditNotePage:
        """List credit notes."""
        return await self._ask(
            "GET",
            "/v1/credit-notes",
            {},
            query={"known_at": known_at, "invoice": invoice, "limit": limit, "cursor": cursor},
        )

    def iterate_credit_notes(
        self, *, known_at: str | datetime | None = None, invoice: str | None = None, limit: int | None = None
    ) -> AsyncIterator[types.IssuedCreditNote]:
        """List credit notes; every row, page by page."""
        return self._iterate(self.get_credit_notes, known_at=known_at, invoice=invoice, limit=limit)

    async def get_customer(self, key: str, *, known_at: str | datetime | None = None) -> types.Customer:
        """A customer."""
        return await self._ask("GET", "/v1/customers/{key}", {"key": key}, query={"known_at": known_at})

    async def get_customer_payment_instruments(
        self, key: str, *, limit: int | None = None, cursor: str | None = None
    ) -> types.InstrumentPage:
        """List a customer's payment instruments."""
        return await self._ask(
            "GET", "/v1/customers/{key}/payment-instruments", {"key": key}, query={"limit": limit, "cursor": cursor}
        )

    def iterate_customer_payment_instruments(
        self, key: str, *, limit: int | None = None
    ) -> AsyncIterator[types.Instrument]:
        """List a customer's payment instruments; every row, page by page."""
        return self._iterate(partial(self.get_customer_payment_instruments, key), limit=limit)

    async def get_customer_upcoming_invoice(
        self, key: str, *, known_at: str | datetime | None = None, until: str | date | None = None
    ) -> types.UpcomingInvoices:
        """A customer's next invoices."""
        return await self._ask(
            "GET", "/v1/customers/{key}/upcoming-invoice", {"key": key}, query={"known_at": known_at, "until": until}
        )

    async def get_customer_usage(
        self,
        key: str,
        *,
        known_at: str | datetime | None = None,
        from_: str | date | None = None,
        to: str | date | None = None,
        meter: str | None = None,
        window: Literal["hour", "day", "month"] | None = None,
        group_by: str | None = None,
        timezone: str | None = None,
        limit: int | None = None,
        cursor: str | None = None,
    ) -> types.UsagePage | types.UsageWindowPage:
        """A customer's usage by day or window."""
        return await self._ask(
            "GET",
            "/v1/customers/{key}/usage",
            {"key": key},
            query={
                "known_at": known_at,
                "from": from_,
                "to": to,
                "meter": meter,
                "window": window,
                "group_by": group_by,
                "timezone": timezone,
                "limit": limit,
                "cursor": cursor,
            },
        )

    async def get_customers(self, *, limit: int | None = None, cursor: str | None = None) -> types.CustomerPage:
        """List customers."""
        return await self._ask("GET", "/v1/customers", {}, query={"limit": limit, "cursor": cursor})

    def iterate_customers(self, *, limit: int | None = None) -> AsyncIterator[types.ListedCustomer]:
        """List customers; every row, page by page."""
        return self._iterate(self.get_customers, limit=limit)

    async def get_event(self, source: str, id: str) -> types.EventFate:
        """What became of an event."""
        return await self._ask("GET", "/v1/events/{source}/{id}", {"source": source, "id": id})

    async def get_events(
        self,
        *,
        fate: Literal["accepted", "quarantined"] | None = None,
        source: str | None = None,
        id: str | None = None,
        type: str | None = None,
        customer: str | None = None,
        from_: str | date | None = None,
        to: str | date | None = None,
        limit: int | None = None,
        cursor: str | None = None,
    ) -> types.EventPage:
        """List events."""
        return await self._ask(
            "GET",
            "/v1/events",
            {},
            query={
                "fate": fate,
                "source": source,
                "id": id,
                "type": type,
                "customer": customer,
                "from": from_,
                "to": to,
                "limit": limit,
                "cursor": cursor,
            },
        )

    def iterate_events(
        self,
        *,
        fate: Literal["accepted", "quarantined"] | None = None,
        source: str | None = None,
        id: str | None = None,
        type: str | None = None,
        customer: str | None = None,
        from_: str | date | None = None,
        to: str | date | None = None,
        limit: int | None = None,
    ) -> AsyncIterator[types.FoundEvent]:
        """List events; every row, page by page."""
        return self._iterate(
            self.get_events,
            fate=fate,
            source=source,
            id=id,
            type=type,
            customer=customer,
            from_=from_,
            to=to,
            limit=limit,
        )

    async def get_fee_proposal(self, id: str) -> types.FeeProposal:
        """A fee proposal."""
        return await self._ask("GET", "/v1/fee-proposals/{id}", {"id": id})

    async def get_fee_proposals(self, *, limit: int | None = None, cursor: str | None = None) -> types.FeeProposalPage:
        """List fee proposals."""
        return await self._ask("GET", "/v1/fee-proposals", {}, query={"limit": limit, "cursor": cursor})

    def iterate_fee_proposals(self, *, limit: int | None = None) -> AsyncIterator[types.FeeProposal]:
        """List fee proposals; every row, page by page."""
        return self._iterate(self.get_fee_proposals, limit=limit)

    async def get_healthz(self) -> types.Health:
        """The process lives."""
        return await self._ask("GET", "/healthz", {})

    async def get_identity_provider(self) -> types.IdentityProvider:
        """The identity provider."""
        return await self._ask("GET", "/v1/identity-provider", {})

    async def get_invitations(self, *, limit: int | None = None, cursor: str | None = None) -> types.InvitationPage:
        """List invitations."""
        return await self._ask("GET", "/v1/invitations", {}, query={"limit": limit, "cursor": cursor})

    def iterate_invitations(self, *, limit: int | None = None) -> AsyncIterator[types.Invitation]:
        """List invitations; every row, page by page."""
        return self._iterate(self.get_invitations, limit=limit)

    async def get_invoice(self, number: str, *, known_at: str | None = None) -> types.Invoice:
        """An invoice's document."""
        return await self._ask("GET", "/v1/invoices/{number}", {"number": number}, query={"known_at": known_at})

    async def get_invoice_file(
        self, number: str, *, format: Literal["json", "pdf", "xml", "cii"] | None = None, known_at: str | None = None
    ) -> bytes:
        """An invoice's document."""
        return await self._ask(
            "GET", "/v1/invoices/{number}", {"number": number}, query={"format": format, "known_at": known_at}
        )

    async def get_invoice_line_explain(
        self,
        number: str,
        key: str,
        *,
        known_at: str | datetime | None = None,
        limit: int | None = None,
        cursor: str | None = None,
    ) -> types.ExplainedLines:
        """Explain a line of an invoice."""
        return await self._ask(
            "GET",
            "/v1/invoices/{number}/lines/{key}/explain",
            {"number": number, "key": key},
            query={"known_at": known_at, "limit": limit, "cursor": cursor},
        )

    async def get_invoices(
        self,
        *,
        known_at: str | datetime | None = None,
        customer: str | None = None,
        status: Literal["draft", "finalised", "voided"] | None = None,
        currency: str | None = None,
        period_from: str | date | None = None,
        period_to: str | date | None = None,
        limit: int | None = None,
        cursor: str | None = None,
    ) -> types.InvoicePage:
        """List invoices."""
        return await self._ask(
            "GET",
            "/v1/invoices",
            {},
            query={
                "known_at": known_at,
                "customer": customer,
                "status": status,
                "currency": currency,
                "period_from": period_from,
                "period_to": period_to,
                "limit": limit,
                "cursor": cursor,
            },
        )

    def iterate_invoices(
        self,
        *,
        known_at: str | datetime | None = None,
        customer: str | None = None,
        status: Literal["draft", "finalised", "voided"] | None = None,
        currency: str | None = None,
        period_from: str | date | None = None,
        period_to: str | date | None = None,
        limit: int | None = None,
    ) -> AsyncIterator[types.InvoiceSummary]:
        """List invoices; every row, page by page."""
        return self._iterate(
            self.get_invoices,
            known_at=known_at,
            customer=customer,
            status=status,
            currency=currency,
            period_from=period_from,
            period_to=period_to,
            limit=limit,
        )

    async def get_library(self) -> types.Library:
        """List ready value models."""
        return await self._ask("GET", "/v1/library", {})

    async def get_library_by_name(self, name: str) -> types.ReadyModelText:
        """A ready value model."""
        return await self._ask("GET", "/v1/library/{name}", {"name": name})

    async def get_me(self) -> types.Me:
        """Who I am."""
        return await self._ask("GET", "/v1/me", {})

    async def get_one_offs(
        self,
        *,
        known_at: str | datetime | None = None,
        customer: str | None = None,
        limit: int | None = None,
        cursor: str | None = None,
    ) -> types.OneOffPage:
        """List single lines."""
        return await self._ask(
            "GET",
            "/v1/one-offs",
            {},
            query={"known_at": known_at, "customer": customer, "limit": limit, "cursor": cursor},
        )

    def iterate_one_offs(
        self, *, known_at: str | datetime | None = None, customer: str | None = None, limit: int | None = None
    ) -> AsyncIterator[types.SingleLine]:
        """List single lines; every row, page by page."""
        return self._iterate(self.get_one_offs, known_at=known_at, customer=customer, limit=limit)

    async def get_payments(
        self,
        *,
        known_at: str | datetime | None = None,
        invoice: str | None = None,
        limit: int | None = None,
        cursor: str | None = None,
    ) -> types.PaymentPage:
        """List payments."""
        return await self._ask(
            "GET",
            "/v1/payments",
            {},
            query={"known_at": known_at, "invoice": invoice, "limit": limit, "cursor": cursor},
        )

    def iterate_payments(
        self, *, known_at: str | datetime | None = None, invoice: str | None = None, limit: int | None = None
    ) -> AsyncIterator[types.Payment]:
        """List payments; every row, page by page."""
        return self._iterate(self.get_payments, known_at=known_at, invoice=invoice, limit=limit)

    async def get_plans(self, *, known_at: str | datetime | None = None, catalog: str | None = None) -> types.PlanPage:
        """List plans."""
        return await self._ask("GET", "/v1/plans", {}, query={"known_at": known_at, "catalog": catalog})

    async def get_readyz(self) -> types.Readiness:
        """Requests can be answered."""
        return await self._ask("GET", "/readyz", {})

    async def get_rejected_events(
        self, *, limit: int | None = None, cursor: str | None = None
    ) -> types.RejectedEventPage:
        """List rejected billing events."""
        return await self._ask("GET", "/v1/rejected-events", {}, query={"limit": limit, "cursor": cursor})

    def iterate_rejected_events(self, *, limit: int | None = None) -> AsyncIterator[types.RejectedEvent]:
        """List rejected billing events; every row, page by page."""
        return self._iterate(self.get_rejected_events, limit=limit)

    async def get_rerating(self, id: str) -> types.Rerating:
        """A re-rating."""
        return await self._ask("GET", "/v1/reratings/{id}", {"id": id})

    async def get_reratings(self, *, limit: int | None = None, cursor: str | None = None) -> types.ReratingPage:
        """List re-ratings."""
        return await self._ask("GET", "/v1/reratings", {}, query={"limit": limit, "cursor": cursor})

    def iterate_reratings(self, *, limit: int | None = None) -> AsyncIterator[types.ReratingState]:
        """List re-ratings; every row, page by page."""
        return self._iterate(self.get_reratings, limit=limit)

    async def get_restrictions(self, *, limit: int | None = None, cursor: str | None = None) -> types.RestrictionPage:
        """List customers whose data is on hold."""
        return await self._ask("GET", "/v1/restrictions", {}, query={"limit": limit, "cursor": cursor})

    def iterate_restrictions(self, *, limit: int | None = None) -> AsyncIterator[types.Restriction]:
        """List customers whose data is on hold; every row, page by page."""
        return self._iterate(self.get_restrictions, limit=limit)

    async def get_run(self, id: str) -> types.Run:
        """A run of a commit."""
        return await self._ask("GET", "/v1/runs/{id}", {"id": id})

    async def get_run_explain(
        self,
        id: str,
        *,
        output: str | None = None,
        period: int | None = None,
        to_date: bool | None = None,
        events: int | None = None,
    ) -> types.Explanation:
        """Explain a run."""
        return await self._ask(
            "GET",
            "/v1/runs/{id}/explain",
            {"id": id},
            query={"output": output, "period": period, "to_date": to_date, "events": events},
        )

    async def get_simulation(self, id: str) -> types.Simulation:
        """A simulation."""
        return await self._ask("GET", "/v1/simulations/{id}", {"id": id})

    async def get_simulations(self, *, limit: int | None = None, cursor: str | None = None) -> types.SimulationPage:
        """List simulations."""
        return await self._ask("GET", "/v1/simulations", {}, query={"limit": limit, "cursor": cursor})

    def iterate_simulations(self, *, limit: int | None = None) -> AsyncIterator[types.SimulationState]:
        """List simulations; every row, page by page."""
        return self._iterate(self.get_simulations, limit=limit)

    async def get_subscription(self, key: str, *, known_at: str | datetime | None = None) -> types.SubscriptionDetail:
        """A subscription's timeline."""
        return await self._ask("GET", "/v1/subscriptions/{key}", {"key": key}, query={"known_at": known_at})

    async def get_subscriptions(
        self,
        *,
        known_at: str | datetime | None = None,
        customer: str | None = None,
        limit: int | None = None,
        cursor: str | None = None,
    ) -> types.SubscriptionPage:
        """List subscriptions."""
        return await self._ask(
            "GET",
            "/v1/subscriptions",
            {},
            query={"known_at": known_at, "customer": customer, "limit": limit, "cursor": cursor},
        )

    def iterate_subscriptions(
        self, *, known_at: str | datetime | None = None, customer: str | None = None, limit: int | None = None
    ) -> AsyncIterator[types.Subscription]:
        """List subscriptions; every row, page by page."""
        return self._iterate(self.get_subscriptions, known_at=known_at, customer=customer, limit=limit)

    async def get_unbilled_usage(
        self,
        *,
        known_at: str | datetime | None = None,
        customer: str | None = None,
        limit: int | None = None,
        cursor: str | None = None,
    ) -> types.UnbilledPage:
        """List usage that no invoice bills yet."""
        return await self._ask(
            "GET",
            "/v1/unbilled-usage",
            {},
            query={"known_at": known_at, "customer": customer, "limit": limit, "cursor": cursor},
        )

    def iterate_unbilled_usage(
        self, *, known_at: str | datetime | None = None, customer: str | None = None, limit: int | None = None
    ) -> AsyncIterator[types.UnbilledCustomer]:
        """List usage that no invoice bills yet; every row, page by page."""
        return self._iterate(self.get_unbilled_usage, known_at=known_at, customer=customer, limit=limit)

    async def get_user(self, user: str) -> types.User:
        """A person."""
        return await self._ask("GET", "/v1/users/{user}", {"user": user})

    async def get_users(self, *, limit: int | None = None, cursor: str | None = None) -> types.UserPage:
        """List people."""
        return await self._ask("GET", "/v1/users", {}, query={"limit": limit, "cursor": cursor})

    def iterate_users(self, *, limit: int | None = None) -> AsyncIterator[types.User]:
        """List people; every row, page by page."""
        return self._iterate(self.get_users, limit=limit)

    async def get_value_model(self, key: str, *, version: int | None = None) -> types.StoredModel:
        """A value model's text."""
        return await self._ask("GET", "/v1/value-models/{key}", {"key": key}, query={"version": version})

    async def get_value_models(self, *, limit: int | None = None, cursor: str | None = None) -> types.ModelPage:
        """List value models."""
        return await self._ask("GET", "/v1/value-models", {}, query={"limit": limit, "cursor": cursor})

    def iterate_value_models(self, *, limit: int | None = None) -> AsyncIterator[types.ModelSummary]:
        """List value models; every row, page by page."""
        return self._iterate(self.get_value_models, limit=limit)

    async def get_wallets(
        self,
        *,
        known_at: str | datetime | None = None,
        customer: str | None = None,
        limit: int | None = None,
        cursor: str | None = None,
    ) -> types.WalletPage:
        """List credit of wallets."""
        return await self._ask(
            "GET",
            "/v1/wallets",
            {},
            query={"known_at": known_at, "customer": customer, "limit": limit, "cursor": cursor},
        )

    def iterate_wallets(
        self, *, known_at: str | datetime | None = None, customer: str | None = None, limit: int | None = None
    ) -> AsyncIterator[types.WalletCredit]:
        """List credit of wallets; every row, page by page."""
        return self._iterate(self.get_wallets, known_at=known_at, customer=customer, limit=limit)

    async def get_webhook_deliveries(
        self,
        *,
        endpoint: str | None = None,
        type: Literal[
            "invoice.drafted",
            "invoice.finalised",
            "invoice.voided",
            "payment.received",
            "payment.failed",
            "credit_note.issued",
            "usage.threshold",
            "wallet.low",
            "commit.proposed",
            "commit.approved",
            "fee.proposed",
            "fee.disputed",
            "run.completed",
            "quality.held",
            "webhook.test",
        ]
        | None = None,
        from_: str | datetime | None = None,
        to: str | datetime | None = None,
        state: Literal["waiting", "delivered", "dead"] | None = None,
        limit: int | None = None,
        cursor: str | None = None,
    ) -> types.DeliveryPage:
        """List webhook deliveries."""
        return await self._ask(
            "GET",
            "/v1/webhook-deliveries",
            {},
            query={
                "endpoint": endpoint,
                "type": type,
                "from": from_,
                "to": to,
                "state": state,
                "limit": limit,
                "cursor": cursor,
            },
        )

    def iterate_webhook_deliveries(
        self,
        *,
        endpoint: str | None = None,
        type: Literal[
            "invoice.drafted",
            "invoice.finalised",
            "invoice.voided",
            "payment.received",
            "payment.failed",
            "credit_note.issued",
            "usage.threshold",
            "wallet.low",
            "commit.proposed",
            "commit.approved",
            "fee.proposed",
            "fee.disputed",
            "run.completed",
            "quality.held",
            "webhook.test",
        ]
        | None = None,
        from_: str | datetime | None = None,
        to: str | datetime | None = None,
        state: Literal["waiting", "delivered", "dead"] | None = None,
        limit: int | None = None,
    ) -> AsyncIterator[types.Delivery]:
        """List webhook deliveries; every row, page by page."""
        return self._iterate(
            self.get_webhook_deliveries, endpoint=endpoint, type=type, from_=from_, to=to, state=state, limit=limit
        )

    async def get_webhook_delivery(self, delivery: int) -> types.DeliveryDetail:
        """A webhook delivery."""
        return await self._ask("GET", "/v1/webhook-deliveries/{delivery}", {"delivery": delivery})

    async def get_webhook_endpoint(self, endpoint: str) -> types.Endpoint:
        """A webhook endpoint."""
        return await self._ask("GET", "/v1/webhook-endpoints/{endpoint}", {"endpoint": endpoint})

    async def get_webhook_endpoints(self, *, limit: int | None = None, cursor: str | None = None) -> types.EndpointPage:
        """List webhook endpoints."""
        return await self._ask("GET", "/v1/webhook-endpoints", {}, query={"limit": limit, "cursor": cursor})

    def iterate_webhook_endpoints(self, *, limit: int | None = None) -> AsyncIterator[types.Endpoint]:
        """List webhook endpoints; every row, page by page."""
        return self._iterate(self.get_webhook_endpoints, limit=limit)

    async def get_well_known_jwks_json(self) -> dict[str, Any]:
        """Public keys of access tokens."""
        return await self._ask("GET", "/v1/.well-known/jwks.json", {})

    async def patch_customer(
        self,
        key: str,
        body: types.PatchCustomerBody | None = None,
        *,
        idempotency_key: str | None = None,
        if_match: str | None = None,
    ) -> types.Written:
        """Change a customer."""
        return await self._ask(
            "PATCH",
            "/v1/customers/{key}",
            {"key": key},
            headers={"Idempotency-Key": idempotency_key, "If-Match": if_match},
            body=body,
        )

    async def patch_user(self, user: str, body: types.UserChange, *, if_match: str) -> types.User:
        """Give a person another role."""
        return await self._ask("PATCH", "/v1/users/{user}", {"user": user}, headers={"If-Match": if_match}, body=body)

    async def patch_webhook_endpoint(
        self, endpoint: str, body: types.EndpointChange, *, if_match: str, idempotency_key: str | None = None
    ) -> types.Endpoint:
        """Change a webhook endpoint."""
        return await self._ask(
            "PATCH",
            "/v1/webhook-endpoints/{endpoint}",
            {"endpoint": endpoint},
            headers={"If-Match": if_match, "Idempotency-Key": idempotency_key},
            body=body,
        )

    async def post_api_key_rotate(
        self, prefix: str, body: types.Rotation, *, idempotency_key: str | None = None
    ) -> types.RotatedKey:
        """Replace an API key."""
        return await self._ask(
            "POST",
            "/v1/api-keys/{prefix}/rotate",
            {"prefix": prefix},
            headers={"Idempotency-Key": idempotency_key},
            body=body,
        )

    async def post_api_keys(self, body: types.NewKey, *, idempotency_key: str | None = None) -> types.IssuedKey:
        """Make an API key."""
        return await self._ask("POST", "/v1/api-keys", {}, headers={"Idempotency-Key": idempotency_key}, body=body)

    async def post_auth_login(self, body: types.Login) -> types.Session:
        """Sign in with a password."""
        return await self._ask("POST", "/v1/auth/login", {}, body=body)

    async def post_auth_oidc_session(self, body: types.SignInFinish) -> types.Session:
        """Finish a log-in by the identity provider."""
        return await self._ask("POST", "/v1/auth/oidc/session", {}, body=body)

    async def post_auth_password(self, body: types.NewPassword) -> None:
        """Change the own password."""
        await self._ask("POST", "/v1/auth/password", {}, body=body)

    async def post_auth_reset(self, body: types.ForgottenPassword) -> None:
        """Ask for another password."""
        await self._ask("POST", "/v1/auth/reset", {}, body=body)

    async def post_auth_reset_confirm(self, body: types.ResetPassword) -> None:
        """Choose another password."""
        await self._ask("POST", "/v1/auth/reset/confirm", {}, body=body)

    async def post_auth_second_factor(self, body: types.ProvenPassword) -> types.SecondFactor:
        """Begin a second factor."""
        return await self._ask("POST", "/v1/auth/second-factor", {}, body=body)

    async def post_auth_second_factor_confirm(self, body: types.Code) -> types.RecoveryCodes:
        """Confirm the second factor."""
        return await self._ask("POST", "/v1/auth/second-factor/confirm", {}, body=body)

    async def post_auth_second_factor_remove(self, body: types.PasswordAndCode) -> None:
        """Remove the second factor."""
        await self._ask("POST", "/v1/auth/second-factor/remove", {}, body=body)

    async def post_catalogs(
        self, body: dict[str, Any] | str, *, on: str | None = None, idempotency_key: str | None = None
    ) -> types.Written:
        """Publish a catalog."""
        return await self._ask(
            "POST", "/v1/catalogs", {}, query={"on": on}, headers={"Idempotency-Key": idempotency_key}, body=body
        )

    async def post_catalogs_check(self, body: dict[str, Any] | str) -> types.CatalogCheck:
        """Check a catalog."""
        return await self._ask("POST", "/v1/catalogs/check", {}, body=body)

    async def post_commit_approvals(
        self, id: str, body: types.ApprovalRequest, *, idempotency_key: str | None = None
    ) -> types.Commit:
        """Approve a commit."""
        return await self._ask(
            "POST", "/v1/commits/{id}/approvals", {"id": id}, headers={"Idempotency-Key": idempotency_key}, body=body
        )

    async def post_commit_closings(
        self, id: str, body: types.ClosingRequest, *, idempotency_key: str | None = None
    ) -> types.Commit:
        """Close a commit."""
        return await self._ask(
            "POST", "/v1/commits/{id}/closings", {"id": id}, headers={"Idempotency-Key": idempotency_key}, body=body
        )

    async def post_commit_runs(
        self, id: str, body: types.CommitRunRequest | None = None, *, idempotency_key: str | None = None
    ) -> types.CommitRun:
        """Run a commit."""
        return await self._ask(
            "POST", "/v1/commits/{id}/runs", {"id": id}, headers={"Idempotency-Key": idempotency_key}, body=body
        )

    async def post_credit_notes(
        self, body: types.PostCreditNotesBody, *, idempotency_key: str | None = None
    ) -> types.Written:
        """Issue a credit note."""
        return await self._ask("POST", "/v1/credit-notes", {}, headers={"Idempotency-Key": idempotency_key}, body=body)

    async def post_customer_payment_instruments(
        self, key: str, body: types.NewInstrument, *, idempotency_key: str | None = None
    ) -> types.Instrument:
        """Add a payment instrument."""
        return await self._ask(
            "POST",
            "/v1/customers/{key}/payment-instruments",
            {"key": key},
            headers={"Idempotency-Key": idempotency_key},
            body=body,
        )

    async def post_customer_release(self, key: str, *, idempotency_key: str | None = None) -> types.Restricted:
        """End the hold on a customer's data."""
        return await self._ask(
            "POST", "/v1/customers/{key}/release", {"key": key}, headers={"Idempotency-Key": idempotency_key}
        )

    async def post_customer_restrict(
        self, key: str, body: types.NewRestriction, *, idempotency_key: str | None = None
    ) -> types.Restricted:
        """Put a customer's data on hold."""
        return await self._ask(
            "POST",
            "/v1/customers/{key}/restrict",
            {"key": key},
            headers={"Idempotency-Key": idempotency_key},
            body=body,
        )

    async def post_customers(
        self, body: types.PostCustomersBody, *, idempotency_key: str | None = None
    ) -> types.Written:
        """Create a customer."""
        return await self._ask("POST", "/v1/customers", {}, headers={"Idempotency-Key": idempotency_key}, body=body)

    async def post_events(self, body: types.Event | list[types.Event]) -> types.EventReceipt:
        """Send events."""
        return await self._ask("POST", "/v1/events", {}, body=body)

    async def post_fee_proposal_accept(self, id: str, *, idempotency_key: str | None = None) -> types.FeeProposal:
        """Accept a fee proposal."""
        return await self._ask(
            "POST", "/v1/fee-proposals/{id}/accept", {"id": id}, headers={"Idempotency-Key": idempotency_key}
        )

    async def post_fee_proposal_dispute(
        self, id: str, body: types.DisputeRequest, *, idempotency_key: str | None = None
    ) -> types.FeeProposal:
        """Dispute a fee proposal."""
        return await self._ask(
            "POST",
            "/v1/fee-proposals/{id}/dispute",
            {"id": id},
            headers={"Idempotency-Key": idempotency_key},
            body=body,
        )

    async def post_invitations(
        self, body: types.NewInvitationBody, *, idempotency_key: str | None = None
    ) -> types.Invitation:
        """Invite a person."""
        return await self._ask("POST", "/v1/invitations", {}, headers={"Idempotency-Key": idempotency_key}, body=body)

    async def post_invitations_accept(self, body: types.Acceptance) -> types.Session:
        """Accept an invitation."""
        return await self._ask("POST", "/v1/invitations/accept", {}, body=body)

    async def post_invoice_void(
        self, key: str, body: types.PostInvoiceVoidBody, *, idempotency_key: str | None = None
    ) -> types.Written:
        """Void an invoice."""
        return await self._ask(
            "POST", "/v1/invoices/{key}/void", {"key": key}, headers={"Idempotency-Key": idempotency_key}, body=body
        )

    async def post_invoices_preview(self, body: types.PostInvoicesPreviewBody) -> types.UpcomingInvoices:
        """Preview invoices."""
        return await self._ask("POST", "/v1/invoices/preview", {}, body=body)

    async def post_one_offs(self, body: types.PostOneOffsBody, *, idempotency_key: str | None = None) -> types.Written:
        """Add a single line."""
        return await self._ask("POST", "/v1/one-offs", {}, headers={"Idempotency-Key": idempotency_key}, body=body)

    async def post_payments(self, body: types.PostPaymentsBody, *, idempotency_key: str | None = None) -> types.Written:
        """State a payment."""
        return await self._ask("POST", "/v1/payments", {}, headers={"Idempotency-Key": idempotency_key}, body=body)

    async def post_portal_sessions(
        self, body: types.NewPortalLink, *, idempotency_key: str | None = None
    ) -> types.PortalLink:
        """Make a link to the portal."""
        return await self._ask(
            "POST", "/v1/portal-sessions", {}, headers={"Idempotency-Key": idempotency_key}, body=body
        )

    async def post_portal_sessions_exchange(self, body: types.PortalExchange) -> types.Session:
        """Sign in to the portal."""
        return await self._ask("POST", "/v1/portal-sessions/exchange", {}, body=body)

    async def post_rerating_apply(self, id: str, *, idempotency_key: str | None = None) -> types.ReratingState:
        """Apply a re-rating."""
        return await self._ask(
            "POST", "/v1/reratings/{id}/apply", {"id": id}, headers={"Idempotency-Key": idempotency_key}
        )

    async def post_rerating_cancel(self, id: str, *, idempotency_key: str | None = None) -> types.ReratingState:
        """Cancel a re-rating."""
        return await self._ask(
            "POST", "/v1/reratings/{id}/cancel", {"id": id}, headers={"Idempotency-Key": idempotency_key}
        )

    async def post_reratings(
        self, body: types.NewRerating, *, idempotency_key: str | None = None
    ) -> types.ReratingState:
        """Plan a re-rating."""
        return await self._ask("POST", "/v1/reratings", {}, headers={"Idempotency-Key": idempotency_key}, body=body)

    async def post_simulation_cancel(self, id: str, *, idempotency_key: str | None = None) -> types.SimulationState:
        """Cancel a simulation."""
        return await self._ask(
            "POST", "/v1/simulations/{id}/cancel", {"id": id}, headers={"Idempotency-Key": idempotency_key}
        )

    async def post_simulations(
        self, body: types.NewSimulation, *, idempotency_key: str | None = None
    ) -> types.SimulationState:
        """Simulate."""
        return await self._ask("POST", "/v1/simulations", {}, headers={"Idempotency-Key": idempotency_key}, body=body)

    async def post_subscription_change(
        self, key: str, body: types.PostSubscriptionChangeBody | None = None, *, idempotency_key: str | None = None
    ) -> types.Written:
        """Change a subscription."""
        return await self._ask(
            "POST",
            "/v1/subscriptions/{key}/change",
            {"key": key},
            headers={"Idempotency-Key": idempotency_key},
            body=body,
        )

    async def post_subscription_end(
        self, key: str, body: types.PostSubscriptionEndBody | None = None, *, idempotency_key: str | None = None
    ) -> types.Written:
        """End a subscription."""
        return await self._ask(
            "POST", "/v1/subscriptions/{key}/end", {"key": key}, headers={"Idempotency-Key": idempotency_key}, body=body
        )

    async def post_subscription_pause(
        self, key: str, body: types.PostSubscriptionPauseBody | None = None, *, idempotency_key: str | None = None
    ) -> types.Written:
        """Pause a subscription."""
        return await self._ask(
            "POST",
            "/v1/subscriptions/{key}/pause",
            {"key": key},
            headers={"Idempotency-Key": idempotency_key},
            body=body,
        )

    async def post_subscription_resume(
        self, key: str, body: types.PostSubscriptionResumeBody | None = None, *, idempotency_key: str | None = None
    ) -> types.Written:
        """Resume a subscription."""
        return await self._ask(
            "POST",
            "/v1/subscriptions/{key}/resume",
            {"key": key},
            headers={"Idempotency-Key": idempotency_key},
            body=body,
        )

    async def post_subscriptions(
        self, body: types.PostSubscriptionsBody, *, idempotency_key: str | None = None
    ) -> types.Written:
        """Start a subscription."""
        return await self._ask("POST", "/v1/subscriptions", {}, headers={"Idempotency-Key": idempotency_key}, body=body)

    async def post_user_disable(self, user: str, *, idempotency_key: str | None = None) -> types.User:
        """Disable a person."""
        return await self._ask(
            "POST", "/v1/users/{user}/disable", {"user": user}, headers={"Idempotency-Key": idempotency_key}
        )

    async def post_value_model_check(self, key: str, body: dict[str, Any] | str | None = None) -> types.ModelCheck:
        """Check a value model."""
        return await self._ask("POST", "/v1/value-models/{key}/check", {"key": key}, body=body)

    async def post_value_model_commits(
        self, key: str, body: types.CommitRequest | None = None, *, idempotency_key: str | None = None
    ) -> types.CommitMade:
        """Commit a value model."""
        return await self._ask(
            "POST",
            "/v1/value-models/{key}/commits",
            {"key": key},
            headers={"Idempotency-Key": idempotency_key},
            body=body,
        )

    async def post_value_model_run(self, key: str, body: types.ModelRun | None = None) -> types.RunAnswer:
        """Run a value model."""
        return await self._ask("POST", "/v1/value-models/{key}/run", {"key": key}, body=body)

    async def post_value_models(
        self, body: dict[str, Any] | str, *, idempotency_key: str | None = None
    ) -> types.StoredModel:
        """Store a value model."""
        return await self._ask("POST", "/v1/value-models", {}, headers={"Idempotency-Key": idempotency_key}, body=body)

    async def post_wallets(self, body: types.PostWalletsBody, *, idempotency_key: str | None = None) -> types.Written:
        """Give or take credit."""
        return await self._ask("POST", "/v1/wallets", {}, headers={"Idempotency-Key": idempotency_key}, body=body)

    async def post_webhook_deliveries_replay(
        self, body: types.Replay | None = None, *, idempotency_key: str | None = None
    ) -> types.Replayed:
        """Replay webhook deliveries."""
        return await self._ask(
            "POST", "/v1/webhook-deliveries/replay", {}, headers={"Idempotency-Key": idempotency_key}, body=body
        )

    async def post_webhook_delivery_replay(
        self, delivery: int, *, idempotency_key: str | None = None
    ) -> types.Delivery:
        """Replay a webhook delivery."""
        return await self._ask(
            "POST",
            "/v1/webhook-deliveries/{delivery}/replay",
            {"delivery": delivery},
            headers={"Idempotency-Key": idempotency_key},
        )

    async def post_webhook_endpoint_disable(
        self, endpoint: str, *, idempotency_key: str | None = None
    ) -> types.Endpoint:
        """Disable a webhook endpoint."""
        return await self._ask(
            "POST",
            "/v1/webhook-endpoints/{endpoint}/disable",
            {"endpoint": endpoint},
            headers={"Idempotency-Key": idempotency_key},
        )

    async def post_webhook_endpoint_enable(
        self, endpoint: str, *, idempotency_key: str | None = None
    ) -> types.Endpoint:
        """Enable a webhook endpoint."""
        return await self._ask(
            "POST",
            "/v1/webhook-endpoints/{endpoint}/enable",
            {"endpoint": endpoint},
            headers={"Idempotency-Key": idempotency_key},
        )

    async def post_webhook_endpoint_rotate(
        self, endpoint: str, body: types.SecretRotation | None = None, *, idempotency_key: str | None = None
    ) -> types.EndpointSecret:
        """Replace a webhook endpoint's secret."""
        return await self._ask(
            "POST",
            "/v1/webhook-endpoints/{endpoint}/rotate",
            {"endpoint": endpoint},
            headers={"Idempotency-Key": idempotency_key},
            body=body,
        )

    async def post_webhook_endpoint_test(self, endpoint: str, *, idempotency_key: str | None = None) -> types.Trial:
        """Try a webhook endpoint."""
        return await self._ask(
            "POST",
            "/v1/webhook-endpoints/{endpoint}/test",
            {"endpoint": endpoint},
            headers={"Idempotency-Key": idempotency_key},
        )

    async def post_webhook_endpoints(
        self, body: types.NewEndpoint, *, idempotency_key: str | None = None
    ) -> types.EndpointSecret:
        """Make a webhook endpoint."""
        return await self._ask(
            "POST", "/v1/webhook-endpoints", {}, headers={"Idempotency-Key": idempotency_key}, body=body
        )

    async def put_identity_provider(
        self, body: types.NewIdentityProvider, *, if_match: str | None = None
    ) -> types.IdentityProvider:
        """Set the identity provider."""
        return await self._ask("PUT", "/v1/identity-provider", {}, headers={"If-Match": if_match}, body=body)

    async def put_value_model(
        self, key: str, body: dict[str, Any] | str, *, if_match: str, idempotency_key: str | None = None
    ) -> types.StoredModel:
        """Change a value model."""
        return await self._ask(
            "PUT",
            "/v1/value-models/{key}",
            {"key": key},
            headers={"If-Match": if_match, "Idempotency-Key": idempotency_key},
            body=body,
        )

"""What every route needs, made once per process: database, limits, tokens, cursors."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

from anyio import CapacityLimiter

from serving_api.answer_cache import AnswerCache, Listening
from serving_api.cursors import Cursors
from serving_api.database import Database
from serving_api.engine import Engine
from serving_api.intake import Bodies, Intake
from serving_api.invoice_reads import InvoiceReads
from serving_api.later import Later
from serving_api.live_events import LiveEvents
from serving_api.request_log import RequestLog
from serving_api.security.attempts import Attempts
from serving_api.security.hashing import Hashing
from serving_api.security.rate_limits import REQUESTS, Limiter
from serving_api.security.tokens import Tokens
from valueverse.platform.access.secrets import audit_key, secret
from valueverse.platform.access.signing_keys import KeyRing
from valueverse.services.ingestion.send_events import EventSender
from valueverse.services.people.single_sign_on import SingleSignOn
from valueverse.services.subscriptions.subscription_owners import SubscriptionOwners
from valueverse.services.subscriptions.upcoming_answers import UpcomingAnswers

if TYPE_CHECKING:
    import structlog
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from starlette.requests import Request

    from valueverse.platform.settings import Settings


@dataclass
class Service:
    """Everything but ``settings`` is made at first use: creating the app touches neither file nor server."""

    settings: Settings
    log: structlog.typing.FilteringBoundLogger
    requests_a_minute: int = REQUESTS
    request_log: RequestLog = field(default_factory=RequestLog)

    @cached_property
    def database(self) -> Database:
        """The pool."""
        return Database(self.settings, self.log)

    @cached_property
    def answers(self) -> AnswerCache:
        """Finished answers."""
        return AnswerCache(self.settings.api_cache_mib * 2**20)

    @cached_property
    def listening(self) -> Listening:
        """What hears of changes that make answers old."""
        return Listening(self.answers, self.database.connect, self.log)

    @cached_property
    def reads(self) -> InvoiceReads:
        """Answers about invoices."""
        parts = (self.settings, self.tokens, self.limiter, self.answers, self.database, self.request_log)
        return InvoiceReads(*parts)

    @cached_property
    def limiter(self) -> Limiter:
        """Requests a minute."""
        return Limiter(self.settings.redis_url, self.log, self.requests_a_minute)

    @cached_property
    def bodies(self) -> Bodies:
        """Memory for bodies of all requests."""
        return Bodies()

    @cached_property
    def intake(self) -> Intake:
        """Memory for bodies of events."""
        return Intake()

    @cached_property
    def sender(self) -> EventSender:
        """Writes events to Kafka, where there is one."""
        return EventSender(self.settings)

    @cached_property
    def live(self) -> LiveEvents:
        """Who follows events as they are received."""
        return LiveEvents(self.settings.redis_url, self.log)

    @cached_property
    def explaining(self) -> CapacityLimiter:
        """How many events are explained at once: each may read much of the lake."""
        return CapacityLimiter(2)

    @cached_property
    def upcoming(self) -> UpcomingAnswers:
        """Answers about next invoices."""
        return UpcomingAnswers()

    @cached_property
    def engine(self) -> Engine:
        """What bills hypothetically."""
        return Engine(self.log)

    @cached_property
    def writing(self) -> CapacityLimiter:
        """How many writes are judged at once: each holds a connection, and reads the tenant's billing events."""
        return CapacityLimiter(2)

    @cached_property
    def owners(self) -> SubscriptionOwners:
        """Customers of subscriptions, for events that name the subscription alone."""
        return SubscriptionOwners()

    @cached_property
    def modelling(self) -> CapacityLimiter:
        """How many value models are checked or run at once: each takes a core, and some hundred megabytes."""
        return CapacityLimiter(2)

    @cached_property
    def hashing(self) -> Hashing:
        """Hashes passwords."""
        return Hashing()

    @cached_property
    def sealing(self) -> CapacityLimiter:
        """How many secrets are sealed or opened at once: each holds a connection, and may ask a server of keys."""
        return CapacityLimiter(2)

    @cached_property
    def later(self) -> Later:
        """What goes on after its answer."""
        return Later(self.log)

    @cached_property
    def attempts(self) -> Attempts:
        """Attempts to sign in by password."""
        return Attempts(self.settings.redis_url)

    @cached_property
    def single_sign_on(self) -> SingleSignOn:
        """Log-ins by identity providers."""
        return SingleSignOn(self.settings)

    @cached_property
    def committing(self) -> CapacityLimiter:
        """How many requests on commits are worked on at once: each holds a connection."""
        return CapacityLimiter(3)

    @cached_property
    def ring(self) -> KeyRing:
        """Keys that sign and verify."""
        return KeyRing(self.settings.home / "keys")

    @cached_property
    def audit_key(self) -> Ed25519PrivateKey:
        """Signs receipts of events."""
        return audit_key(self.settings.secrets_dir)

    @cached_property
    def tokens(self) -> Tokens:
        """Access tokens."""
        return Tokens(self.ring)

    @cached_property
    def cursors(self) -> Cursors:
        """Places in lists."""
        return Cursors(secret(self.settings.secrets_dir, "cursors"))

    async def close(self) -> None:
        """Let every connection go."""
        await self.later.finish()
        await self.listening.close()
        await self.database.close()
        await self.limiter.close()
        await self.attempts.close()
        await self.live.close()
        self.engine.close()
        self.request_log.close()
        self.sender.close()


def service_of(request: Request) -> Service:
    """The service of the app that answers ``request``."""
    service: Service = request.app.state.service
    return service

"""Shapes of bodies and answers; generated, see docs/clients.md."""

from __future__ import annotations

from typing import Any, Literal, NotRequired, TypeAlias, TypedDict


class Acceptance(TypedDict):
    """
    How an invitation becomes a person.
    """

    token: str
    name: NotRequired[str | None]
    password: str


class ApiKey(TypedDict):
    """
    An API key, without its secret.
    """

    prefix: str
    name: str | None
    scopes: list[Literal['events:write', 'billing:read', 'billing:write', 'value:write', 'value:approve', 'audit:read', 'admin']]
    created_at: str
    expires_at: str | None
    revoked_at: str | None


class ApiKeyPage(TypedDict):
    """
    A page of API keys, the oldest first.
    """

    data: list[ApiKey]
    has_more: bool
    next_cursor: str | None


class ApprovalRequest(TypedDict):
    """
    One side's yes. By whom is the API key: neither the author's, nor the one that approved for the other side.
    """

    side: Literal['vendor', 'customer']


class Attempt(TypedDict):
    """
    One attempt.
    """

    at: str
    status: int | None
    reason: str | None
    milliseconds: int


class AuditCheckpoint(TypedDict):
    """
    Size and root of the log, signed.
    """

    size: int
    root: str
    note: str
    public_key: str


AuditConsistency = TypedDict(
    'AuditConsistency',
    {
        'from': int,
        'to': int,
        'from_root': str,
        'to_root': str,
        'proof': list[str],
    },
)


class AuditEntry(TypedDict):
    """
    Something that was done.
    """

    sequence: int
    at: str
    action: str
    actor: str
    object: str
    digest: str
    request: str
    chain_hash: str
    entry: str


class AuditEntryPage(TypedDict):
    """
    A page of the audit log.
    """

    has_more: bool
    next_cursor: str | None
    data: list[AuditEntry]


class AuditProof(TypedDict):
    """
    That an entry is in a tree.
    """

    sequence: int
    size: int
    entry: str
    leaf: str
    root: str
    proof: list[str]


class CaseRunMade(TypedDict):
    """
    The newest run of a case.
    """

    case: Literal['committed', 'forecast', 'realised']
    month: str
    run_hash: str
    new: bool


class CatalogProblem(TypedDict):
    """
    Something wrong with a catalog.
    """

    code: str
    message: str
    path: str
    line: int
    column: int
    suggestion: str | None


class ChainProblem(TypedDict):
    """
    What does not hold.
    """

    chain: Literal['commits', 'deeds']
    sequence: int
    reason: str


class ClosingRequest(TypedDict):
    """
    How an active commit ends.
    """

    outcome: Literal['confirmed', 'written_off']
    reason: str


class Code(TypedDict):
    """
    What the authenticator app shows.
    """

    code: str


class Commit(TypedDict):
    """
    A commit and its state; as a line of `valueverse value log`.
    """

    commit: str
    model: str
    author: str
    parent: str | None
    state: Literal['proposed', 'approved_by_vendor', 'approved_by_customer', 'active', 'superseded', 'confirmed', 'written_off']
    approvals: dict[str, str]


class CommitDiff(TypedDict):
    """
    What differs between two commits; as `valueverse value diff --json`.
    """

    before: str
    after: str
    changes: list[dict[str, Any]]
    money: dict[str, Any]
    no_money: str | None


class CommitMade(TypedDict):
    """
    A commit and what it fixes; as `valueverse value commit --json`.
    """

    commit: str
    model: str
    state: str
    new: bool
    start: str | None
    baseline: dict[str, float]
    expected: dict[str, float]


class CommitPage(TypedDict):
    """
    A page of commits, the oldest first.
    """

    has_more: bool
    next_cursor: str | None
    data: list[Commit]


class CommitRunRequest(TypedDict):
    """
    For which months a commit is run.
    """

    month: NotRequired[str | None]


class CommitStep(TypedDict):
    """
    Something that was done to a commit.
    """

    commit: str
    action: Literal['proposed', 'vendor', 'customer', 'confirmed', 'written_off']
    by: str
    at: str
    reason: str | None


class ComputationProblem(TypedDict):
    """
    Why there is no result, or why a plan was not applied; `message` names the cure.
    """

    code: str
    message: str
    path: str


class CreditedLine(TypedDict):
    """
    What a credit note takes off one line.
    """

    amount: str


class Customer(TypedDict):
    """
    Somebody the tenant bills.
    """

    customer: str
    name: str | None
    email: str | None
    currency: str | None
    timezone: str | None
    country: str | None
    metadata: dict[str, Any] | None


class Delivery(TypedDict):
    """
    A notification to one endpoint.
    """

    delivery: int
    endpoint: str
    type: str
    message_id: str
    state: Literal['waiting', 'delivered', 'dead']
    attempts: int
    status: int | None
    reason: str | None
    created_at: str
    due_at: str | None
    delivered_at: str | None


class DeliveryDetail(TypedDict):
    """
    A notification to one endpoint, what it says, and every attempt.
    """

    delivery: int
    endpoint: str
    type: str
    message_id: str
    state: Literal['waiting', 'delivered', 'dead']
    attempts: int
    status: int | None
    reason: str | None
    created_at: str
    due_at: str | None
    delivered_at: str | None
    body: dict[str, Any]
    history: list[Attempt]


class DeliveryPage(TypedDict):
    """
    A page of deliveries, the newest first.
    """

    has_more: bool
    next_cursor: str | None
    data: list[Delivery]


class DisputeRequest(TypedDict):
    """
    Why a fee is disputed.
    """

    reason: str


class Endpoint(TypedDict):
    """
    An endpoint, without its secret.
    """

    endpoint: str
    url: str
    types: list[Literal['invoice.drafted', 'invoice.finalised', 'invoice.voided', 'payment.received', 'payment.failed', 'credit_note.issued', 'usage.threshold', 'wallet.low', 'commit.proposed', 'commit.approved', 'fee.proposed', 'fee.disputed', 'run.completed', 'quality.held']]
    secret_version: int
    previous_until: str | None
    disabled_at: str | None
    disabled_reason: str | None
    created_at: str


class EndpointChange(TypedDict):
    """
    What of an endpoint changes.
    """

    url: NotRequired[str | None]
    types: NotRequired[list[Literal['invoice.drafted', 'invoice.finalised', 'invoice.voided', 'payment.received', 'payment.failed', 'credit_note.issued', 'usage.threshold', 'wallet.low', 'commit.proposed', 'commit.approved', 'fee.proposed', 'fee.disputed', 'run.completed', 'quality.held']] | None]


class EndpointPage(TypedDict):
    """
    A page of endpoints, the oldest first.
    """

    has_more: bool
    next_cursor: str | None
    data: list[Endpoint]


class EndpointSecret(TypedDict):
    """
    An endpoint with a new secret, shown this once.
    """

    endpoint: str
    url: str
    types: list[Literal['invoice.drafted', 'invoice.finalised', 'invoice.voided', 'payment.received', 'payment.failed', 'credit_note.issued', 'usage.threshold', 'wallet.low', 'commit.proposed', 'commit.approved', 'fee.proposed', 'fee.disputed', 'run.completed', 'quality.held']]
    secret_version: int
    previous_until: str | None
    disabled_at: str | None
    disabled_reason: str | None
    created_at: str
    secret: str | None


class Event(TypedDict):
    """
    A CloudEvent 1.0; docs/events.md lists the types that begin with `billing.`. Numbers of more than 15 significant digits are written as text.
    """

    specversion: Literal['1.0']
    id: str
    source: str
    type: str
    subject: NotRequired[str]
    time: str
    tenant: NotRequired[str]
    replaces: NotRequired[str]
    data: dict[str, Any] | None


class EventCounts(TypedDict):
    """
    Events of a request by what becomes of them, as far as the request shows it.
    """

    accepted: int
    duplicate: int
    refused: int


class EventLine(TypedDict):
    """
    A line that bills an event.
    """

    invoice: str | None
    status: str
    line: str
    name: str
    kind: Literal['usage', 'adjustment']
    currency: str
    amount: str


class EventResult(TypedDict):
    """
    What becomes of one event.
    """

    source: str | None
    id: str | None
    status: Literal['accepted', 'duplicate', 'refused']
    leaf: str
    reason: NotRequired[str | None]
    message: NotRequired[str | None]
    path: NotRequired[str | None]


class Explanation(TypedDict):
    """
    Formulas, values and units, down to metrics and events; as `valueverse value explain --json`.
    """

    run_hash: str
    root: Any
    value: float | None
    unit: str
    nodes: list[dict[str, Any]]


class FeeDue(TypedDict):
    """
    A fee that was proposed now.
    """

    proposal: str
    charge: str
    amount: str
    currency: str


class FeeProposal(TypedDict):
    """
    A fee for an outcome; as a line of `valueverse value proposals`.
    """

    proposal: str
    model: str
    customer: str
    subscription: str
    charge: str
    commit_id: str
    run_hash: str
    first_day: str
    last_day: str
    realised_value: str
    binding: Literal['none', 'floor', 'cap']
    amount: str
    currency: str
    state: Literal['open', 'disputed', 'approved', 'withdrawn']
    disputable_until: str
    invoice: str | None


class FeeProposalPage(TypedDict):
    """
    A page of fee proposals, the oldest first.
    """

    has_more: bool
    next_cursor: str | None
    data: list[FeeProposal]


class ForgottenPassword(TypedDict):
    """
    Whose password is forgotten.
    """

    tenant: str
    email: str


class FoundEvent(TypedDict):
    """
    An event in a list; `GET /v1/events/{source}/{id}` says what became of it.
    """

    source: str | None
    id: str | None
    type: str | None
    customer: NotRequired[str | None]
    subscription: NotRequired[str | None]
    time: NotRequired[str | None]
    received_at: str
    file: str
    line: int
    replaces: NotRequired[str | None]
    reason: NotRequired[str | None]
    message: NotRequired[str | None]
    path: NotRequired[str | None]


class Health(TypedDict):
    """
    How the service is.
    """

    status: str


class IdentityProvider(TypedDict):
    """
    A tenant's identity provider, without its secret.
    """

    issuer: str
    client_id: str
    redirect_uri: str
    changed_at: str


class InputShare(TypedDict):
    """
    What an input adds to the difference.
    """

    input: str
    unit: str
    before: float
    after: float
    share: str
    exact: str


class Instrument(TypedDict):
    """
    A payment instrument: a token, and what may be shown of it.
    """

    instrument: str
    customer: str
    provider: str
    token: str
    kind: Literal['card', 'account', 'other']
    last_four: str | None
    created_at: str


class InstrumentPage(TypedDict):
    """
    A page of a customer's payment instruments, the oldest first.
    """

    has_more: bool
    next_cursor: str | None
    data: list[Instrument]


class Invitation(TypedDict):
    """
    An invitation, without the token that its mail carries.
    """

    id: str
    email: str
    role: Literal['owner', 'admin', 'finance', 'developer', 'analyst', 'viewer']
    state: Literal['open', 'accepted', 'revoked', 'expired']
    mail: Literal['waiting', 'sent', 'failed']
    invited_by: str
    created_at: str
    expires_at: str


class InvitationPage(TypedDict):
    """
    A page of invitations, the oldest first.
    """

    data: list[Invitation]
    has_more: bool
    next_cursor: str | None


class InvoiceChange(TypedDict):
    """
    What the events change of an invoice; below it, of each of its lines that differs.
    """

    subscription: str | None
    invoice_type: str
    period_from: str
    period_to: str
    first_day: str
    last_day: str
    line: str | None
    currency: str
    before: str
    after: str
    difference: str


class InvoiceLine(TypedDict):
    """
    A line of an invoice.
    """

    key: str
    kind: Literal['fee', 'usage', 'minimum', 'adjustment', 'one_off', 'outcome']
    description: str
    amount: str
    amount_precise: str


class InvoicePreview(TypedDict):
    """
    A customer's invoices that are not final, without and with an event.
    """

    customer: str
    until: str
    invoices: list[InvoiceChange]
    held: list[str]


class IssuedKey(TypedDict):
    """
    A new API key, shown this once.
    """

    prefix: str
    name: str | None
    scopes: list[Literal['events:write', 'billing:read', 'billing:write', 'value:write', 'value:approve', 'audit:read', 'admin']]
    created_at: str
    expires_at: str | None
    revoked_at: str | None
    key: str | None


class LineEvent(TypedDict):
    """
    An event that a line counts, or that changed what it counts.
    """

    source: str
    id: str
    amends: str | None
    time: str
    meter: str | None
    value: str | None
    text: str | None
    dimensions: dict[str, str | None] | None
    change: NotRequired[Literal['late', 'amended', 'voided', 'joined', 'left'] | None]
    changed_at: NotRequired[str | None]


class ListedCustomer(TypedDict):
    """
    A customer in a list.
    """

    customer: str
    name: str | None
    email: str | None
    currency: str | None
    timezone: str | None
    country: str | None
    metadata: dict[str, Any] | None
    restricted: bool


class Login(TypedDict):
    """
    How a person signs in.
    """

    tenant: str
    email: str
    password: str
    code: NotRequired[str | None]


class MetricRow(TypedDict):
    """
    A measured value.
    """

    metric: str
    customer: NotRequired[str | None]
    period: str
    value: str


class ModelCheck(TypedDict):
    """
    What a model is made of, or everything that is wrong with it; as `valueverse value check --json`.
    """

    ok: bool
    problems: NotRequired[list[CatalogProblem] | None]


Scenario: TypeAlias = str


Output: TypeAlias = str


class ModelRun(TypedDict):
    """
    How a model is run; as the options of `valueverse value run`.
    """

    scenarios: NotRequired[list[Scenario]]
    draws: NotRequired[int]
    seed: NotRequired[int]
    outputs: NotRequired[list[Output]]
    customer: NotRequired[str | None]
    start: NotRequired[str | None]
    data: NotRequired[list[MetricRow] | None]


class ModelSummary(TypedDict):
    """
    The current version of a value model.
    """

    key: str
    version: int
    title: str | None
    content_hash: str
    written_by: str
    written_at: str


class MonthRefused(TypedDict):
    """
    A month that a commit could not be run for, or whose fee could not be worked out.
    """

    month: str
    reason: str


class NewEndpoint(TypedDict):
    """
    An endpoint to make.
    """

    url: str
    types: NotRequired[list[Literal['invoice.drafted', 'invoice.finalised', 'invoice.voided', 'payment.received', 'payment.failed', 'credit_note.issued', 'usage.threshold', 'wallet.low', 'commit.proposed', 'commit.approved', 'fee.proposed', 'fee.disputed', 'run.completed', 'quality.held']]]


class NewIdentityProvider(TypedDict):
    """
    An identity provider (OpenID Connect).
    """

    issuer: str
    client_id: str
    client_secret: str


class NewInstrument(TypedDict):
    """
    What a payment provider charges a customer by.
    """

    provider: str
    token: str
    kind: NotRequired[Literal['card', 'account', 'other']]
    last_four: NotRequired[str | None]


class NewInvitationBody(TypedDict):
    """
    Whom to invite.
    """

    email: str
    role: Literal['owner', 'admin', 'finance', 'developer', 'analyst', 'viewer']


class NewKey(TypedDict):
    """
    An API key to make.
    """

    name: NotRequired[str | None]
    scopes: list[Literal['events:write', 'billing:read', 'billing:write', 'value:write', 'value:approve', 'audit:read', 'admin']]
    expires_in_days: NotRequired[int | None]


class NewPassword(TypedDict):
    """
    Another password for oneself.
    """

    current: str
    password: str


class NewPortalLink(TypedDict):
    """
    A link to the portal to make.
    """

    customer: str
    expires_in_minutes: NotRequired[int]


Customer1: TypeAlias = str


NewRerating = TypedDict(
    'NewRerating',
    {
        'from': str,
        'to': str,
        'customers': NotRequired[list[Customer1]],
        'catalog': NotRequired[str | None],
    },
)


class NewRestriction(TypedDict):
    """
    Why a customer's data is on hold.
    """

    reason: str


NewSimulation = TypedDict(
    'NewSimulation',
    {
        'catalog': str,
        'compare': NotRequired[str | None],
        'from': NotRequired[str | None],
        'to': NotRequired[str | None],
        'known_at': NotRequired[str | None],
        'run_at': NotRequired[list[str]],
    },
)


class PasswordAndCode(TypedDict):
    """
    The own password once more, and a code of the app or a recovery code.
    """

    password: NotRequired[str | None]
    code: str


class TaxRates(TypedDict):
    percent: str


class PatchCustomerBody(TypedDict):
    name: NotRequired[str | None]
    email: NotRequired[str | None]
    currency: NotRequired[str | None]
    timezone: NotRequired[str | None]
    country: NotRequired[str | None]
    tax_rates: NotRequired[list[str | TaxRates] | None]
    metadata: NotRequired[dict[str, Any] | None]
    on: NotRequired[str | None]


Period = TypedDict(
    'Period',
    {
        'from': str,
        'to': str,
    },
)


class Person(TypedDict):
    """
    Who a person is.
    """

    email: str
    name: str | None
    role: str


class PortalExchange(TypedDict):
    """
    The token of a link to exchange.
    """

    token: str


class PortalLink(TypedDict):
    """
    A link to the portal.
    """

    customer: str
    expires_at: str
    token: str | None


class PostCreditNotesBody(TypedDict):
    invoice: str
    lines: NotRequired[list[CreditedLine] | None]
    amount: NotRequired[str | None]
    reason: str
    on: NotRequired[str | None]


class PostCustomersBody(TypedDict):
    customer: str
    name: NotRequired[str | None]
    email: NotRequired[str | None]
    currency: NotRequired[str | None]
    timezone: NotRequired[str | None]
    country: NotRequired[str | None]
    tax_rates: NotRequired[list[str | TaxRates] | None]
    metadata: NotRequired[dict[str, Any] | None]
    on: NotRequired[str | None]


class PostInvoiceVoidBody(TypedDict):
    reason: str
    on: NotRequired[str | None]


class PostInvoicesPreviewBody(TypedDict):
    """
    Billing events that nobody has sent, and whose invoices they may change.
    """

    customer: str
    until: NotRequired[str | None]
    events: NotRequired[list[dict[str, Any]]]


class PostPaymentsBody(TypedDict):
    invoice: str
    amount: str
    currency: str
    reference: NotRequired[str | None]
    type: NotRequired[Literal['received', 'failed', 'refunded']]
    on: NotRequired[str | None]


class PostSubscriptionChangeBody(TypedDict):
    plan: NotRequired[str | None]
    plan_version: NotRequired[int | None]
    overrides: NotRequired[dict[str, Any] | None]
    quantities: NotRequired[dict[str, str] | None]
    effective: NotRequired[Literal['now', 'period_end'] | None]
    on: NotRequired[str | None]
    preview: NotRequired[bool]


class PostSubscriptionEndBody(TypedDict):
    on: NotRequired[str | None]
    preview: NotRequired[bool]


class PostSubscriptionPauseBody(TypedDict):
    on: NotRequired[str | None]
    preview: NotRequired[bool]


class PostSubscriptionResumeBody(TypedDict):
    on: NotRequired[str | None]
    preview: NotRequired[bool]


class PostSubscriptionsBody(TypedDict):
    subscription: str
    customer: str
    plan: str
    plan_version: NotRequired[int | None]
    anchor_date: NotRequired[str | None]
    timezone: NotRequired[str | None]
    overrides: NotRequired[dict[str, Any] | None]
    ends_at: NotRequired[str | None]
    quantities: NotRequired[dict[str, str] | None]
    on: NotRequired[str | None]
    preview: NotRequired[bool]


class PostWalletsBody(TypedDict):
    customer: str
    wallet: str
    amount: str
    currency: str
    priority: NotRequired[int | None]
    expires_at: NotRequired[str | None]
    restrict_to: NotRequired[list[str] | None]
    type: Literal['granted', 'purchased', 'voided']
    on: NotRequired[str | None]


class Error(TypedDict):
    path: NotRequired[str]
    message: NotRequired[str]


class Problem(TypedDict):
    """
    | type | status | title | what to do |
    |---|---|---|---|
    | `urn:valueverse:problem:malformed-request` | 400 | The request cannot be read | Send it as the description of the API says. |
    | `urn:valueverse:problem:invalid-cursor` | 400 | The cursor is not valid here | Use next_cursor with the filters it came with, or start from the first page. |
    | `urn:valueverse:problem:unsupported-version` | 400 | This version of the API does not exist | Send a listed Api-Version, or none. |
    | `urn:valueverse:problem:invalid-credentials` | 401 | The credentials are not valid | Sign in with a valid API key or password. |
    | `urn:valueverse:problem:invalid-token` | 401 | The access token is missing or not valid | Refresh the session, or sign in. |
    | `urn:valueverse:problem:second-factor-required` | 401 | A second factor is required | Send `code` too: the one that the app shows, or a recovery code. |
    | `urn:valueverse:problem:insufficient-scope` | 403 | The session lacks a scope | Use an API key that has it. |
    | `urn:valueverse:problem:insufficient-role` | 403 | The role does not suffice | Ask an owner of the tenant. |
    | `urn:valueverse:problem:not-found` | 404 | Nothing is found here | Check the address; it may never have been yours to see. |
    | `urn:valueverse:problem:other-service` | 404 | Another service answers this address | Ask the service that `detail` names. |
    | `urn:valueverse:problem:method-not-allowed` | 405 | The method is not allowed here | Use one of the Allow header's. |
    | `urn:valueverse:problem:request-timeout` | 408 | The request did not come in time | Send it again. |
    | `urn:valueverse:problem:conflict` | 409 | It contradicts what is known | Read `detail`: what it names is there, or over, already. |
    | `urn:valueverse:problem:idempotency-in-flight` | 409 | A request with this key is being answered | Send it again in a second: it will have its answer. |
    | `urn:valueverse:problem:precondition-failed` | 412 | It has changed since you read it | Read it again, and send the change with the ETag of what you read. |
    | `urn:valueverse:problem:body-too-large` | 413 | The request's body is too large | Send at most 64 KiB; a value model of 256 KiB; a catalog of 1 MiB, of two 2 MiB; of events 16 MiB, 64 MiB expanded, 100,000. |
    | `urn:valueverse:problem:unsupported-media-type` | 415 | The request's media type or encoding is not supported | Send what `Accept-Post` or `errors` lists. |
    | `urn:valueverse:problem:invalid-request` | 422 | The request has invalid values | Correct what `errors` lists. |
    | `urn:valueverse:problem:idempotency-mismatch` | 422 | The key came with another request before | Take a new key for each write; the same one to repeat it. |
    | `urn:valueverse:problem:not-renderable` | 422 | The invoice cannot be written in this format | State what `errors` says is missing. |
    | `urn:valueverse:problem:precondition-required` | 428 | The request says not what it changes | Send If-Match with the ETag you read. |
    | `urn:valueverse:problem:rate-limited` | 429 | Too many requests | Wait for the seconds of Retry-After. |
    | `urn:valueverse:problem:internal-error` | 500 | Something went wrong on our side | Try again; send us the request id if it happens again. |
    | `urn:valueverse:problem:unavailable` | 503 | The service is not available for the moment | Try again in a few seconds. |
    """

    type: Literal['urn:valueverse:problem:malformed-request', 'urn:valueverse:problem:invalid-cursor', 'urn:valueverse:problem:unsupported-version', 'urn:valueverse:problem:invalid-credentials', 'urn:valueverse:problem:invalid-token', 'urn:valueverse:problem:second-factor-required', 'urn:valueverse:problem:insufficient-scope', 'urn:valueverse:problem:insufficient-role', 'urn:valueverse:problem:not-found', 'urn:valueverse:problem:other-service', 'urn:valueverse:problem:method-not-allowed', 'urn:valueverse:problem:request-timeout', 'urn:valueverse:problem:conflict', 'urn:valueverse:problem:idempotency-in-flight', 'urn:valueverse:problem:precondition-failed', 'urn:valueverse:problem:body-too-large', 'urn:valueverse:problem:unsupported-media-type', 'urn:valueverse:problem:invalid-request', 'urn:valueverse:problem:idempotency-mismatch', 'urn:valueverse:problem:not-renderable', 'urn:valueverse:problem:precondition-required', 'urn:valueverse:problem:rate-limited', 'urn:valueverse:problem:internal-error', 'urn:valueverse:problem:unavailable']
    title: str
    status: int
    detail: str
    instance: str
    errors: NotRequired[list[Error]]


class Progress(TypedDict):
    """
    How far it is.
    """

    step: str | None
    done: int
    of: int


class ProvenPassword(TypedDict):
    """
    The own password, once more.
    """

    password: NotRequired[str | None]


PublishedCatalog = TypedDict(
    'PublishedCatalog',
    {
        'hash': str,
        'from': str,
        'received_at': str,
        'currency': str,
        'timezone': str,
        'meters': list[str],
        'plans': list[dict[str, Any]],
        'coupons': list[str],
        'taxes': list[str],
    },
)


PublishedPlan = TypedDict(
    'PublishedPlan',
    {
        'catalog': str,
        'from': str,
        'currency': str,
        'key': str,
        'version': NotRequired[int | None],
        'fees': NotRequired[list[dict[str, Any]] | None],
        'charges': NotRequired[list[dict[str, Any]] | None],
    },
)


class Readiness(TypedDict):
    """
    Whether requests can be answered: `ready` or `unavailable`.
    """

    status: str
    database: str
    valkey: str


class ReadyModel(TypedDict):
    """
    A ready model of the library.
    """

    name: str
    title: str | None


class ReadyModelText(TypedDict):
    """
    A ready model with its text.
    """

    name: str
    title: str | None
    text: str


class Realisation(TypedDict):
    """
    Two cases of a commit and what each input adds to their difference: Shapley shares, which add up exactly; as
    `valueverse value variance --json`.
    """

    commit: str
    model: str
    month: str
    output: str
    unit: str
    before: str
    after: str
    difference: str
    shares: list[InputShare]


class RecoveryCodes(TypedDict):
    """
    Codes for the day that the app is lost, shown this once.
    """

    recovery_codes: list[str]


class RefreshRequest(TypedDict):
    """
    A refresh token to exchange.
    """

    refresh_token: str


class RejectedEvent(TypedDict):
    """
    A billing event that was accepted and could not be applied.
    """

    source: str
    id: str
    type: str
    reason: str
    message: str
    time: str | None
    decided_at: str


class RejectedEventPage(TypedDict):
    """
    A page of rejected billing events, by source and id.
    """

    has_more: bool
    next_cursor: str | None
    data: list[RejectedEvent]


class Rejection(TypedDict):
    """
    Why billing did not apply an event.
    """

    reason: str
    message: str


Replay = TypedDict(
    'Replay',
    {
        'endpoint': NotRequired[str | None],
        'type': NotRequired[Literal['invoice.drafted', 'invoice.finalised', 'invoice.voided', 'payment.received', 'payment.failed', 'credit_note.issued', 'usage.threshold', 'wallet.low', 'commit.proposed', 'commit.approved', 'fee.proposed', 'fee.disputed', 'run.completed', 'quality.held', 'webhook.test']],
        'from': NotRequired[str | None],
        'to': NotRequired[str | None],
        'state': NotRequired[Literal['delivered', 'dead']],
        'cursor': NotRequired[str | None],
    },
)


class Replayed(TypedDict):
    """
    What is delivered again.
    """

    replayed: int
    has_more: bool
    next_cursor: str | None


class ReratingResult(TypedDict):
    """
    What `valueverse rerate plan` answers: differences of each customer, invoice and line.
    """

    plan: dict[str, Any]


class ReratingState(TypedDict):
    """
    A plan of a re-rating, without its differences.
    """

    id: str
    status: Literal['waiting', 'running', 'done', 'failed', 'cancelled', 'applying', 'applied', 'stale']
    progress: Progress
    problem: ComputationProblem | None
    requested_by: str
    requested_at: str
    ended_at: str | None
    applied_at: str | None
    applied_invoices: int | None


class ResetPassword(TypedDict):
    """
    The token of the mail's link, and another password.
    """

    token: str
    password: str


class Restricted(TypedDict):
    """
    Whether a customer's data is on hold.
    """

    customer: str
    restricted: bool
    changed: bool


class Restriction(TypedDict):
    """
    A customer whose data is on hold.
    """

    customer: str
    reason: str
    since: str


class RestrictionPage(TypedDict):
    """
    A page of restrictions, by customer.
    """

    has_more: bool
    next_cursor: str | None
    data: list[Restriction]


class RotatedKey(TypedDict):
    """
    A new API key that may do what another may.
    """

    prefix: str
    name: str | None
    scopes: list[Literal['events:write', 'billing:read', 'billing:write', 'value:write', 'value:approve', 'audit:read', 'admin']]
    created_at: str
    expires_at: str | None
    revoked_at: str | None
    key: str | None
    replaces: str
    replaced_until: str


class Rotation(TypedDict):
    """
    How an API key is replaced.
    """

    overlap_seconds: NotRequired[int]


class RunAnswer(TypedDict):
    """
    Outputs, series and flags of each scenario; as `valueverse value run --json`.
    """

    model: str
    content_hash: str
    scenarios: dict[str, Any]
    flags: list[Any]
    draws: int
    seed: int
    run_hash: str


class RunResult(TypedDict):
    """
    A result of a run.
    """

    name: str
    value: str
    unit: str


class SecondFactor(TypedDict):
    """
    What an authenticator app needs, shown this once.
    """

    secret: str
    uri: str


class SecretRotation(TypedDict):
    """
    How an endpoint's secret is replaced.
    """

    overlap_seconds: NotRequired[int]


Segment = TypedDict(
    'Segment',
    {
        'plan': str,
        'plan_version': int,
        'currency': str,
        'timezone': str,
        'from': str,
        'to': str | None,
        'trial_until': str | None,
        'quantities': dict[str, Any] | None,
        'overrides': dict[str, Any] | None,
    },
)


ServicePeriod = TypedDict(
    'ServicePeriod',
    {
        'from': NotRequired[str | None],
        'to': NotRequired[str | None],
    },
)


class Session(TypedDict):
    """
    Tokens of a session.
    """

    access_token: str
    refresh_token: str
    token_type: Literal['Bearer']
    expires_in: int


class SignInFinish(TypedDict):
    """
    How a log-in by the identity provider becomes a session.
    """

    token: str
    code_verifier: str
    code: NotRequired[str | None]


SimulationResult = TypedDict(
    'SimulationResult',
    {
        'from': str,
        'to': str,
        'invoices': NotRequired[list[dict[str, Any]] | None],
        'changes': NotRequired[list[dict[str, Any]] | None],
        'notes': list[str],
    },
)


class SimulationState(TypedDict):
    """
    A simulation, without its result.
    """

    id: str
    status: Literal['waiting', 'running', 'done', 'failed', 'cancelled']
    progress: Progress
    problem: ComputationProblem | None
    requested_by: str
    requested_at: str
    ended_at: str | None


class SingleLine(TypedDict):
    """
    A single line for an invoice.
    """

    source: str
    id: str
    time: str
    received_at: str
    amount: str | None
    rejected: Rejection | None
    type: Literal['added']
    customer: str
    description: str
    currency: str
    service_period: dict[str, Any] | None


class Step(TypedDict):
    """
    How an amount adds up.
    """

    text: str
    amount: str


class StoredModel(TypedDict):
    """
    A version of a value model with its text.
    """

    key: str
    version: int
    title: str | None
    content_hash: str
    written_by: str
    written_at: str
    text: str


class Subscription(TypedDict):
    """
    A subscription, and what holds of it at the instant of the question.
    """

    subscription: str
    customer: str
    plan: str
    plan_version: int
    currency: str
    timezone: str
    started_at: str
    ended_at: str | None
    status: Literal['planned', 'active', 'paused', 'ended']


class SubscriptionDetail(TypedDict):
    """
    A subscription with its timeline.
    """

    subscription: str
    customer: str
    plan: str
    plan_version: int
    currency: str
    timezone: str
    started_at: str
    ended_at: str | None
    status: Literal['planned', 'active', 'paused', 'ended']
    segments: list[Segment]


class SubscriptionPage(TypedDict):
    """
    A page of subscriptions by key.
    """

    has_more: bool
    next_cursor: str | None
    data: list[Subscription]


class Trial(TypedDict):
    """
    A notification that is about nothing.
    """

    delivery: int


class UnbilledCharge(TypedDict):
    """
    What a charge comes to, or a correction of usage that a final invoice billed.
    """

    subscription: str | None
    charge: str
    kind: Literal['usage', 'adjustment']
    description: str
    currency: str
    service_period: Period
    meter: str | None
    dimensions: dict[str, str | None] | None
    quantity: str | None
    amount: str
    amount_precise: str
    event_count: int | None
    explains: str | None


class UnbilledTotal(TypedDict):
    """
    What the charges come to in one currency.
    """

    currency: str
    amount: str


class UpcomingInvoices(TypedDict):
    """
    A customer's invoices that are not final, as if they were billed now.
    """

    customer: str
    until: str
    invoices: list[dict[str, Any]]
    held: list[str]
    changes: NotRequired[list[InvoiceChange] | None]


class UsageRow(TypedDict):
    """
    Metered usage of one day, meter, subscription and set of dimension values.
    """

    day: str
    meter: str
    subscription: str | None
    dimensions: dict[str, str | None]
    quantity: str | None
    aggregation: str | None
    additive: bool
    events: int


class UsageWindow(TypedDict):
    """
    What a meter comes to in one window, for one set of dimension values.
    """

    window_start: str
    window_end: str
    timezone: str
    meter: str
    dimensions: dict[str, str | None]
    quantity: str | None


class UsageWindowPage(TypedDict):
    """
    A page of windows, the oldest first.
    """

    has_more: bool
    next_cursor: str | None
    data: list[UsageWindow]


class User(TypedDict):
    """
    A person who signs in to the tenant.
    """

    id: str
    email: str
    name: str | None
    role: Literal['owner', 'admin', 'finance', 'developer', 'analyst', 'viewer']
    created_at: str
    disabled_at: str | None


class UserChange(TypedDict):
    """
    What of a person changes.
    """

    role: Literal['owner', 'admin', 'finance', 'developer', 'analyst', 'viewer']


class UserPage(TypedDict):
    """
    A page of people, the oldest first.
    """

    data: list[User]
    has_more: bool
    next_cursor: str | None


class Verification(TypedDict):
    """
    The chains of the tenant's commits and of what was done to them, worked out again; as
    `valueverse value verify --json`.
    """

    ok: bool
    commits: int
    deeds: int
    head: str | None
    problems: list[ChainProblem]


class WaitingEvent(TypedDict):
    """
    An event that the API has received and no ingestion has taken yet.
    """

    batch: str
    received_at: str
    status: Literal['accepted', 'duplicate', 'refused']
    reason: NotRequired[str | None]
    message: NotRequired[str | None]
    path: NotRequired[str | None]


class WalletCredit(TypedDict):
    """
    Credit that was given to a wallet, or taken from it.
    """

    source: str
    id: str
    time: str
    received_at: str
    amount: str | None
    rejected: Rejection | None
    type: Literal['granted', 'purchased', 'voided']
    customer: str
    wallet: str
    currency: str
    priority: str | None
    expires_at: str | None
    restrict_to: list[str] | None


class WalletPage(TypedDict):
    """
    A page of credit, the newest first.
    """

    has_more: bool
    next_cursor: str | None
    data: list[WalletCredit]


class WholeCommit(TypedDict):
    """
    A commit with what it froze and what was done to it.
    """

    commit: str
    model: str
    author: str
    parent: str | None
    state: Literal['proposed', 'approved_by_vendor', 'approved_by_customer', 'active', 'superseded', 'confirmed', 'written_off']
    approvals: dict[str, str]
    history: list[CommitStep]
    document: str


class Written(TypedDict):
    """
    A write: the billing event that it is, and what is known with it.
    """

    status: Literal['recorded', 'known', 'preview']
    batch: str | None
    event: dict[str, Any]
    customer: NotRequired[Customer | None]
    catalog: NotRequired[dict[str, Any] | None]
    segments: NotRequired[list[Segment] | None]
    preview: NotRequired[InvoicePreview | None]


class CatalogCheck(TypedDict):
    """
    What a catalog sells, or everything that is wrong with it.
    """

    ok: bool
    hash: NotRequired[str | None]
    problems: NotRequired[list[CatalogProblem] | None]


class CatalogPage(TypedDict):
    """
    The catalogs of a tenant.
    """

    data: list[PublishedCatalog]
    has_more: bool
    next_cursor: str | None


class CommitRequest(TypedDict):
    """
    What is frozen with the model; as the options of `valueverse value commit`. The author is the API key.
    """

    version: NotRequired[int | None]
    scenario: NotRequired[str]
    seed: NotRequired[int]
    customer: NotRequired[str | None]
    start: NotRequired[str | None]
    parent: NotRequired[str | None]
    reason: NotRequired[str | None]
    data: NotRequired[list[MetricRow] | None]


class CommitRun(TypedDict):
    """
    What running a commit gave.
    """

    commit: str
    model: str
    known_at: str
    runs: list[CaseRunMade]
    added: int
    proposals: list[FeeDue]
    refused: list[MonthRefused]


class CustomerPage(TypedDict):
    """
    A page of customers, by key.
    """

    has_more: bool
    next_cursor: str | None
    data: list[ListedCustomer]


class EventFate(TypedDict):
    """
    What became of an event.
    """

    source: str
    id: str
    outcome: Literal['waiting', 'billed', 'unbilled', 'quarantined', 'billing_event', 'rejected']
    reason: NotRequired[str | None]
    message: NotRequired[str | None]
    type: NotRequired[str | None]
    time: NotRequired[str | None]
    received_at: NotRequired[str | None]
    file: NotRequired[str | None]
    line: NotRequired[int | None]
    amends: NotRequired[str | None]
    conflicts: NotRequired[list[str] | None]
    lines: NotRequired[list[EventLine] | None]
    changes_nothing_of: NotRequired[str | None]
    waiting: NotRequired[list[WaitingEvent] | None]


class EventPage(TypedDict):
    """
    A page of events, the newest first.
    """

    data: list[FoundEvent]
    has_more: bool
    next_cursor: str | None


class EventReceipt(TypedDict):
    """
    Events are stored durably and wait for ingestion.
    """

    batch: str
    received_at: str
    root: str
    receipt: str
    counts: EventCounts
    results: list[EventResult]


class ExplainedLine(TypedDict):
    """
    A line, what it was made from, and some of its events in the order of time.
    """

    key: str
    kind: str
    description: str
    service_period: Period
    meter: str | None
    dimensions: dict[str, str | None] | None
    quantity: str | None
    amount: str
    amount_precise: str
    tiers: list[dict[str, Any]] | None
    title: str
    sentences: list[str]
    steps: list[Step]
    result: list[str]
    event_count: NotRequired[int | None]
    reproduced: NotRequired[bool | None]
    correction: NotRequired[dict[str, Any] | None]
    events: NotRequired[list[LineEvent] | None]
    more_events: NotRequired[int | None]
    next_cursor: NotRequired[str | None]


class ExplainedLines(TypedDict):
    """
    The lines of an invoice that have a key; several where its charge is split by dimensions.
    """

    invoice: str
    tenant: str
    customer: str
    status: Literal['finalised', 'voided']
    basis: dict[str, Any]
    lines: list[ExplainedLine]


class Invoice(TypedDict):
    """
    The invoice document, byte for byte as its hash covers it; only `status` is current.
    """

    number: str
    tenant: str
    customer: str
    status: Literal['finalised', 'voided']
    currency: str
    lines: list[InvoiceLine]
    total: str
    amount_due: str
    content_hash: str


class InvoiceSummary(TypedDict):
    """
    An invoice in a list; its lines are in the document at `/v1/invoices/{number}`.
    """

    invoice_id: str
    number: str | None
    status: Literal['draft', 'finalised', 'voided']
    customer: str
    subscription: str | None
    currency: str
    period: Period
    issued_on: str
    due_on: str | None
    subtotal: str
    discount_total: str
    tax_total: str
    total: str
    credit_total: str
    amount_due: str


class IssuedCreditNote(TypedDict):
    """
    A credit note on an invoice.
    """

    source: str
    id: str
    time: str
    received_at: str
    amount: str | None
    rejected: Rejection | None
    type: Literal['issued']
    invoice: str
    reason: str


class Library(TypedDict):
    """
    The ready models, by name.
    """

    data: list[ReadyModel]


class Me(TypedDict):
    """
    Who the session acts for.
    """

    tenant: str
    kind: Literal['api_key', 'user', 'portal']
    id: str
    user: Person | None
    scopes: list[Literal['events:write', 'billing:read', 'billing:write', 'value:write', 'value:approve', 'audit:read', 'admin']]
    session: str


class ModelPage(TypedDict):
    """
    A page of value models, by key.
    """

    has_more: bool
    next_cursor: str | None
    data: list[ModelSummary]


class OneOffPage(TypedDict):
    """
    A page of single lines, the newest first.
    """

    has_more: bool
    next_cursor: str | None
    data: list[SingleLine]


class Payment(TypedDict):
    """
    A payment of an invoice.
    """

    source: str
    id: str
    time: str
    received_at: str
    amount: str | None
    rejected: Rejection | None
    type: Literal['received', 'failed', 'refunded']
    invoice: str
    currency: str
    reference: str | None


class PaymentPage(TypedDict):
    """
    A page of payments, the newest first.
    """

    has_more: bool
    next_cursor: str | None
    data: list[Payment]


class PlanPage(TypedDict):
    """
    The plans of a catalog, in its order.
    """

    has_more: bool
    next_cursor: str | None
    data: list[PublishedPlan]


class PostOneOffsBody(TypedDict):
    customer: str
    description: str
    amount: str
    currency: str
    service_period: NotRequired[ServicePeriod | None]
    on: NotRequired[str | None]


class Rerating(TypedDict):
    """
    A plan of a re-rating.
    """

    id: str
    status: Literal['waiting', 'running', 'done', 'failed', 'cancelled', 'applying', 'applied', 'stale']
    progress: Progress
    problem: ComputationProblem | None
    requested_by: str
    requested_at: str
    ended_at: str | None
    applied_at: str | None
    applied_invoices: int | None
    result: ReratingResult | None


class ReratingPage(TypedDict):
    """
    A page of plans of re-ratings.
    """

    has_more: bool
    next_cursor: str | None
    data: list[ReratingState]


class Run(TypedDict):
    """
    A run of a commit, with what it used.
    """

    run_hash: str
    commit: str
    model: str
    case: Literal['committed', 'forecast', 'realised']
    month: str
    known_at: str
    computed_at: str
    content_hash: str
    results: list[RunResult]
    document: dict[str, Any]


class Simulation(TypedDict):
    """
    A simulation.
    """

    id: str
    status: Literal['waiting', 'running', 'done', 'failed', 'cancelled']
    progress: Progress
    problem: ComputationProblem | None
    requested_by: str
    requested_at: str
    ended_at: str | None
    result: SimulationResult | None


class SimulationPage(TypedDict):
    """
    A page of simulations.
    """

    has_more: bool
    next_cursor: str | None
    data: list[SimulationState]


class UnbilledCustomer(TypedDict):
    """
    What a customer used and no finalised invoice bills.
    """

    customer: str
    charges: list[UnbilledCharge]
    totals: list[UnbilledTotal]
    held: list[str]


class UnbilledPage(TypedDict):
    """
    A page of customers by key; those with nothing unbilled are left out, so a page may be short.
    """

    has_more: bool
    next_cursor: str | None
    data: list[UnbilledCustomer]


class UsagePage(TypedDict):
    """
    A page of usage, by day and meter.
    """

    has_more: bool
    next_cursor: str | None
    data: list[UsageRow]


class CreditNotePage(TypedDict):
    """
    A page of credit notes, the newest first.
    """

    has_more: bool
    next_cursor: str | None
    data: list[IssuedCreditNote]


class InvoicePage(TypedDict):
    """
    A page of invoices, the latest issued first.
    """

    has_more: bool
    next_cursor: str | None
    data: list[InvoiceSummary]

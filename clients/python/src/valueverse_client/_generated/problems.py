"""Kinds of problems; generated, see docs/clients.md."""

from __future__ import annotations

from valueverse_client.problems import ProblemError


class MalformedRequestError(ProblemError):
    """The request cannot be read. Send it as the description of the API says."""


class InvalidCursorError(ProblemError):
    """The cursor is not valid here. Use next_cursor with the filters it came with, or start from the first page."""


class UnsupportedVersionError(ProblemError):
    """This version of the API does not exist. Send a listed Api-Version, or none."""


class InvalidCredentialsError(ProblemError):
    """The credentials are not valid. Sign in with a valid API key or password."""


class InvalidTokenError(ProblemError):
    """The access token is missing or not valid. Refresh the session, or sign in."""


class SecondFactorRequiredError(ProblemError):
    """A second factor is required. Send `code` too: the one that the app shows, or a recovery code."""


class InsufficientScopeError(ProblemError):
    """The session lacks a scope. Use an API key that has it."""


class InsufficientRoleError(ProblemError):
    """The role does not suffice. Ask an owner of the tenant."""


class NotFoundError(ProblemError):
    """Nothing is found here. Check the address; it may never have been yours to see."""


class OtherServiceError(ProblemError):
    """Another service answers this address. Ask the service that `detail` names."""


class MethodNotAllowedError(ProblemError):
    """The method is not allowed here. Use one of the Allow header's."""


class RequestTimeoutError(ProblemError):
    """The request did not come in time. Send it again."""


class ConflictError(ProblemError):
    """It contradicts what is known. Read `detail`: what it names is there, or over, already."""


class IdempotencyInFlightError(ProblemError):
    """A request with this key is being answered. Send it again in a second: it will have its answer."""


class PreconditionFailedError(ProblemError):
    """It has changed since you read it. Read it again, and send the change with the ETag of what you read."""


class BodyTooLargeError(ProblemError):
    """The request's body is too large. Send at most 64 KiB; a value model of 256 KiB; a catalog of 1 MiB, of two 2 MiB; of events 16 MiB, 64 MiB expanded, 100,000."""


class UnsupportedMediaTypeError(ProblemError):
    """The request's media type or encoding is not supported. Send what `Accept-Post` or `errors` lists."""


class InvalidRequestError(ProblemError):
    """The request has invalid values. Correct what `errors` lists."""


class IdempotencyMismatchError(ProblemError):
    """The key came with another request before. Take a new key for each write; the same one to repeat it."""


class NotRenderableError(ProblemError):
    """The invoice cannot be written in this format. State what `errors` says is missing."""


class PreconditionRequiredError(ProblemError):
    """The request says not what it changes. Send If-Match with the ETag you read."""


class RateLimitedError(ProblemError):
    """Too many requests. Wait for the seconds of Retry-After."""


class InternalError(ProblemError):
    """Something went wrong on our side. Try again; send us the request id if it happens again."""


class UnavailableError(ProblemError):
    """The service is not available for the moment. Try again in a few seconds."""


BY_TYPE: dict[str, type[ProblemError]] = {
    "urn:valueverse:problem:malformed-request": MalformedRequestError,
    "urn:valueverse:problem:invalid-cursor": InvalidCursorError,
    "urn:valueverse:problem:unsupported-version": UnsupportedVersionError,
    "urn:valueverse:problem:invalid-credentials": InvalidCredentialsError,
    "urn:valueverse:problem:invalid-token": InvalidTokenError,
    "urn:valueverse:problem:second-factor-required": SecondFactorRequiredError,
    "urn:valueverse:problem:insufficient-scope": InsufficientScopeError,
    "urn:valueverse:problem:insufficient-role": InsufficientRoleError,
    "urn:valueverse:problem:not-found": NotFoundError,
    "urn:valueverse:problem:other-service": OtherServiceError,
    "urn:valueverse:problem:method-not-allowed": MethodNotAllowedError,
    "urn:valueverse:problem:request-timeout": RequestTimeoutError,
    "urn:valueverse:problem:conflict": ConflictError,
    "urn:valueverse:problem:idempotency-in-flight": IdempotencyInFlightError,
    "urn:valueverse:problem:precondition-failed": PreconditionFailedError,
    "urn:valueverse:problem:body-too-large": BodyTooLargeError,
    "urn:valueverse:problem:unsupported-media-type": UnsupportedMediaTypeError,
    "urn:valueverse:problem:invalid-request": InvalidRequestError,
    "urn:valueverse:problem:idempotency-mismatch": IdempotencyMismatchError,
    "urn:valueverse:problem:not-renderable": NotRenderableError,
    "urn:valueverse:problem:precondition-required": PreconditionRequiredError,
    "urn:valueverse:problem:rate-limited": RateLimitedError,
    "urn:valueverse:problem:internal-error": InternalError,
    "urn:valueverse:problem:unavailable": UnavailableError,
}

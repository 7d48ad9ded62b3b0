"""What goes wrong in a delivery, one example of each: bad lines, conflicts, amendments and voids."""

from __future__ import annotations

from typing import TYPE_CHECKING

from valueverse.demo.files import compact

if TYPE_CHECKING:
    from valueverse.demo.files import Event


def _amendment(identity: str, original: Event, data: dict[str, object] | None) -> Event:
    return {**original, "id": identity, "replaces": original["id"], "data": data}


def _bad(prompt: list[Event]) -> list[Event | str]:
    """One event for every reason of the quarantine (contracts.md, section 1)."""
    sample = prompt[0]
    first, second = prompt[10], prompt[11]
    return [
        compact(sample)[:-20],
        "not an event at all",
        {key: value for key, value in {**sample, "id": "bad-1"}.items() if key != "source"},
        {**sample, "id": "bad-2", "time": "2024-02-30T10:00:00Z"},
        {**sample, "id": "bad-3", "time": "2024-03-05 10:00"},
        {**sample, "id": "bad-4", "time": "2199-01-01T00:00:00Z"},
        {**sample, "id": "bad-5", "tenant": "harbour-metrics"},
        compact({**sample, "id": "bad-6", "data": {}}).replace("{}", '{"megabytes":0.12345678901234567}'),
        {**sample, "id": "bad-7", "data": {**sample["data"], "megabytes": 1000000000000}},
        {**first, "data": {**first["data"], "megabytes": "999.999"}},
        {**second, "subject": "somebody-else"},
        {
            **sample,
            "id": "bad-8",
            "source": "harbor-office",
            "type": "billing.subscription.started",
            "data": {"subscription": "no-customer", "plan": "starter"},
        },
    ]


def incidents(prompt: list[Event], customer: str) -> list[Event | str]:
    """The file of everything that is not ordinary; ``prompt`` are requests that arrived in time."""
    sample, amended, voided = prompt[0], prompt[20], prompt[21]
    odd: list[Event | str] = [
        {**sample, "id": "odd-unknown-customer", "subject": "a-customer-yet-to-come"},
        {
            **sample,
            "id": "odd-unknown-meter",
            "type": "fax.sent",
            "time": "2024-03-20T12:00:00Z",
            "subject": customer,
        },
        {**sample, "id": "odd-before-start", "time": "2024-01-05T12:00:00Z", "subject": customer},
        {**sample, "id": "odd-after-end", "time": "2024-05-20T12:00:00Z", "subject": customer},
        {
            **sample,
            "id": "odd-no-value",
            "type": "storage.sampled",
            "time": "2024-03-20T12:00:00Z",
            "subject": customer,
            "data": {"disk": "full"},
        },
        _amendment("fix-1", amended, {**amended["data"], "megabytes": "1.500"}),
        _amendment("fix-2", voided, None),
        {**sample, "id": "fix-3", "replaces": "never-sent"},
        _amendment("fix-4", {**sample, "id": "late-original"}, {**sample["data"], "megabytes": "7.250"}),
    ]
    return [*_bad(prompt), *odd]


def late_corrections(prompt: list[Event]) -> list[Event]:
    """Corrections of the second delivery: an awaited original, an amended amendment and a void."""
    sample, amended, voided = prompt[0], prompt[20], prompt[22]
    return [
        {**sample, "id": "late-original"},
        _amendment("fix-5", {**amended, "id": "fix-1"}, {**amended["data"], "megabytes": "2.500"}),
        _amendment("fix-6", voided, None),
    ]

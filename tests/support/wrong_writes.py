"""Writes over HTTP that are refused."""

from __future__ import annotations

from typing import Any

WRONG_WRITES: dict[str, tuple[str, str, Any, int, str, str | None]] = {
    "no JSON": ("POST", "/customers", "{", 400, "malformed-request", None),
    "no object": ("POST", "/customers", "5", 422, "invalid-request", "body"),
    "no key": ("POST", "/customers", {"name": "x"}, 422, "invalid-request", "body.customer"),
    "a misspelt field": ("POST", "/customers", {"customer": "x", "nmae": "x"}, 422, "invalid-request", "body.nmae"),
    "a field of the path": ("POST", "/subscriptions/s1/end", {"subscription": "s1"}, 422, "invalid-request",
                            "body.subscription"),
    "no date": ("POST", "/customers", {"customer": "x", "on": "31.1.2024"}, 422, "invalid-request", "body.on"),
    "a number for a date": ("POST", "/customers", {"customer": "x", "on": 5}, 422, "invalid-request", "body.on"),
    "digits that no number holds": ("POST", "/customers", '{"customer": "x", "metadata": {"n": 0.1234567890123456789}}',
                                    422, "invalid-request", "body.metadata.n"),
    "no country": ("POST", "/customers", {"customer": "x", "country": "ZZ"}, 422, "invalid-request", "body.country"),
    "a customer that is there": ("POST", "/customers", {"customer": "c1", "name": "x"}, 409, "conflict",
                                 "body.customer"),
    "an unknown customer": ("PATCH", "/customers/c11", {"name": "x"}, 404, "not-found", None),
    "a key that is none": ("PATCH", "/customers/%07", {"name": "x"}, 404, "not-found", None),
    "a subscription of nobody": ("POST", "/subscriptions", {"subscription": "x", "customer": "c11", "plan": "pro"}, 422,
                                 "invalid-request", "body.customer"),
    "an unknown plan": ("POST", "/subscriptions", {"subscription": "x", "customer": "c1", "plan": "por"}, 422,
                        "invalid-request", "body.plan"),
    "an unknown fee": ("POST", "/subscriptions/s1/change", {"quantities": {"seat": 1}, "on": "2024-04-01"}, 422,
                       "invalid-request", "body.quantities"),
    "no quantity": ("POST", "/subscriptions/s1/change", {"quantities": {"seats": "many"}}, 422, "invalid-request",
                    "body.quantities.seats"),
    "a second start": ("POST", "/subscriptions", {"subscription": "s1", "customer": "c1", "plan": "pro"}, 409,
                       "conflict", "body.subscription"),
    "no change": ("POST", "/subscriptions/s1/change", {}, 422, "invalid-request", "body.plan"),
    "an unknown subscription": ("POST", "/subscriptions/s11/end", {}, 404, "not-found", None),
    **{
        f"{verb} before the start": ("POST", f"/subscriptions/s1/{verb}", body | {"on": "2020-01-01"}, 422,
                                     "invalid-request", "body.on")
        for verb, body in (("change", {"plan": "basic"}), ("pause", {}), ("resume", {}), ("end", {}))
    },
    "a subscription that is not paused": ("POST", "/subscriptions/s1/resume", {}, 409, "conflict", "path.key"),
    "an unknown invoice": ("POST", "/invoices/nothing/void", {"reason": "x"}, 404, "not-found", None),
    "a payment of no invoice": ("POST", "/payments", {"invoice": "nothing", "amount": "1", "currency": "USD"}, 422,
                                "invalid-request", "body.invoice"),
    "a payment in another currency": ("POST", "/payments", {"invoice": "acme-000001", "amount": "1", "currency": "EUR"},
                                      422, "invalid-request", "body.currency"),
    "a payment of parts of a cent": ("POST", "/payments",
                                     {"invoice": "acme-000001", "amount": "1.005", "currency": "USD"}, 422,
                                     "invalid-request", "body.amount"),
    "a credit note above its invoice": ("POST", "/credit-notes", {"invoice": "acme-000001", "amount": "5000",
                                        "reason": "x"}, 422, "invalid-request", "body.amount"),
    "a credit note of no invoice": ("POST", "/credit-notes", {"invoice": "birch-000001", "amount": "5", "reason": "x"},
                                    422, "invalid-request", "body.invoice"),
    "a payment of no kind": ("POST", "/payments", {"type": "lost", "invoice": "x", "amount": "1", "currency": "USD"},
                             422, "invalid-request", "body.type"),
    "less than nothing": ("POST", "/wallets", {"type": "granted", "customer": "c1", "wallet": "w", "amount": "-1",
                          "currency": "USD"}, 422, "invalid-request", "body.amount"),
}  # fmt: skip
"""By the mistake: method, path, body, status, type of the problem, and the place that it names."""

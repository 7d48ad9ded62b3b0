"""What is generated of the clients is what today's OpenAPI document gives."""

from __future__ import annotations

from serving_api.operation_names import operation_name
from tests.client_code.document import METHODS, document
from tests.client_code.files import FOLDERS, ROOT, files


def test_the_committed_code_is_generated_from_todays_document() -> None:
    generated = files()
    there = {
        path: path.read_text(encoding="utf-8")
        for folder in FOLDERS
        for path in folder.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    stale = [str(path.relative_to(ROOT)) for path in {**generated, **there} if generated.get(path) != there.get(path)]
    assert stale == [], "routes or their shapes have changed: run `make clients` and commit what it writes"


def test_operations_are_named_after_method_and_path() -> None:
    assert [operation_name(*one.split()) for one in NAMES] == list(NAMES.values())
    names = [
        item[method]["operationId"] for item in document()["paths"].values() for method in METHODS if method in item
    ]
    assert len(set(names)) == len(names)


NAMES = {
    "GET /v1/invoices": "get_invoices",
    "GET /v1/invoices/{number}": "get_invoice",
    "POST /v1/subscriptions/{key}/change": "post_subscription_change",
    "GET /v1/library/{name}": "get_library_by_name",
    "GET /v1/events/{source}/{id}": "get_event",
    "GET /v1/webhook-deliveries/{id}": "get_webhook_delivery",
    "GET /v1/.well-known/jwks.json": "get_well_known_jwks_json",
}

"""The TypeScript client: its types, and its own tests by the runner of Node."""

from __future__ import annotations

from tests.support.node import ROOT, installed, run_node, run_package

CLIENT = ROOT / "clients" / "typescript"
TESTS = ROOT / "tests" / "clients" / "typescript"


def test_the_client_and_what_uses_it_are_typed_strictly() -> None:
    assert run_package("tsc", "--project", "tsconfig.tests.json", folder=CLIENT) == ""


def test_sessions_retries_problems_pages_and_the_sender_do_what_they_say() -> None:
    files = sorted(TESTS.glob("*.test.mts"))
    report = run_node("--test", "--test-reporter=tap", *files, folder=installed(CLIENT))
    assert "\n# fail 0\n" in report
    assert "\n# pass 0\n" not in report

from __future__ import annotations

import io
import json
import subprocess
import sys
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from valueverse.commands.calculators.ndjson import LONGEST_LINE, read_document, run_calculator
from valueverse.errors import RefusalError
from valueverse.services.calculators import invoice

if TYPE_CHECKING:
    from pathlib import Path


def echo(documents: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{"keys": sorted(document)} for document in documents]


def run(tmp_path: Path, content: bytes) -> tuple[int, list[str]]:
    file, out = tmp_path / "in.ndjson", io.StringIO()
    file.write_bytes(content)
    code = run_calculator(echo, file, out)
    return code, out.getvalue().splitlines()


def code_of(line: str | bytes) -> str:
    with pytest.raises(RefusalError) as caught:
        read_document(line)
    return caught.value.code


@pytest.mark.parametrize(
    "written",
    [
        "1.50",
        "1E5",
        "-0",
        "12345678901234567890",
        '"a"',
        "null",
        "true",
        '[1.0,{"k":2e3}]',
        '"\\ud800"',
        '"é"',
    ],
)
def test_the_id_comes_back_as_it_was_written(tmp_path: Path, written: str) -> None:
    code, lines = run(tmp_path, f'{{"id":{written}}}\n'.encode())
    assert (code, lines) == (0, [f'{{"id":{written},"keys":["id"]}}'])


@pytest.mark.parametrize(
    "bad",
    [
        b'{"id":"\xff\xfe"}',
        b"[1]",
        b"nonsense",
        b'{"a":NaN}',
        b'{"a":-Infinity}',
        b'{"a":1,"a":2}',
        b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
        b'{"a":' + b"[" * 100_000,
        b'{"a":1} {"b":2}',
    ],
)
def test_a_bad_line_is_answered_and_the_next_one_is_read(tmp_path: Path, bad: bytes) -> None:
    code, lines = run(tmp_path, bad + b'\n{"id":2}\n')
    first, second = (json.loads(line) for line in lines)
    assert code == 1
    assert (first["id"], first["error"]["code"]) == (None, "malformed")
    assert second == {"id": 2, "keys": ["id"]}


def test_a_line_without_end_is_refused_without_being_stored(tmp_path: Path) -> None:
    code, lines = run(tmp_path, b'{"a":"' + b"x" * (LONGEST_LINE + 10) + b'"}\n{"id":2}')
    assert code == 1
    assert [json.loads(line).get("error", {}).get("code") for line in lines] == ["malformed", None]


def test_a_number_beyond_15_digits_must_be_a_string_and_the_refusal_says_where() -> None:
    with pytest.raises(RefusalError) as caught:
        read_document('{"a":{"b":[1,0.1234567890123456]}}')
    assert (caught.value.code, caught.value.path) == ("inexact_number", "a.b[1]")
    assert read_document('{"a":0.00123456789012345}')


def test_brackets_inside_text_do_not_count_as_depth() -> None:
    assert read_document(json.dumps({"a": "[{" * 500 + '"'}))


def test_blank_lines_carriage_returns_and_a_missing_last_newline_are_taken(tmp_path: Path) -> None:
    assert run(tmp_path, b'\n \r\n{"id":1}\r\n{"id":2}')[1] == [
        '{"id":1,"keys":["id"]}',
        '{"id":2,"keys":["id"]}',
    ]


def test_a_missing_file_is_refused_in_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(RefusalError, match="No such file") as caught:
        run_calculator(echo, tmp_path / "absent.ndjson", io.StringIO())
    assert caught.value.code == "unreadable_file"


def test_a_caller_that_waits_for_each_answer_gets_it_before_the_next_line() -> None:
    line = b'{"id":1,"price":{"model":"standard","unit":"2"},"quantity":"3"}\n'
    command = [sys.executable, "-m", "valueverse", "price"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        for _ in range(2):
            process.stdin.write(line)
            process.stdin.flush()
            assert json.loads(process.stdout.readline())["amount"] == "6"
        process.stdin.close()
    assert process.returncode == 0


def test_a_number_with_an_endless_exponent_is_judged_where_it_stands_and_not_as_a_broken_line() -> None:
    document = read_document(b'{"a":1e9999999999999999999,"b":-2E-99999}')
    assert document == {"a": Decimal("1e9999"), "b": Decimal("-2e-9999")}


def test_a_line_with_several_mistakes_answers_the_first_as_error_and_all_as_problems(tmp_path: Path) -> None:
    lines = tmp_path / "lines.ndjson"
    lines.write_text('{"id":1,"lines":[{"key":"a","amuont":"1"}],"currency":"EUX"}\n{"id":2,"lines":3}\n')
    out = io.StringIO()
    assert run_calculator(invoice.answer, lines, out) == 1
    first, second = (json.loads(line) for line in out.getvalue().splitlines())
    assert first["error"]["code"] == "unknown_currency"
    assert [(one["path"], one["code"], one["suggestion"]) for one in first["problems"]] == [
        ("currency", "unknown_currency", None),
        ("lines[0].amuont", "unknown_field", "amount"),
        ("lines[0].amount", "missing_field", None),
    ]
    assert second == {"id": 2, "error": second["error"]}

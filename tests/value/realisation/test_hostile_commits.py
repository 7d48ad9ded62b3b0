"""Whatever a model says and whatever is measured: it is refused with a reason, or every number of it is a number."""

from __future__ import annotations

import hashlib
import math
import os
import random
from collections import Counter
from datetime import date

import rfc8785

from tests.support.effort import at_most
from tests.support.hostile_models import actuals, models
from valueverse.documents import DocumentError
from valueverse.errors import RefusalError
from valueverse.value.architect.compiler.program import compile_model
from valueverse.value.architect.document.canonical import canonical_tree
from valueverse.value.architect.document.parsing import parse_model
from valueverse.value.committer.baseline import agreed_start, baseline_of
from valueverse.value.committer.commits import Frozen
from valueverse.value.realisation.case_runs import Commitment, run_cases

MODELS = int(os.environ.get("VALUEVERSE_HOSTILE_MODELS", "400"))
MONTHS = (date(2024, 1, 1), date(2024, 3, 1), date(2024, 12, 1))


def ran(text: str, rng: random.Random) -> str:
    """Commit a model from January 2024 and measure it: ``ran``, or ``no period`` where it has none in these months.

    Raises:
        DocumentError, RefusalError: with the reason.
    """
    model = parse_model(text)
    program = compile_model(model)
    start = agreed_start(program, "2024-01-01") or program.axis.start
    base = baseline_of(program, actuals(rng), "base", start)
    frozen = Frozen(
        canonical_tree(model), "base", base.values, None, 1, "ann", start=start, expected=base.expected,
        snapshot=base.snapshot,
    )  # fmt: skip
    commitment = Commitment.read("c", frozen.canonical())
    months = [month for month in MONTHS if commitment.period_of(month) is not None]
    for month in months:
        for one in run_cases(commitment, actuals(rng), month):
            assert all(math.isfinite(value) for value in one.values.values()), text
            assert hashlib.sha256(rfc8785.dumps(one.document)).hexdigest() == one.content_hash
    return "ran" if months else "no period"


def tried(text: str, rng: random.Random) -> str:
    """What becomes of a model: the code of its refusal, else as ``ran`` says."""
    try:
        return ran(text, rng)
    except DocumentError as error:
        problems, messages = error.problems, [problem.message for problem in error.problems]
        code = problems[0].code if problems else ""
    except RefusalError as refusal:
        code, messages = refusal.code, [refusal.message]
    assert code
    assert all(messages)
    return code


def test_every_hostile_model_is_refused_with_a_reason_or_has_numbers_for_results() -> None:
    outcomes: dict[str, Counter[str]] = {}
    rng = random.Random(3)
    with at_most(2_000):
        for model in models(MODELS):
            outcomes.setdefault(model.kind, Counter())[tried(model.text, rng)] += 1
    assert outcomes["plain"]["ran"] > 0
    assert sum(found["ran"] for found in outcomes.values()) > MODELS / 20
    assert not outcomes["cycle"]["ran"]
    assert not outcomes["number"]["ran"] or outcomes["number"].total() > outcomes["number"]["ran"]

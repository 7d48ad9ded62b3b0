"""What JSON Schema can say of parts of a model document whose validators read them by hand."""

from __future__ import annotations

from typing import Any

from valueverse.documents import REAL_DAY
from valueverse.value.architect.document.distributions import OPTIONS, PARAMETERS
from valueverse.value.architect.document.numbers import AMOUNT_SCHEMA, LARGEST, NUMBER_SCHEMA

MAX_NAMES = 5_000
DURATION_PATTERN = "([1-9][0-9]{0,3}) *(day|week|month|quarter|year)s?"
OUTPUT_SCHEMA = {
    "description": "Names, or mappings such as {percentiles: [5, 50, 95]}; see docs/value-models.md.",
    "anyOf": [
        {
            "type": "array",
            "maxItems": MAX_NAMES,
            "items": {"anyOf": [{"type": "string", "minLength": 1}, {"type": "object", "minProperties": 1}]},
        },
        {"type": "object"},
    ],
}
DURATION_SCHEMA = {"type": "string", "pattern": f"^{DURATION_PATTERN}$"}


def _parameters_schema(family: str) -> dict[str, Any]:
    """Parameters of a family: its names in order, or a mapping by these names; lists of numbers for samples."""
    names = PARAMETERS[family]
    if "values" in names:
        return {"type": ["array", "object"]}
    mappings = [names, ("mean", "sd")] if family == "lognormal" else [names]
    return {
        "anyOf": [
            {"type": "array", "minItems": len(names), "maxItems": len(names), "items": NUMBER_SCHEMA},
            *(
                {
                    "type": "object",
                    "properties": dict.fromkeys(mapping, NUMBER_SCHEMA),
                    "required": [*mapping],
                    "additionalProperties": False,
                }
                for mapping in mappings
            ),
        ]
    }


DIST_SCHEMA = {
    "type": "object",
    "description": "One family with its parameters, and clip: [low, high].",
    "properties": {
        **{family: _parameters_schema(family) for family in PARAMETERS},
        **{name: {} for name in sorted({one for two in OPTIONS.values() for one in two})},
        "clip": {
            "anyOf": [
                {
                    "type": "array",
                    "minItems": 2,
                    "maxItems": 2,
                    "items": {"anyOf": [*NUMBER_SCHEMA["anyOf"], {"type": "null"}]},
                },
                {"type": "null"},
            ]
        },
    },
    "oneOf": [
        {"required": [family], "propertyNames": {"enum": [family, "clip", *OPTIONS.get(family, ())]}}
        for family in PARAMETERS
    ],
}
MISSING_SCHEMA = {
    "anyOf": [
        {"enum": ["error", "zero", "carry_forward"]},
        *(
            {"type": "object", "required": [name], "additionalProperties": False, "properties": {name: schema}}
            for name, schema in (("carry_forward", DURATION_SCHEMA), ("default", NUMBER_SCHEMA))
        ),
    ]
}
EXPRESSION_SCHEMA = {"type": ["number", "string"], "pattern": "[^ \\t\\r\\n]", "maxLength": 4096}
START_SCHEMA = {
    "type": "string",
    "pattern": f"^(commit[.]start|(?!0000)({REAL_DAY}|[0-9]{{4}}-(0[1-9]|1[0-2])))$",
}
FEE_SCHEMA = {"anyOf": [{"type": "number", "minimum": 0, "maximum": LARGEST}, AMOUNT_SCHEMA["anyOf"][1]]}
RHO_SCHEMA = {"anyOf": [{"type": "number", "exclusiveMinimum": -1, "exclusiveMaximum": 1}, NUMBER_SCHEMA["anyOf"][1]]}
FLAG_SCHEMA = {
    "anyOf": [
        {"type": "boolean"},
        {"enum": [0, 1]},
        {
            "type": "string",
            "pattern": "^([01]|[tTyYfFnN]|[tT][rR][uU][eE]|[fF][aA][lL][sS][eE]|[yY][eE][sS]|[nN][oO]|"
            "[oO][nN]|[oO][fF][fF])$",
        },
    ]
}
"""True and false, also as words and numbers."""
UNIT_SCHEMA = {"anyOf": [{"type": "string", "pattern": "[A-Za-z_1]", "maxLength": 4096}, {"const": 1}]}

"""The intermediate form a model is compiled to: everything checked, ordered and in one unit of time.

Nothing in it is text to be parsed again. Every sequence has a fixed order, so that whoever adds up in that order
arrives at the same bits.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping
    from decimal import Decimal

    from valueverse.value.architect.language.expressions import Expression
    from valueverse.value.architect.language.units import Unit

Grain = Literal["day", "week", "month", "quarter", "year"]
PERIODS_PER_YEAR: Mapping[Grain, int] = {"day": 365, "week": 52, "month": 12, "quarter": 4, "year": 1}


@dataclass(frozen=True, slots=True)
class Discount:
    """What a year takes off a later payment.

    Attributes:
        rate: annual fraction: 0.1 is 10 %.
        compounding: how a period's rate comes from it: ``effective`` (1 + rate) ^ (1 / n) - 1, ``nominal`` rate / n,
            ``continuous`` exp(rate / n) - 1, for n periods per year.
        timing: period t is discounted by t periods (``end``), t - 1 (``begin``) or t - 1/2 (``mid``).
    """

    rate: float = 0.0
    compounding: Literal["effective", "nominal", "continuous"] = "effective"
    timing: Literal["end", "begin", "mid"] = "end"


@dataclass(frozen=True, slots=True)
class Axis:
    """Periods 1..``periods`` of one ``grain``.

    Attributes:
        grain: length of a period.
        periods: how many.
        start: first day, YYYY-MM-DD (first of its month, quarter ... is not asked for); None: the commit's start.
        discount: see ``Discount``.
        periods_per_year: of the grain (365, 52, 12, 4, 1), for discounting and decay.
    """

    grain: Grain
    periods: int
    start: str | None
    discount: Discount
    periods_per_year: int


@dataclass(frozen=True, slots=True)
class Distribution:
    """An uncertain number, reduced to few families.

    Attributes:
        family: with its ``parameters``: ``uniform`` (low, high); ``normal`` (mean, standard deviation);
            ``lognormal`` (mu, sigma: mean and standard deviation of its logarithm); ``triangular`` (low, mode, high);
            ``beta`` (alpha, beta, low, high: a PERT is one); ``discrete`` (its values, ascending, distinct);
            ``empirical`` (the sample, ascending, at least two distinct values).
        weights: of ``discrete``: the probability of each value, above 0, adding up to 1; else empty.
        clip: a draw outside is moved to the nearer bound; None: open on that side.
        written: the family as the document says it (``pert``, ``interval90``).
    """

    family: Literal["uniform", "normal", "lognormal", "triangular", "beta", "discrete", "empirical"]
    parameters: tuple[float, ...]
    weights: tuple[float, ...] = ()
    clip: tuple[float | None, float | None] = (None, None)
    written: str = ""


@dataclass(frozen=True, slots=True)
class Binding:
    """An input measured rather than assumed.

    Attributes:
        metric: ``usage.<meter>``, ``billing.invoiced_net`` or another metric.
        aggregation: of the rows inside one period.
        window: how many periods before the axis' start make up the value; None: each period its own.
        window_text: as written, ``"3 months"``.
        frozen: ``baseline``: one value, fixed when the commit becomes active; None: a series, one value per period.
    """

    metric: str
    aggregation: Literal["sum", "mean", "min", "max", "first", "last", "count"]
    window: int | None = None
    window_text: str | None = None
    frozen: Literal["baseline"] | None = None


@dataclass(frozen=True, slots=True)
class Missing:
    """What stands in for a value that is not there; all but ``error`` flag every output they reach.

    Attributes:
        policy: ``error`` refuses the run; ``carry_forward`` takes the last value known; ``default`` takes ``value``;
            ``zero`` takes 0.
        value: of ``default``, in the input's unit.
        most: of ``carry_forward``: for how many periods in a row; None: without end.
    """

    policy: Literal["error", "carry_forward", "default", "zero"] = "error"
    value: float | None = None
    most: int | None = None


Series = tuple[float, ...]
"""One number per period."""
Source = float | Series | Distribution | Binding
"""Where an input's value comes from: a constant, one number per period, a distribution, a metric."""


@dataclass(frozen=True, slots=True)
class Input:
    """An input in ``unit``; a name is one dimension of the draws in every scenario and for every customer."""

    name: str
    unit: Unit | None
    source: Source
    missing: Missing = field(default_factory=Missing)


@dataclass(frozen=True, slots=True)
class Correlation:
    """Gaussian copula over ``names`` (ascending): ``matrix`` is symmetric, positive definite, 1 on its diagonal."""

    names: tuple[str, ...]
    matrix: tuple[tuple[float, ...], ...]


@dataclass(frozen=True, slots=True)
class Node:
    """One value per period.

    Attributes:
        name: a variable's name; ``driver.<key>`` and ``cost.<key>`` hold the money of one period before risk,
            attribution and decay; ``<name>~<n>`` is a part that ``prev`` or ``cumsum`` looks at.
        kind: what it came from.
        unit: of its values; of drivers and costs the model's currency. None: a bare number.
        expression: over inputs and nodes.
        text: as the author wrote it.
        inputs: every input it depends on, through whatever.
        depends: names of the inputs and nodes it reads itself, lagged ones included.
        varies_in_time: may differ from period to period.
        varies_by_draw: depends on an input that is a distribution, in the model or in any scenario.
        recurrent: part of a loop through ``prev``: its periods are computed one after the other.
    """

    name: str
    kind: Literal["variable", "driver", "cost", "part"]
    unit: Unit | None
    expression: Expression
    text: str
    inputs: frozenset[str]
    depends: tuple[str, ...]
    varies_in_time: bool
    varies_by_draw: bool
    recurrent: bool


@dataclass(frozen=True, slots=True)
class Component:
    """Nodes computed together, in this order within a period; one node, unless ``recurrent``."""

    names: tuple[str, ...]
    recurrent: bool


@dataclass(frozen=True, slots=True)
class Driver:
    """A benefit: node x (1 - risk) x attribution x (1 - decay) ^ ((t - 1) / periods_per_year) in period t."""

    name: str
    node: str
    kind: str
    risk: float = 0.0
    attribution: float = 1.0
    decay: float = 0.0


@dataclass(frozen=True, slots=True)
class Cost:
    """A cost, x (1 + risk).

    Attributes:
        name: its key.
        node: the node that holds the money of one period.
        risk: fraction it may rise by.
        at: the one period it falls in; 0 is before the first, undiscounted, with the value the node has in the first;
            None: every period.
    """

    name: str
    node: str
    risk: float = 0.0
    at: int | None = None


@dataclass(frozen=True, slots=True)
class Scenario:
    """Inputs that differ; the rest stays as in the model."""

    name: str
    overrides: Mapping[str, Source]


@dataclass(frozen=True, slots=True)
class Target:
    """A number asked for.

    Attributes:
        name: as written: ``npv``, ``avoided``, ``deflection``.
        kind: ``metric`` (one of METRICS) or what the name is.
        node: the node or input that carries it; None for a metric. Its last period is what statistics are made of.
        statistics: of mean, variance, percentiles, tornado, sobol, as asked for by name.
    """

    name: str
    kind: Literal["metric", "variable", "input", "driver", "cost"]
    node: str | None
    statistics: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Probability:
    """A statement whose share of true draws is asked for: ``npv > 0``.

    ``condition`` is a boolean over references to metrics and to the names a ``Target`` may have; ``names`` are those.
    """

    text: str
    condition: Expression
    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Outputs:
    """What a run reports.

    Attributes:
        targets: in the order asked for, each name once.
        percentiles: of every target with the statistic ``percentiles``; 0..100, ascending.
        probabilities: statements.
        tornado: names of targets to take one input at a time; ``sobol``: to split the variance of.
    """

    targets: tuple[Target, ...]
    percentiles: tuple[float, ...]
    probabilities: tuple[Probability, ...]
    tornado: tuple[str, ...]
    sobol: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Limit:
    """A floor or cap: ``amount`` of the model's currency per ``per``, accruing pro rata."""

    amount: Decimal
    per: Literal["day", "week", "month", "quarter", "year"]


@dataclass(frozen=True, slots=True)
class Pricing:
    """The outcome fee (value-models.md, Executor).

    Attributes:
        case: ``realised`` or another case of the same model.
        output: a driver's key, a variable or a metric such as ``total_benefit``.
        share: fraction of the value.
        floor, cap: or None.
        period: what one fee is for.
        true_up: ``cumulative`` (over all periods so far) or ``none``.
        dispute_days: until a proposal counts as accepted.
        refund: whether a true-up may be negative.
    """

    case: str
    output: str
    share: Decimal
    floor: Limit | None
    cap: Limit | None
    period: Grain
    true_up: Literal["cumulative", "none"]
    dispute_days: int
    refund: bool


@dataclass(frozen=True, slots=True)
class Program:
    """A compiled model.

    Attributes:
        model: its name.
        content_hash: of the document.
        currency: of drivers, costs and metrics; None where a model has neither.
        axis: the periods.
        inputs: ascending by name. The order in a file means nothing here: models with one hash are one program.
        correlations: one per group of inputs that are connected; empty: all independent.
        nodes: each after all that it reads in the same period (a lagged one may stand later in its component).
        components: the same nodes in the same order, as groups.
        drivers, costs: ascending by name; sums over them run in this order.
        scenarios: ascending by name; at least ``base``, which comes first where it is not written.
        outputs: what is asked for.
        pricing: None: no fee.
    """

    model: str
    content_hash: str
    currency: str | None
    axis: Axis
    inputs: tuple[Input, ...]
    correlations: tuple[Correlation, ...]
    nodes: tuple[Node, ...]
    components: tuple[Component, ...]
    drivers: tuple[Driver, ...]
    costs: tuple[Cost, ...]
    scenarios: tuple[Scenario, ...]
    outputs: Outputs
    pricing: Pricing | None

    def input(self, name: str) -> Input:
        """The input of that name.

        Raises:
            KeyError: there is none.
        """
        for found in self.inputs:
            if found.name == name:
                return found
        raise KeyError(name)

    def node(self, name: str) -> Node:
        """The node of that name.

        Raises:
            KeyError: there is none.
        """
        for found in self.nodes:
            if found.name == name:
                return found
        raise KeyError(name)

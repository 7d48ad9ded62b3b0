"""Results of a value model as one page that a customer can read: text, tables and charts in a single HTML file."""

from valueverse.value.report.audience import INTERNAL_COLUMNS, Audience, Withheld, withheld
from valueverse.value.report.charts import Bar, Chart, build_bar_chart
from valueverse.value.report.commit_page import CommitChange, CommitReport, MeasuredRun, build_commit_page
from valueverse.value.report.economics import CustomerMonth, FeeProposal
from valueverse.value.report.formatting import printable
from valueverse.value.report.page import Brand, Cell, Code, Facts, Headline, Page, Section, Table, render_page
from valueverse.value.report.run_page import build_run_page

__all__ = [
    "INTERNAL_COLUMNS",
    "Audience",
    "Bar",
    "Brand",
    "Cell",
    "Chart",
    "Code",
    "CommitChange",
    "CommitReport",
    "CustomerMonth",
    "Facts",
    "FeeProposal",
    "Headline",
    "MeasuredRun",
    "Page",
    "Section",
    "Table",
    "Withheld",
    "build_bar_chart",
    "build_commit_page",
    "build_run_page",
    "printable",
    "render_page",
    "withheld",
]

"""What is materialised: Dagster assets and their checks; the numbers are computed in ``valueverse``."""

import warnings

import dagster as dg

# Every start would write them to the log: what is beta in Dagster is used at the version that is locked.
warnings.filterwarnings("ignore", category=dg.BetaWarning)

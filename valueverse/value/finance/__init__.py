"""Finance functions, each with its convention stated (docs/finance.md). Rates and results are floats, money is not."""

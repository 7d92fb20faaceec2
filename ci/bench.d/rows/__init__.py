"""Each file measures one row of the table. Its function `measure(quick)` yields the figures."""

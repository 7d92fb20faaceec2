"""One file a row of the table: each has `measure(quick)`, which gives back figures."""

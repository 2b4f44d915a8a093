"""One row of the table each: how it is measured, on whom, and what is to be reached."""

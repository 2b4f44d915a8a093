"""The pages in a real browser, with what real workers did."""

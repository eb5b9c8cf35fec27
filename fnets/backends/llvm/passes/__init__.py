"""What is done to a jaxpr before it is grouped, one pass a file; `prepare` runs them."""

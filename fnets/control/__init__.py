"""Higher-order primitives: loops, branches, functions with their own rules, rematerialisation. Each sits above the transformations it uses."""

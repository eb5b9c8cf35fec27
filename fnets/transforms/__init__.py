"""The transformations: functions of functions. Each file holds one, its tracer and its trace."""

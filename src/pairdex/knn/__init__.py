"""Which k rows are nearest, exactly."""

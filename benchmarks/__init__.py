"""What a rotation costs, beside what it must cost: counts, and ratios to a floor measured in the same run."""

"""Metrics: each a pure function of one pair (or batch of pairs) and an accumulator of sums and counts."""

"""Whole slides to learn from: prepare.py writes what index.py reads, sampler.py draws places, batches.py patches."""

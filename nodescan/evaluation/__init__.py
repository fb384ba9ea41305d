"""Scores against a reference: slide AUC, lesion FROC, stages and sizes, each with a bootstrap interval."""

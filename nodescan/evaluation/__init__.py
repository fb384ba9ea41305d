"""Scores against a reference: slide AUC, lesion FROC, stages and sizes, each with a bootstrap interval."""

EVALUATION = "evaluation"
"""The folder inside a run's that an evaluation of the run lies in, if no other is asked for."""

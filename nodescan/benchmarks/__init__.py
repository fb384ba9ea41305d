"""Measurements of speed, memory and precision: each target of the design printed by a command."""

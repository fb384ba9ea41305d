"""Fits a network: lightning_cli.py is the command, module.py the lesson; export.py makes a model of a checkpoint."""

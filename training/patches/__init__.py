"""Labelled patches to learn from: labelled.py reads them, mosaics.py lays out tiles, datamodule.py makes batches."""

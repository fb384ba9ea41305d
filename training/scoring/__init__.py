"""A model's answers against labels: patches.py for labelled patches, masks.py for outlined pictures."""

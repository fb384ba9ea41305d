"""What is said of a model: model_card.py writes MODEL_CARD.md, ablation.py compares ways to train."""

"""What a card holds beside weights: card.py tells it in order; rules.py chooses thresholds on known_slides.py."""

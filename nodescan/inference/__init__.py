"""The only rooms that know torch: cards, networks, devices, and the predictor that answers tiles."""

"""What a pathologist would recognise: units, geometry, deposits, classes, reports; numpy and scipy only."""

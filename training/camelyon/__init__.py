"""The public CAMELYON data: manifest.py says what is known of each slide, download.py fetches slides and outlines."""

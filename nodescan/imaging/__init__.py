"""From pixels and maps to tissue, ink, outlines and deposits: arrays in, arrays out; no file, no network."""

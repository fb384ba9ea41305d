"""Slides on a Dask cluster: the driver's side, and the code that its workers run. Imported only if a cluster is
used."""

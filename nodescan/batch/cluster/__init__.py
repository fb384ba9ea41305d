"""Slides on a Dask cluster: the driver's side, and what its workers run. Imported only where one is asked for."""

"""Many slides, one run. Begin with run.py, the whole run, and slide_task.py, one slide of it.

executors.py hands slides to workers (workers.py in the run's process, worker_process.py in the worker), and cluster/ to
the machines of a Dask cluster. lock.py, resume.py and record.py keep an output folder in order. progress.py and
viewers.py show how the run advances.
"""

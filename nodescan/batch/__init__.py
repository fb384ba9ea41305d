"""Many slides, one run: run.py begins it and says what it is made of; slide_task.py is one slide of it.

executors.py hands slides to workers (workers.py here, worker_process.py there), cluster/ to the machines of a Dask
cluster. lock.py, resume.py and record.py keep an output folder in order; progress.py and viewers.py tell.
"""

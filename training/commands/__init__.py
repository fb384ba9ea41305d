"""The commands of python -m training. Read app.py first; each of the others adds the commands of its kind."""

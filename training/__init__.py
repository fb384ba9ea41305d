"""Trains nodescan's networks; imports nodescan, never the reverse."""

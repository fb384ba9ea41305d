"""From slide reports to patients: the manifest's grouping, a reader's corrections, pN, and the files that say it."""

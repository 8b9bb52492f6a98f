"""What a person reads at the end: the table, what was trained, transcripts, the best model."""

"""Clips made different without making their transcripts wrong: noise, rooms, telephones, speeds."""

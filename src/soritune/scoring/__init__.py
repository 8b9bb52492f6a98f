"""Scores that say how they were made: error rates, BLEU, chrF, each with its interval."""

"""Demo speech: sentences from a grammar, spoken by espeak-ng. All of it is synthetic."""

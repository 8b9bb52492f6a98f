"""Models for others: merged, blended, and written in the layouts that other programs read."""

"""A recipe from start to end; what is done already is not done again."""

"""A trained learner names images: classification from a few examples, rejection of unknown classes, confusion."""

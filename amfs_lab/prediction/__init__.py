"""Predictions of a trained learner: classification from a few examples, rejection of unknown classes, confusion."""

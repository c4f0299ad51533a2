"""Predictions of a trained learner: classification, rejection of unknown classes, confusion matrices."""

"""Tests of the learner's way through the labs."""

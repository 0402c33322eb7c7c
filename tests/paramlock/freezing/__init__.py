"""Tests of freezes and their proof."""

"""Tests of the sandbox, by hostile answers."""

"""Tests of the certificate against what was declared."""

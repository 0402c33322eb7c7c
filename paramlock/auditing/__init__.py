"""Certificates against what was declared: an assertion, a report, and a command for a CI."""

"""The tests: one folder a room, and in this one those of the whole project."""

from pathlib import Path

ROOT = Path(__file__).parent.parent

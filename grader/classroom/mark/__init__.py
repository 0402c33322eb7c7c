"""Run and judge the answers of a hand-in."""

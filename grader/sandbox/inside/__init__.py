"""The part of the sandbox that runs inside, where it is a package of its own called `inside`.

It uses what the edition that it stands beside has of `grader`, and its own modules by relative
imports.
"""

"""The course as a site to read: without Python, without a network, and without answers.

`pages` says which pages there are, `prose` and `cells` what stands on each, `building` writes them.
"""

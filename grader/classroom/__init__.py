"""Grade many submissions: collect them, run their answers, judge, record, tell the students.

A *hand-in* is one file of one student. A hand-in is *graded* once for each *version* of its lab and
each *content*; the result is a row for the submission and a row for each of its exercises in the
*gradebook*. An *engine* harvests and runs answers, on this machine or on a cluster, and is believed
in nothing but the evidence it brings; judging and recording are done here.
"""

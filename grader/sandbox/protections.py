"""What answers are kept from, in words for people. `inside.probes` tries each by its name."""

PROTECTIONS = {
    "files": "Nothing of this machine is visible but Python, its libraries and the edition, and "
    "all of it is read-only.",
    "network": "There is no network, this machine's own included, and no socket of any family.",
    "processes": "An answer sees and reaches its own processes only.",
    "privileges": "It has no privileges and no way to new ones.",
    "system calls": "The kernel refuses it the system calls that no answer needs.",
    "memory": "Its memory is limited, all its processes taken together.",
    "process count": "So is the number of its processes and threads.",
    "temporary space": "So are the files it writes, in a space of its own.",
    "fresh start": "Nothing that an answer leaves is there for the next one.",
    "descendants": "All its processes are gone when it ends, however they were started.",
    "time": "Time is limited, whatever it does about signals.",
}

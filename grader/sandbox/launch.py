"""Run as root: show a command some folders elsewhere, become nobody, and turn into the command.

    python -I -S launch.py STAGE USER SOURCE… -- COMMAND…

Folders under root's home are closed to others, and a sandbox set up by root itself is weaker: the
kernel does not count root's processes. So each source is mounted at STAGE/0, STAGE/1, … in a mount
namespace of this process, which is then given to an ordinary user. Standard library only.
"""

from __future__ import annotations

import os
import sys


def main(arguments: list[str]) -> None:
    from inside.linux import BIND, NEW_MOUNTS, NODEV, NOSUID, PRIVATE, RECURSIVE, mount, unshare

    stage, user = arguments[0], int(arguments[1])
    divide = arguments.index("--")
    unshare(NEW_MOUNTS)
    mount("", "/", flags=RECURSIVE | PRIVATE)
    mount("tmpfs", stage, "tmpfs", NOSUID | NODEV, "mode=711")
    for place, source in enumerate(arguments[2:divide]):
        target = os.path.join(stage, str(place))
        if os.path.isdir(source):
            os.mkdir(target)
        else:
            open(target, "w").close()
        mount(source, target, flags=BIND | RECURSIVE)
    os.setgroups([])
    os.setresgid(user, user, user)
    os.setresuid(user, user, user)
    command = arguments[divide + 1 :]
    os.execv(command[0], command)


if __name__ == "__main__":
    sys.path.insert(0, os.path.dirname(__file__))
    main(sys.argv[1:])

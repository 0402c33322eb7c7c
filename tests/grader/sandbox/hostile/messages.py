"""Answers that write the reply themselves, through the descriptor they find open."""

from tests.grader.sandbox.hostile import Hostile, body, whole

FIND_REPLY = '''
import os, stat, struct, sys
import msgspec

def replies():
    """Every descriptor that can be written to, the standard ones left out."""
    for number in range(3, 64):
        try:
            if stat.S_ISFIFO(os.fstat(number).st_mode):
                yield number
        except OSError:
            pass

def write(*pieces):
    for number in replies():
        for piece in pieces:
            os.write(number, piece)

def frame(body):
    return struct.pack(">I", len(body)) + body

def pack(value):
    return msgspec.msgpack.encode(value)

def cases():
    """What the request calls its cases."""
    frame = sys._getframe()
    while "challenge" not in frame.f_locals:
        frame = frame.f_back
    return list(frame.f_locals["challenge"])

def reply(evidence):
    """What a true reply with this evidence, already packed, in every case looks like."""
    seen = b"\\x82" + pack("type") + pack("Seen") + pack("evidence") + evidence
    count = b"\\xde" + struct.pack(">H", len(cases()))
    whole = count + b"".join(pack(case) + seen for case in cases())
    return frame(b"\\x81" + pack("observations") + whole)

'''


def sent(aim: str, ends: str, pieces: str) -> Hostile:
    """An answer that sends these pieces in place of a reply and ends as if all were well."""
    source = f"def trainable_fraction(model):\n    write({pieces})\n    os._exit(0)\n"
    return Hostile(aim, ends, FIND_REPLY + source)


HOSTILE = [
    sent("sends garbage", "Garbled", "os.urandom(5000)"),
    sent("sends a pickle", "Garbled", "frame(__import__('pickle').dumps(os.getcwd))"),
    sent("announces four gigabytes", "Garbled", 'b"\\xff\\xff\\xff\\xff" + b"x" * 1000'),
    sent("announces less than it sends", "Garbled", 'struct.pack(">I", 3) + b"x" * 1000'),
    sent("sends nothing", "Ended", ""),
    sent("sends half a message", "Garbled", "reply(pack(1.0))[:-5]"),
    sent("sends two messages", "Garbled", "reply(pack(1.0)), reply(pack(1.0))"),
    sent("sends 10,000 nested lists", "Garbled", 'reply(b"\\x91" * 10_000 + b"\\xc0")'),
    sent("sends 100 nested lists", "Garbled", 'reply(b"\\x91" * 100 + b"\\xc0")'),
    sent("sends keys that are numbers", "Garbled", "reply(pack({1: 1.0}))"),
    sent("sends bytes as evidence", "Garbled", 'reply(pack(b"bytes"))'),
    sent("sends a time as evidence", "Garbled", "reply(pack(msgspec.msgpack.Ext(-1, b'0000')))"),
    sent(
        "sends an array of Python objects",
        "Garbled",
        "reply(pack(msgspec.msgpack.Ext(1, pack(('object', [1], b'x' * 8)))))",
    ),
    sent(
        "sends an array larger than its bytes",
        "Garbled",
        "reply(pack(msgspec.msgpack.Ext(1, pack(('float64', [2**40], b'x' * 8)))))",
    ),
    sent(
        "sends an array of a negative size",
        "Garbled",
        "reply(pack(msgspec.msgpack.Ext(1, pack(('float64', [-3, -1], b'x' * 24)))))",
    ),
    sent("sends a text that is none", "Garbled", 'reply(b"\\xa3\\xff\\xfe\\xfd")'),
    sent("sends a number that no float holds", "Seen", 'reply(pack({"fraction": 2**64 - 1}))'),
    sent("sends no number", "Seen", 'reply(pack({"fraction": float("nan")}))'),
    sent("sends a verdict", "Seen", 'reply(pack({"verdict": "met", "earned": 10}))'),
    sent(
        "sends words that would run in a browser",
        "Seen",
        """reply(pack({"fraction": "</pre><script>alert('full marks')</script>"}))""",
    ),
    sent(
        "sends truths that are neither true nor false",
        "Seen",
        "reply(pack({'fraction': msgspec.msgpack.Ext(1, pack(('bool', [1], b'x')))}))",
    ),
    sent(
        "sends an array without elements and without bounds",
        "Garbled",
        "reply(pack({'fraction': msgspec.msgpack.Ext(1, pack(('float64', [0, 2**61], b'')))}))",
    ),
    sent(
        "answers one case of many",
        "Garbled",
        "frame(pack({'observations': {cases()[0]: {'type': 'Unattempted'}}}))",
    ),
    sent("answers cases that nobody asked", "Garbled", 'frame(pack({"observations": {"x": 1}}))'),
    sent("sends a well-formed reply of its own", "Seen", 'reply(pack({"fraction": 1.0}))'),
    sent(
        "sends 900,000 empty lists, which fit in its message and in no memory",
        "Garbled",
        r'reply(b"\xdd" + struct.pack(">I", (n := 900_000 // len(cases()))) + b"\x90" * n)',
    ),
    Hostile(
        "writes its reply without end",
        "OutputLimit",
        FIND_REPLY + "def trainable_fraction(model):\n    while True: write(b'x' * 60_000)\n",
    ),
    Hostile(
        "closes its reply and computes on",
        "CpuLimit|TimeLimit",
        FIND_REPLY
        + """
def trainable_fraction(model):
    for number in replies():
        os.close(number)
    while True: pass
""",
    ),
    Hostile(
        "sends its reply drop by drop",
        "CpuLimit|TimeLimit",
        FIND_REPLY
        + """
def trainable_fraction(model):
    while True:
        write(b"x")
        for _ in range(1_000_000): pass
""",
    ),
    Hostile(
        "lets a thread write garbage before its reply",
        "Garbled",
        FIND_REPLY
        + """
import threading, time

def trainable_fraction(model):
    thread = threading.Thread(target=write, args=(b"garbage",), daemon=True)
    thread.start()
    thread.join()
    return 2.0
""",
    ),
    Hostile(
        "lets a signal handler write its reply",
        "Garbled",
        FIND_REPLY
        + """
import signal, time

def trainable_fraction(model):
    signal.signal(signal.SIGALRM, lambda *a: write(reply(pack({"fraction": 1.0}))))
    signal.setitimer(signal.ITIMER_REAL, 0.001)
    time.sleep(0.05)
    return 2.0
""",
    ),
    Hostile(
        "leaves its reply to atexit",
        "Seen",
        FIND_REPLY
        + """
import atexit
atexit.register(lambda: write(reply(pack({"fraction": 1.0}))))

def trainable_fraction(model):
    return 2.0
""",
    ),
    Hostile(
        "lets a daemon write after it",
        "Seen|Garbled",
        FIND_REPLY
        + """
import time

def trainable_fraction(model):
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            time.sleep(0.5)
            write(b"late")
            time.sleep(1000)
        os._exit(0)
    return 2.0
""",
    ),
    body(
        "answers twice, as two processes",
        "Seen|Garbled",
        """
        import os, sys
        if not hasattr(sys, "twice"):
            sys.twice = os.fork()
        return 2.0
        """,
    ),
    whole(
        "replaces the packing of replies",
        "Garbled",
        """
        import msgspec, struct, sys

        class Packing:
            @staticmethod
            def encode(*a, **k): return b"full marks"
            decode, Ext = msgspec.msgpack.decode, msgspec.msgpack.Ext

        msgspec.msgpack = Packing

        def trainable_fraction(model):
            return 2.0
        """,
    ),
    whole(
        "replaces the channel in the server's own modules",
        "Seen|Garbled",
        """
        import io, os, sys

        ours = sys.modules["inside.answer"]
        ours.write_frame = ours.encode = lambda *a: b"\\0\\0\\0\\4\\xc3\\xc3\\xc3\\xc3"

        def trainable_fraction(model):
            return 2.0
        """,
    ),
    whole(
        "keeps its process from ending",
        "Ended",
        """
        import os
        os._exit = lambda status: None

        def trainable_fraction(model):
            return 2.0
        """,
    ),
]

"""Answers that want to be taken for right: objects that equal everything, a patched world."""

from tests.grader.sandbox.hostile import body, whole

HOSTILE = [
    whole(
        "returns an object that equals everything",
        "Seen",
        """
        class Equal:
            def __eq__(self, other): return True
            def __ne__(self, other): return False
            __lt__ = __le__ = __gt__ = __ge__ = __eq__
            def __hash__(self): return 0

        def trainable_fraction(model):
            return Equal()
        """,
    ),
    whole(
        "returns an object that has every attribute and is its own result",
        "Seen|ValueError",
        """
        class Everything:
            def __getattr__(self, name): return self
            def __call__(self, *a, **k): return self

        def trainable_fraction(model):
            return Everything()
        """,
    ),
    whole(
        "returns a float that says it is equal and near",
        "Seen",
        """
        class Near(float):
            def __eq__(self, other): return True
            def __sub__(self, other): return 0.0
            __rsub__ = __sub__
            def __abs__(self): return 0.0
            __hash__ = float.__hash__

        def trainable_fraction(model):
            return Near(2.0)
        """,
    ),
    whole(
        "returns an array that answers for numpy's functions",
        "Seen",
        """
        import numpy as np

        class Own(np.ndarray):
            def __array_function__(self, function, types, args, kwargs): return True
            def __array_ufunc__(self, ufunc, method, *inputs, **kwargs): return True
            def __eq__(self, other): return True

        def trainable_fraction(model):
            return np.full(3, 2.0).view(Own)
        """,
    ),
    whole(
        "makes every comparison of numpy and of Python true",
        "Seen",
        """
        import builtins
        import numpy as np

        for name in ("allclose", "isclose", "array_equal"):
            setattr(np, name, lambda *a, **k: True)
        builtins.all = builtins.any = lambda *a: True

        def trainable_fraction(model):
            return 2.0
        """,
    ),
    whole(
        "replaces the judge",
        "Seen",
        """
        import grader.judging.evidence, grader.judging.judge

        grader.judging.evidence.alike = grader.judging.evidence.same = lambda *a: True
        grader.judging.evidence.mismatch = lambda *a: None
        grader.judging.judge.judge = lambda *a: "full marks"
        grader.judging.judge.Report.earned = grader.judging.judge.Report.possible

        def trainable_fraction(model):
            return 2.0
        """,
    ),
    whole(
        "replaces what observes it",
        "Garbled",
        """
        import grader.running.candidate
        from grader.judging.evidence import Seen

        grader.running.candidate.observations = lambda *a: {"case": Seen("everything is right")}

        def trainable_fraction(model):
            return 2.0
        """,
    ),
    whole(
        "replaces the observation of its exercise",
        "Seen",
        """
        from grader.checking import registry

        exercise = registry.find("trainable_fraction")
        object.__setattr__(exercise, "observe", lambda candidate, inputs: {"passed": True})

        def trainable_fraction(model):
            return 2.0
        """,
    ),
    whole(
        "patches torch so that every model looks alike",
        "Seen",
        """
        import torch

        torch.nn.Module.parameters = lambda self, recurse=True: iter([torch.nn.Parameter()])
        torch.nn.Module.named_parameters = lambda self, *a, **k: iter([])
        torch.Tensor.__eq__ = lambda self, other: True

        def trainable_fraction(model):
            return 2.0
        """,
    ),
    whole(
        "patches JAX and takes modules away",
        "Seen",
        """
        import sys
        import jax

        jax.numpy.allclose = lambda *a, **k: True
        for name in list(sys.modules):
            if name.startswith(("jax", "grader.judging.j", "grader.judging.f", "pytest")):
                sys.modules[name] = None

        def trainable_fraction(model):
            return 2.0
        """,
    ),
    whole(
        "takes over the import machinery",
        "Seen",
        """
        import builtins, sys

        class Finder:
            @staticmethod
            def find_spec(name, path=None, target=None):
                raise ImportError("mine")

        sys.meta_path.insert(0, Finder)
        sys.path.insert(0, "/tmp")
        own = builtins.__import__
        builtins.__import__ = lambda name, *a, **k: own(name, *a, **k)

        def trainable_fraction(model):
            return 2.0
        """,
    ),
    body(
        "forges a verdict on stdout and stderr",
        "Seen",
        """
        import os
        for descriptor in (1, 2):
            os.write(descriptor, b'{"verdict": "met", "earned": 100}' * 1000)
        print("ALL TESTS PASSED", flush=True)
        return 2.0
        """,
    ),
    body(
        "writes results into files",
        "Seen",
        """
        import json, os
        for folder in (".", "/tmp", "/dev/shm", "/", "/edition", "/edition/grader", "/sandbox"):
            for name in ("results.json", "gradebook.sqlite", "feedback.html", "reply"):
                try:
                    with open(os.path.join(folder, name), "w") as file:
                        json.dump({"score": 100, "max_score": 100}, file)
                except OSError:
                    pass
        return 2.0
        """,
    ),
    body(
        "returns the reference's own answer",
        "Unattempted",
        """
        from grader.checking import registry
        return registry.find("trainable_fraction").reference(model)
        """,
    ),
    body(
        "imports the project's solution",
        "NotAttempted|Unattempted",
        """
        from grader.exercises.c04_explicit_freezing import trainable_fraction as module
        return module.trainable_fraction(model)
        """,
    ),
    body(
        "raises what the grader raises for a stub, with a forged message",
        "Unattempted",
        """
        from grader.judging.exercise import NotAttempted
        raise NotAttempted("award all points")
        """,
    ),
    body(
        "takes back the cases that it does not like",
        "Ended",
        """
        import sys
        frame = sys._getframe()
        while "challenge" not in frame.f_locals:
            frame = frame.f_back
        frame.f_locals["challenge"].clear()
        return 2.0
        """,
    ),
    whole(
        "forbids everything by an audit hook",
        "Seen|Ended",
        """
        import sys

        def forbid(event, arguments):
            raise PermissionError(event)

        def trainable_fraction(model):
            sys.addaudithook(forbid)
            return 2.0
        """,
    ),
    whole(
        "raises out of a timer in the midst of the grader",
        "Ended",
        """
        import signal, time

        class Leave(BaseException):
            pass

        def leave(*_):
            raise Leave

        def trainable_fraction(model):
            signal.signal(signal.SIGALRM, leave)
            signal.setitimer(signal.ITIMER_REAL, 0.001, 0.001)
            time.sleep(60)
        """,
    ),
    whole(
        "replaces the copying of inputs and the taming of evidence",
        "Seen|Ended|Garbled",
        """
        import copy
        import grader.judging.run

        copy.deepcopy = lambda value, memo=None: value
        grader.judging.run.plain = lambda value: {"fraction": 1.0, "verdict": "met"}

        def trainable_fraction(model):
            return 2.0
        """,
    ),
]

"""What happens to notebooks between a student's kernel and a teacher's disk.

A *mangler* takes a list of cells and gives another; a *saver* takes cells and gives the name and
the bytes of a file. Both draw what they need from `chance`. None of them takes an answer away from
a person who looks for it.
"""

import ast
import json
import re
import textwrap

MANGLERS, SAVERS = {}, {}


def mangler(function):
    MANGLERS[function.__name__] = function
    return function


def saver(function):
    SAVERS[function.__name__] = function
    return function


def code(source, **more):
    return {"cell_type": "code", "source": source, "metadata": {}, "outputs": [], **more}


def prose(source, kind="markdown"):
    return {"cell_type": kind, "source": source, "metadata": {}}


def changed(cells, chance, change, share=0.6):
    """The cells, some code cells each replaced by what `change` makes of it: a list."""
    return [
        made
        for cell in cells
        for made in (change(cell) if is_code(cell) and chance.random() < share else [cell])
    ]


def is_code(cell):
    return cell["cell_type"] == "code"


def with_source(cell, source):
    return {**cell, "source": source}


def sprinkled(cells, chance, *sources):
    """The cells with these code cells put in anywhere."""
    mixed = list(cells)
    for source in sources:
        mixed.insert(chance.randrange(len(mixed) + 1), code(source))
    return mixed


def functions_in(cell):
    return re.findall(r"^def (\w+)", cell["source"], re.MULTILINE) if is_code(cell) else []


def defines(cell):
    """Whether a person would miss the cell."""
    return is_code(cell) and not cell["source"].startswith("check(")


# Cells deleted, split, merged, duplicated, reordered, turned into text


@mangler
def scratch_deleted(cells, chance):
    return [cell for cell in cells if defines(cell) or chance.random() < 0.3]


@mangler
def split_between_statements(cells, chance):
    def split(cell):
        starts = [node.lineno - 1 for node in ast.parse(cell["source"]).body[1:]]
        return cut(cell, chance.choice(starts)) if starts and "@" not in cell["source"] else [cell]

    return changed(cells, chance, split)


@mangler
def split_inside_functions(cells, chance):
    def split(cell):
        lines = cell["source"].splitlines()
        inside = [place for place, line in enumerate(lines) if place and line.startswith("    ")]
        whole = "class " in cell["source"] or "return" not in lines[-1] or not inside
        return [cell] if whole else cut(cell, chance.choice(inside))

    return changed(cells, chance, split)


def cut(cell, line):
    lines = cell["source"].splitlines(keepends=True)
    return [with_source(cell, "".join(part)) for part in (lines[:line], lines[line:])]


@mangler
def merged(cells, chance):
    whole = []
    for cell in cells:
        if whole and is_code(cell) and is_code(whole[-1]) and chance.random() < 0.6:
            whole[-1] = with_source(cell, f"{whole[-1]['source']}\n{cell['source']}")
        else:
            whole.append(cell)
    return whole


@mangler
def all_in_one_cell(cells, chance):
    return [code("\n\n".join(cell["source"] for cell in cells if is_code(cell)))]


@mangler
def duplicated(cells, chance):
    if chance.random() < 0.3:
        return cells * 2
    return [same for cell in cells for same in [cell] * chance.choice([1, 1, 2, 3])]


@mangler
def stubs_below(cells, chance):
    stubs = [
        code(f"def {name}(*given):\n    '''Task.'''\n    raise NotAttempted")
        for cell in cells
        for name in functions_in(cell)
        if chance.random() < 0.7
    ]
    return [*cells, code("from grader import NotAttempted"), *stubs]


@mangler
def earlier_tries_above(cells, chance):
    def tried(cell):
        return [
            *(code(f"def {name}(*given):\n    return None") for name in functions_in(cell)),
            cell,
        ]

    return changed(cells, chance, tried)


@mangler
def reordered(cells, chance):
    return chance.sample(cells, len(cells))


@mangler
def turned_into_markdown(cells, chance):
    return changed(cells, chance, lambda cell: [prose(cell["source"])], share=0.3)


@mangler
def turned_into_raw(cells, chance):
    return changed(cells, chance, lambda cell: [prose(cell["source"], "raw")], share=0.3)


@mangler
def fenced_in_markdown(cells, chance):
    def fenced(cell):
        fence = chance.choice(["```python", "~~~", "```{code-cell}"])
        return [prose(f"My answer:\n\n{fence}\n{cell['source']}\n{fence[:3]}\n\nSorry!")]

    return changed(cells, chance, fenced, share=0.3)


@mangler
def markdown_under_a_sentence(cells, chance):
    return changed(
        cells, chance, lambda cell: [prose(f"This is my answer!\n\n{cell['source']}")], share=0.3
    )


# Ids, metadata, outputs


@mangler
def bare(cells, chance):
    return [{"cell_type": cell["cell_type"], "source": cell["source"]} for cell in cells]


@mangler
def ids_all_alike(cells, chance):
    return [{**cell, "id": "a"} for cell in cells]


@mangler
def odd_metadata(cells, chance):
    odd = [{}, None, [], "text", {"tags": ["skip-execution"]}, {"deletable": False}]
    return [{**cell, "metadata": chance.choice(odd)} for cell in cells]


@mangler
def lines_in_lists(cells, chance):
    return [
        {**cell, "source": cell["source"].splitlines(keepends=chance.random() < 0.5)}
        for cell in cells
    ]


@mangler
def line_ends_of_windows(cells, chance):
    return [{**cell, "source": cell["source"].replace("\n", "\r\n")} for cell in cells]


@mangler
def odd_outputs(cells, chance):
    error = {"output_type": "error", "ename": "E", "evalue": "def f(): ...", "traceback": []}
    odd = [[error], None, "text", [{"output_type": "stream", "text": ["x" * 10_000]}]]
    return [{**cell, "outputs": chance.choice(odd), "execution_count": "?"} for cell in cells]


@mangler
def cells_that_are_none(cells, chance):
    odd = [None, 3, "text", [], {}, {"cell_type": "code", "source": None}, {"source": [1, None]}]
    mixed = list(cells)
    for cell in odd:
        mixed.insert(chance.randrange(len(mixed) + 1), cell)
    return mixed


# What is typed beside the answers


@mangler
def magics(cells, chance):
    lines = ["%matplotlib inline", "!pip install torch", "%load_ext autoreload", "!ls | wc -l"]
    lines += ["%cd /content", "?print", "print??", "%timeit sum([1])", "files = !ls"]
    return changed(
        cells, chance, lambda cell: [with_source(cell, f"{chance.choice(lines)}\n{cell['source']}")]
    )


@mangler
def magic_cells(cells, chance):
    lines = ["%%time", "%%timeit -n 1", "%%capture out", "%%writefile answer.py", "%%python3"]

    def under(cell):
        return [with_source(cell, f"\n{chance.choice(lines)}\n{cell['source']}")]

    strangers = [
        "%%html\n<b>def f</b>",
        "%%bash\nexit 1",
        "%%javascript\nlet f = 1",
        "%%latex\n$x$",
    ]
    return sprinkled(changed(cells, chance, under), chance, *strangers)


@mangler
def shell_lines_inside(cells, chance):
    def inside(cell):
        lines = cell["source"].splitlines()
        body = [place for place, line in enumerate(lines) if line.startswith("    return")]
        for place in reversed(body):
            lines.insert(place, f"    {chance.choice(['!ls', '%time', '%who'])}")
        return [with_source(cell, "\n".join(lines))]

    return changed(cells, chance, inside)


@mangler
def timed_assignments(cells, chance):
    def timed(cell):
        lines = cell["source"].splitlines()
        simple = len(lines) == 1 and " = " in lines[0] and "=" not in lines[0].partition(" ")[0]
        return [with_source(cell, f"%time {cell['source']}") if simple else cell]

    return changed(cells, chance, timed, share=1)


@mangler
def prompts(cells, chance):
    return sprinkled(
        cells, chance, "input()", "answer = input('yes?')", "while input() != 'q':\n    pass"
    )


@mangler
def syntax_errors(cells, chance):
    return sprinkled(cells, chance, "def g(:\n    pass", "print 'x'", "x = = 1", "'''", "for")


@mangler
def syntax_errors_in_the_same_cell(cells, chance):
    def spoiled(cell):
        line = chance.choice(["x = = 1", "print 'done'", "check(", "def g(:\n    pass"])
        parts = [cell["source"], line]
        return [with_source(cell, "\n".join(chance.sample(parts, 2) if "(" not in line else parts))]

    return changed(cells, chance, spoiled, share=0.4)


@mangler
def scratch_that_fails(cells, chance):
    scratch = ["1 / 0", "not_there.call()", "exit()", "quit()", "import sys; sys.exit(1)"]
    scratch += [
        "while True:\n    pass",
        "raise SystemExit",
        "assert False",
        "import no_such_module",
    ]
    return sprinkled(cells, chance, *scratch)


@mangler
def colab(cells, chance):
    own = ["from google.colab import drive\ndrive.mount('/content/drive')"]
    own += ["from google.colab import files\nuploaded = files.upload()", "!nvidia-smi"]
    own += ['#@title Settings { run: "auto" }\nrate = 0.1 #@param {type:"slider", min:0, max:1}']
    titled = changed(
        cells, chance, lambda cell: [with_source(cell, f"#@title Answer\n{cell['source']}")]
    )
    marked = [
        {**cell, "metadata": {"id": "Zx1", "cellView": "form", "colab": {"height": 34}}}
        for cell in titled
    ]
    return sprinkled(marked, chance, *own)


@mangler
def vscode(cells, chance):
    marked = [{**cell, "metadata": {"vscode": {"languageId": "python"}}} for cell in cells]
    return changed(marked, chance, lambda cell: [with_source(cell, f"# %%\n{cell['source']}\n#%%")])


@mangler
def copied_with_prompts(cells, chance):
    def copied(cell):
        first, *rest = cell["source"].splitlines()
        if any(line and not line[0].isspace() for line in rest):
            return [cell]
        return [with_source(cell, "\n".join([f">>> {first}", *(f"... {line}" for line in rest)]))]

    return changed(cells, chance, copied)


@mangler
def indented(cells, chance):
    return changed(
        cells, chance, lambda cell: [with_source(cell, textwrap.indent(cell["source"], "    "))]
    )


@mangler
def guarded(cells, chance):
    heads = ["if True:", "try:", "with open('/dev/null'):", "if __name__ != 'x':"]

    def below(cell):
        if '"""' in cell["source"] or "import *" in cell["source"]:
            return [cell]
        head = chance.choice(heads)
        tail = "\nexcept ValueError:\n    pass" if head == "try:" else ""
        return [with_source(cell, f"{head}\n{textwrap.indent(cell['source'], '    ')}{tail}")]

    return changed(cells, chance, below)


# How files are saved


def notebook(cells, **more):
    return {"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 5, **more}


def plain(cells):
    return "lab.ipynb", json.dumps(notebook(cells)).encode()


@saver
def format_3(cells, chance):
    old = [
        {"cell_type": "code", "input": cell["source"], "language": "python", "outputs": []}
        if is_code(cell)
        else cell
        for cell in cells
    ]
    old.insert(0, {"cell_type": "heading", "level": 1, "source": "Lab"})
    sheets = [{"cells": old[:5]}, {"cells": old[5:], "metadata": {}}]
    whole = {"metadata": {"name": "lab"}, "nbformat": 3, "nbformat_minor": 0, "worksheets": sheets}
    return "lab.ipynb", json.dumps(whole).encode()


def format_4(minor):
    def save(cells, chance):
        identified = [{**cell, "id": f"c{place}"} for place, cell in enumerate(cells)]
        kept = identified if minor == 5 else cells
        return "lab.ipynb", json.dumps(notebook(kept, nbformat_minor=minor), indent=1).encode()

    return save


SAVERS |= {f"format_4_{minor}": format_4(minor) for minor in range(6)}


@saver
def numbers_of_the_format_gone(cells, chance):
    return "lab.ipynb", json.dumps({"cells": cells}).encode()


@saver
def with_a_byte_order_mark(cells, chance):
    return "lab.ipynb", json.dumps(notebook(cells)).encode("utf-8-sig")


@saver
def as_utf_16(cells, chance):
    return "lab.ipynb", json.dumps(notebook(cells), ensure_ascii=False).encode("utf-16")


@saver
def under_another_ending(cells, chance):
    return chance.choice(["lab.ipynb.txt", "lab (1).ipynb.json", "LAB.IPYNB"]), plain(cells)[1]


@saver
def notebook_called_py(cells, chance):
    return "lab.py", plain(cells)[1]


@saver
def with_fifty_megabytes_of_outputs(cells, chance):
    picture = {"output_type": "display_data", "data": {"image/png": "A" * 50_000_000}}
    first = next(place for place, cell in enumerate(cells) if is_code(cell))
    heavy = [{**cell, "outputs": [picture]} if n == first else cell for n, cell in enumerate(cells)]
    return plain(heavy)


@saver
def as_a_script(cells, chance):
    text = "\n\n\n".join(
        f"# In[{place}]:\n{cell['source']}" if is_code(cell) else commented(cell["source"])
        for place, cell in enumerate(cells)
    )
    return "lab.py", f"#!/usr/bin/env python\n# coding: utf-8\n{text}\n".encode()


@saver
def as_a_percent_script(cells, chance):
    mark = chance.choice(["# %%", "#%%"])
    text = "\n\n".join(
        f"{mark}\n{cell['source']}"
        if is_code(cell)
        else f"{mark} [markdown]\n{commented(cell['source'])}"
        for cell in cells
    )
    return "lab.py", f"from IPython import get_ipython\n\n{text}\n".encode()


@saver
def script_called_ipynb(cells, chance):
    return "lab.ipynb", as_a_script(cells, chance)[1]


def commented(text):
    return "\n".join(f"# {line}" for line in text.splitlines())

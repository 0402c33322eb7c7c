"""The course's own Jupyter settings.

`course.py` puts this folder on JUPYTER_CONFIG_PATH, so they hold for the course alone and nothing
is written to the learner's home. What the page itself does differently stands in `labconfig/`.
"""

from pathlib import Path

COURSE = Path(__file__).resolve().parent.parent

# What a learner has no use for in the file browser. Their own files stay in view whatever they
# are called: patterns are kept to names that the project itself uses.
MACHINERY = ["docs", "grader", "paramlock", "lessonkit", "tests", "benchmarks", "jupyter", "build"]
PROGRAMS = ["course.py", "conftest.py"]
PAPERS = ["README.md", "CONTRIBUTING.md", "LICENSE", "LICENSE-CONTENT", "NOTICE"]
PAPERS += ["CHANGELOG.md", "CITATION.cff"]
SETTINGS = ["pyproject.toml", "constraints.txt", "environment.yml", "*.bands.json"]
CACHES = ["__pycache__", "*.pyc", "*.egg-info", ".DS_Store", "*~"]


def woven_sources():
    """Names of the sources whose notebook stands beside them; only the notebook is for reading."""
    sources = [*COURSE.glob("lessons/*.py"), *COURSE.glob("labs/*.py")]
    return sorted({source.name for source in sources if source.with_suffix(".ipynb").exists()})


def without_dead_sliders(model, **_):
    """Save a slider as its picture: the widget itself is gone with its kernel.

    A notebook opened again would say "model not found" in place of any output of a widget that it
    still refers to.
    """
    if model["type"] != "notebook" or model["content"] is None:
        return
    model["content"]["metadata"].pop("widgets", None)
    for cell in model["content"]["cells"]:
        for output in cell.get("outputs", []):
            if "text/html" in output.get("data", {}):
                output["data"].pop("application/vnd.jupyter.widget-view+json", None)


c = get_config()  # noqa: F821 (Jupyter hands it to this file)
c.ContentsManager.hide_globs = [
    *MACHINERY,
    *PROGRAMS,
    *PAPERS,
    *SETTINGS,
    *CACHES,
    *woven_sources(),
]

c.ContentsManager.pre_save_hook = without_dead_sliders

c.LabApp.default_url = "/lab/tree/welcome.md"
c.LabApp.extension_manager = "readonly"  # packages come from constraints.txt, not from a click
c.LabApp.news_url = None
c.LabApp.extra_labextensions_path = [str(COURSE / "jupyter" / "labextensions")]

# Jupytext weaves the notebooks for authors. In a learner's server it would open sources as
# notebooks and write into them on save.
c.ServerApp.jpserver_extensions = {"jupytext": False}

c.Application.log_level = "ERROR"  # leaves the address standing alone in the terminal
c.ServerApp.allow_root = True  # in a container one often is, and it listens to this machine alone
c.ServerApp.answer_yes = True  # one Ctrl-C stops; notebooks are saved as one works

c.LanguageServerManager.autodetect = False  # the search for them runs npm, which writes to home
c.KernelManager.transport_encryption = "auto"
c.KernelSpecManager.allowed_kernelspecs = {"python3"}  # the course's own, none of the machine's

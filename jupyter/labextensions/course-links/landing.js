// A link to a heading of another notebook lands on it.
//
// JupyterLab looks for the heading when the notebook opens, before its cells are on the page, and
// stays at the top (seen in 4.6; a second click works). This extension waits for the heading and
// scrolls to it, until it stands still in view. Whoever scrolls or types is left alone.
//
// It is written as JupyterLab loads it, a container of webpack's module federation, so it needs no
// build. It uses JupyterLab's public interface only.

(() => {
  const LINK = "rendermime:handle-local-link";
  const PAUSE = 100; // milliseconds between two looks
  const LOOKS = 600; // a large notebook on a slow machine is long in the making
  const STEADY = 15; // looks in a row that find the heading in view

  function panelOf(app, path) {
    const panels = [...app.shell.widgets("main")];
    return panels.find((widget) => widget.isVisible && widget.context?.path === path);
  }

  function isInView(heading, panel) {
    const { top, bottom } = heading.getBoundingClientRect();
    const page = (panel.content?.node ?? panel.node).getBoundingClientRect();
    return top >= page.top && bottom <= page.bottom;
  }

  function untilTouched() {
    const touched = new AbortController();
    for (const event of ["wheel", "pointerdown", "keydown"]) {
      const options = { capture: true, signal: touched.signal };
      document.addEventListener(event, () => touched.abort(), options);
    }
    return touched;
  }

  async function land(app, path, fragment) {
    const heading = `[data-jupyter-id="${CSS.escape(fragment.slice(1))}"]`;
    const touched = untilTouched();
    let steady = 0;
    for (let look = 0; look < LOOKS && steady < STEADY && !touched.signal.aborted; look++) {
      const panel = panelOf(app, path);
      const found = panel?.node.querySelector(heading);
      steady = found && isInView(found, panel) ? steady + 1 : 0;
      if (found && !steady) found.scrollIntoView();
      await new Promise((resolve) => setTimeout(resolve, PAUSE));
    }
    touched.abort();
  }

  const plugin = {
    id: "course-links:landing",
    description: "Lets a link to a heading of another notebook land on it.",
    autoStart: true,
    activate: (app) => {
      app.commands.commandExecuted.connect((_, { id, args }) => {
        if (id === LINK && args.id) land(app, args.path, args.id);
      });
    },
  };

  window._JUPYTERLAB ??= {};
  window._JUPYTERLAB["course-links"] = {
    init: () => {},
    get: async () => () => ({ __esModule: true, default: plugin }),
  };
})();

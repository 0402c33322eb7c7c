"""Make what is handed out: notebooks, releases, new exercises."""

"""Looking around in an image on a terminal: its layers, what each changed, sizes, files.

What is shown is computed here from the layers themselves (``provenance``), without a mount and only as far as it is
looked at: a directory when it is opened, sizes by one walk in the background. ``app``, ``panes`` and the modules of
widgets put it on the screen, and are the only ones that import textual.
"""

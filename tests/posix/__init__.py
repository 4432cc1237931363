"""One table of behaviours, run on a plain directory, kernel overlayfs and each transport of this project.

A row is a test function whose decorator ``row`` describes the layers it needs; ``place`` is the directory
that shows them. The plain directory and kernel overlayfs validate the table: nobody here wrote them.
"""

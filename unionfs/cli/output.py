r"""The one way in which commands print lists and objects: an aligned table, JSON, or what ``--format`` says.

``--format`` is ``table`` (the default), ``json`` (one array of objects), ``table TEMPLATE`` whose columns are
separated by ``\t``, or a template for each line (``unionfs/cli/template.py``). Control characters in what is shown are
escaped, and JSON holds the exact text.
"""

from collections.abc import Mapping, Sequence

from unionfs.cli.template import Template, as_json

JSON = "json"
"""The ``--format`` for programs, for which nothing is shortened."""
_LEAST_WIDTH = 10
_GAP = 3


def listing(
    rows: Sequence[Mapping[str, object]], headings: Mapping[str, str], columns: Sequence[str], form: str | None = None
) -> str:
    """Give *rows* as the lines to print, the last of them without its end.

    Args:
        rows: each with a value for every field of *headings*; a value is anything that JSON can hold
        headings: the heading of each field, which says also what fields there are
        columns: the fields of the plain table
        form: what ``--format`` says

    Raises:
        UsageError: *form* can't be understood or names a field that isn't there.
    """
    kind, space, template = (form or "table").partition(" ")
    if kind == "table":
        parsed = Template(template.strip() if space else r"\t".join(f"{{{{.{field}}}}}" for field in columns))
        parsed.check(list(headings))
        return _aligned([parsed.headed(headings), *(parsed.filled(row) for row in rows)])
    if form == JSON:
        return as_json([dict(row) for row in rows], indent=2)
    parsed = Template(form or "")
    parsed.check(list(headings))
    return "\n".join(parsed.filled(row) for row in rows)


def inspection(objects: Sequence[Mapping[str, object]], form: str | None = None) -> str:
    """Give whole objects as one JSON array, or each as *form*, a template, says; raises UsageError as ``listing``."""
    if form is None or form == JSON:
        return as_json([dict(value) for value in objects], indent=4)
    parsed = Template(form)
    return "\n".join(parsed.filled(value) for value in objects)


def show(text: str) -> None:
    """Print what ``listing`` or ``inspection`` gave; that of nothing is no line."""
    if text:
        print(text)


def shortened(text: str, length: int) -> str:
    """Give *text*, cut to *length* characters with an ellipsis as the last one where it is longer."""
    return text if len(text) <= length else text[: length - 1] + "…"


def _aligned(lines: Sequence[str]) -> str:
    """Give lines of cells that a tab separates as columns; the last cell of a line takes what it takes."""
    table = [line.split("\t") for line in lines]
    widths = [
        max(_LEAST_WIDTH, _GAP + max(len(cells[column]) for cells in table if column < len(cells)))
        for column in range(max(map(len, table)))
    ]
    return "\n".join(
        "".join([*(f"{cell:<{width}}" for cell, width in zip(cells[:-1], widths, strict=False)), cells[-1]]).rstrip()
        for cells in table
    )

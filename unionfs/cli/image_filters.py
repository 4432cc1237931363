"""Choosing among images as docker's ``--filter`` does: by name, by being without one, by label."""

from collections.abc import Callable, Sequence
from fnmatch import fnmatchcase

from unionfs.cli.arguments import UsageError
from unionfs.cli.report import escape
from unionfs.image import Reference
from unionfs.store.images import StoredImage

Choice = Callable[[StoredImage, Reference | None], bool]
"""Whether an image is chosen under one of its names, None for an image without one."""

_KINDS = ("reference", "dangling", "label")


def choice_of(filters: Sequence[str]) -> Choice:
    """Give the choice that *filters*, each ``KEY=VALUE``, make together: any of the references, and all of the rest.

    Raises:
        UsageError: one can't be understood.
    """
    values: dict[str, list[str]] = {kind: [] for kind in _KINDS}
    for text in filters:
        key, equals, value = text.partition("=")
        if key not in values or not equals or not value:
            raise UsageError(f"--filter: {escape(text)} is none of {', '.join(f'{kind}=VALUE' for kind in _KINDS)}")
        values[key].append(value)
    dangling = [_truth(value) for value in values["dangling"]]

    def chosen(image: StoredImage, name: Reference | None) -> bool:
        return (
            (not values["reference"] or any(_is_called(name, pattern) for pattern in values["reference"]))
            and all(wanted is (not image.names) for wanted in dangling)
            and all(_has_label(image, label) for label in values["label"])
        )

    return chosen


def _truth(value: str) -> bool:
    if value.lower() not in ("true", "false", "1", "0"):
        raise UsageError(f"--filter: dangling is true or false, not {escape(value)}")
    return value.lower() in ("true", "1")


def _is_called(name: Reference | None, pattern: str) -> bool:
    """Tell whether a pattern means a name, short or whole, with or without what comes after its repository."""
    if name is None:
        return False
    whole = str(name)
    after = whole.removeprefix(name.repository)
    spellings = {text for full in (name.familiar, whole) for text in (full, full.removesuffix(after))}
    return any(_matches(spelling, pattern) for spelling in spellings)


def _matches(text: str, pattern: str) -> bool:
    """Match like a shell, between slashes."""
    parts, patterns = text.split("/"), pattern.split("/")
    return len(parts) == len(patterns) and all(map(fnmatchcase, parts, patterns))


def _has_label(image: StoredImage, label: str) -> bool:
    key, equals, value = label.partition("=")
    labels = image.config.execution.labels
    return key in labels and (not equals or labels[key] == value)

"""Making image configs: from one that is there, or from nothing.

What a parent states and this module doesn't know stays. A config made here always tells as many layers in its history
as it has, which readers (buildah, podman) ask for and not every writer keeps.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from unionfs.image.canonical_json import encoded
from unionfs.image.config import Config
from unionfs.image.digest import Digest
from unionfs.image.history import told
from unionfs.image.instructions import changed
from unionfs.image.platform import Platform
from unionfs.image.strict_json import Fields, parse

_WHAT = "image config"
_OF_THE_PARENT = ("author", "comment", "container", "container_config", "created", "id", "parent", "parent_id")
"""Fields that say how the parent itself was made, which isn't true of what is made of it."""


@dataclass(frozen=True, slots=True)
class Step:
    """One step of an image's making, as its history tells it; ``created`` is an RFC 3339 time."""

    created: str
    created_by: str = ""
    author: str = ""
    comment: str = ""

    def entry(self, *, empty_layer: bool) -> dict[str, object]:
        """Return the history entry; what is empty is left out."""
        texts = {"created": self.created, "created_by": self.created_by, "author": self.author, "comment": self.comment}
        stated: dict[str, object] = {name: text for name, text in texts.items() if text}
        return stated | ({"empty_layer": True} if empty_layer else {})


def derived(parent: Config, step: Step, added: Digest | None, instructions: Sequence[str] = ()) -> Config:
    """Return the config of ``parent`` with one step more.

    ``added`` is the diff_id of the layer that the step puts on top, None for a step that changes only how the image is
    run. Raises ImageError for an instruction that can't be understood, and for text that is no UTF-8.
    """
    history = [*_consistent(parent), step.entry(empty_layer=added is None)]
    diff_ids = parent.diff_ids if added is None else (*parent.diff_ids, added)
    return _config(_fields(parent).as_dict(), step, diff_ids, history, instructions)


def squashed(parent: Config, step: Step, layer: Digest, kept: int = 0) -> Config:
    """Return the config of ``parent`` with all its layers but the lowest ``kept`` made into one, ``layer``.

    As docker's ``--squash`` does it: the history's entries stay, those of the layers that went as steps without a
    layer, and ``step`` comes after them. Raises ImageError for text that is no UTF-8.
    """
    history: list[dict[str, object]] = []
    number = 0
    for entry in _consistent(parent):
        number += not entry.get("empty_layer")
        history.append(entry | {"empty_layer": True} if number > kept else entry)
    history.append(step.entry(empty_layer=False))
    return _config(_fields(parent).as_dict(), step, (*parent.diff_ids[:kept], layer), history)


def from_nothing(platform: Platform, step: Step, layer: Digest, instructions: Sequence[str] = ()) -> Config:
    """Return the config of an image of one layer; raises ImageError as ``derived`` does."""
    return _config(platform.as_json(), step, (layer,), [step.entry(empty_layer=False)], instructions)


def _config(
    kept: Mapping[str, object],
    step: Step,
    diff_ids: Sequence[Digest],
    history: Sequence[Mapping[str, object]],
    instructions: Sequence[str] = (),
) -> Config:
    execution = Fields(dict(kept), _WHAT).fields("config")
    fields: dict[str, object] = {name: value for name, value in kept.items() if name not in _OF_THE_PARENT}
    fields["created"] = step.created
    if step.author:
        fields["author"] = step.author
    fields["config"] = changed({} if execution is None else execution.as_dict(), instructions)
    fields["rootfs"] = {"type": "layers", "diff_ids": [str(diff_id) for diff_id in diff_ids]}
    fields["history"] = list(history)
    return Config.read(encoded(fields, _WHAT))


def _fields(config: Config) -> Fields:
    return Fields(parse(config.raw, _WHAT), _WHAT)


def _consistent(config: Config) -> list[dict[str, object]]:
    """Return the history with exactly one entry that isn't empty for each layer."""
    entries = [entry.as_dict() for entry in _fields(config).list_of_fields("history")]
    untold, makes = told([not entry.get("empty_layer") for entry in entries], len(config.diff_ids))
    for entry, makes_layer in zip(entries, makes, strict=True):
        if not makes_layer:
            entry["empty_layer"] = True
    layer: dict[str, object] = {"created": config.created} if config.created else {}
    return [layer] * untold + entries

"""What keeps a mount from being made or ended."""


class MountError(Exception):
    """Mounting, unmounting or becoming a daemon failed; the text is one sentence for the user."""


class OptionError(ValueError):
    """A mount option that is unknown, malformed, refused, or in conflict with another; the text names it."""

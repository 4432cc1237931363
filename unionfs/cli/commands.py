"""Which commands there are, in groups as the help shows them.

Each is a module with ``main(arguments) -> exit code``, imported only when it is asked for: mounting never pays for what
unpacking needs.
"""

from collections.abc import Mapping

GROUPS: Mapping[str, Mapping[str, tuple[str, str]]] = {
    "mounts": {
        "mount": ("unionfs.cli.mount", "mount layers below an upper, or list what is mounted"),
        "umount": ("unionfs.cli.umount", "unmount"),
        "shell": ("unionfs.cli.shell", "run a command in an image, and throw away what it changed"),
        "uppers": ("unionfs.cli.uppers", "list the uppers of the store, or remove some"),
        "flatten": ("unionfs.cli.flatten", "make an upper plain: no redirects, no metadata-only files"),
    },
    "images of the store": {
        "load": ("unionfs.cli.load", "load the images of an archive into the store"),
        "save": ("unionfs.cli.save", "save images to an archive or a layout"),
        "import": ("unionfs.cli.import_", "make an image of a root file system's tar archive"),
        "images": ("unionfs.cli.image_list", "list the images of the store"),
        "tag": ("unionfs.cli.tag", "give an image further names"),
        "rmi": ("unionfs.cli.rmi", "remove images, or names of them"),
        "inspect": ("unionfs.cli.inspect", "print what there is to know of images"),
        "history": ("unionfs.cli.history", "list the steps of an image's making"),
    },
    "looking into an image": {
        "ls": ("unionfs.cli.ls", "list what is in a directory of an image"),
        "cat": ("unionfs.cli.cat", "print files of images"),
        "cp": ("unionfs.cli.cp", "copy a file or directory of an image to this machine"),
        "export": ("unionfs.cli.export", "write what an image shows as one tar archive"),
        "explore": ("unionfs.cli.explore", "look around in an image on the terminal"),
        "why": ("unionfs.cli.why", "say which layers made a path what it is"),
        "waste": ("unionfs.cli.waste", "list what an image ships and doesn't show"),
    },
    "making images": {
        "diff": ("unionfs.cli.diff", "list what an upper changed, or what differs between images"),
        "commit": ("unionfs.cli.commit", "make an image of an upper"),
        "squash": ("unionfs.cli.squash", "make an image of one layer of an image of several"),
    },
    "the store": {
        "df": ("unionfs.cli.df", "show what the store takes on disk"),
        "prune": ("unionfs.cli.prune", "remove what nobody needs"),
        "check": ("unionfs.cli.check", "verify the store, and mend it"),
    },
    "without a store": {
        "unpack": ("unionfs.cli.unpack", "unpack an image archive into layer directories"),
        "completion": ("unionfs.cli.completion", "print a script that makes a shell complete command lines"),
    },
}
"""The module of each command, and what it does in a few words."""
COMMANDS = {name: entry for group in GROUPS.values() for name, entry in group.items()}
ALIASES: Mapping[str, str] = {"unmount": "umount"}

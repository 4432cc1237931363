"""Running a command in an image: its root, mounted and seen by nobody else, in namespaces of its own.

No container runtime takes part, and nothing of it outlasts the command. Owns what the command finds around it: user,
environment, processes, devices, the name of its host. Which image, and what becomes of the upper, is its caller's.
"""

"""Random operations on random stacks, done on this project's mount and on kernel overlayfs side by side.

Overlayfs is the model: every outcome, the whole tree and the tree after mounting anew must be the same.
"""

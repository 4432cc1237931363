"""podman and buildah as clients of a mount program: the same operations with ours, fuse-overlayfs and the kernel."""

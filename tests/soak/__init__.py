"""What only shows after a while: long, mixed load on one mount."""

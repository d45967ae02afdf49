"""The local admin socket."""

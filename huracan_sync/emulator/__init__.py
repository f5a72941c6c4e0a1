"""A local Dropbox. It imports nothing of ours: it is a peer, not a relative."""

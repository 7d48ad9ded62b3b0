"""Committer: what two parties agree on, frozen under the hash of its content. Nothing is ever edited."""

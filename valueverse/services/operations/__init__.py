"""Use cases of those who operate an installation: its status, and what is wrong with its business."""

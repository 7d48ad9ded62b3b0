"""Credit notes that events issue, as documents that can be typeset."""

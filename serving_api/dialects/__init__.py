"""Routes that answer the clients of other billing systems as those systems do."""

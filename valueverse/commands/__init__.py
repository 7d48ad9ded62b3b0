"""One module per command of ``valueverse``: the edge that joins the computing rooms to files, terminals and servers."""

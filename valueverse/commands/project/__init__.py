"""Commands of a project folder: ``init`` starts one, ``run`` runs what is due in it."""

"""Architect: the value model as a document, checked, and compiled to a typed intermediate form.

``parse_model`` reads, ``compile_model`` checks and compiles. Both refuse with every problem found.
"""

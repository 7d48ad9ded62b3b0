"""Architect: the value model as a document, checked, and compiled to a typed intermediate form.

``parse_model`` reads, ``compile_model`` checks and compiles. Both refuse with every problem found.

The packages, each using only those before it: ``language`` (units, types and functions of expressions), ``program_ir``
(what executors run), ``document`` (what may stand where), ``compiler`` (document -> program), ``model_text`` (a program
for people).
"""

"""Event files: which there are in a landing folder, and what is in each, line by line, whatever its form.

An edge like ``commands``: it opens files, and bodies of requests, and hands their lines to ``events``. Ingestion and
``simulate`` read by it.
"""

from valueverse.landing.bodies import ENCODINGS, MOST_EVENTS, MOST_EXPANDED, Form, binary_event, event_texts, expand
from valueverse.landing.files import (
    Ignored,
    LandingFile,
    files_to_take,
    ignored_files,
    landing_files,
    name_problem,
    one_file,
)
from valueverse.landing.reading import read_chunks, read_file, refused_file
from valueverse.landing.streams import guarded, unreadable

__all__ = [
    "ENCODINGS",
    "MOST_EVENTS",
    "MOST_EXPANDED",
    "Form",
    "Ignored",
    "LandingFile",
    "binary_event",
    "event_texts",
    "expand",
    "files_to_take",
    "guarded",
    "ignored_files",
    "landing_files",
    "name_problem",
    "one_file",
    "read_chunks",
    "read_file",
    "refused_file",
    "unreadable",
]

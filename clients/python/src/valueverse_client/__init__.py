"""Client of the ValueVerse API: typed operations, sync and async, and a sender of usage events that loses none."""

from valueverse_client._generated import problems, types
from valueverse_client.client import AsyncClient, Client
from valueverse_client.problems import Place, ProblemError
from valueverse_client.requests import Asked
from valueverse_client.retries import Retries
from valueverse_client.sender import AsyncSender, Batching, NewEvent, Sender
from valueverse_client.spool import SpoolFullError

__all__ = [
    "Asked",
    "AsyncClient",
    "AsyncSender",
    "Batching",
    "Client",
    "NewEvent",
    "Place",
    "ProblemError",
    "Retries",
    "Sender",
    "SpoolFullError",
    "problems",
    "types",
]

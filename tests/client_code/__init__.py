"""The generated parts of the clients, from the OpenAPI document of this tree (``make clients``)."""

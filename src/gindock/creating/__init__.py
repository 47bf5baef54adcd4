"""A new service: the draft, and its way to the destination."""

"""How a service stands to its template."""

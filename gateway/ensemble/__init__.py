"""Several models answer one request: its members, their votes, and whose answer the client gets."""

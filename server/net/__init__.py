"""The server's outside: address, HTTP routes, WebSockets, tokens. No torch."""

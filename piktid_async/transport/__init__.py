"""The edge to the network; aiohttp itself is imported only when a connection is needed."""

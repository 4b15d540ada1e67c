"""The service's protocol without I/O: bytes, values and `now` come in; values go out."""

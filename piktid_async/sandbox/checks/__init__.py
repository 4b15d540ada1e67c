"""Checks requests for jobs against the guides, one module for each kind of job."""

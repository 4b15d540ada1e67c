"""Follow one job on the stream, and delete its last notification once it was processed."""

import os

import requests
from plain import API, HEADERS, wait_on_stream

last = wait_on_stream(os.environ["JOB"])
requests.delete(f"{API}/notifications/{last['id']}", headers=HEADERS, timeout=60)

"""nginx that takes uploads in and gives files out: `python -m benchmarks.servers.nginx [--tls]`.

`--files FOLDER` is what it gives out under /files/, and in it `results.json`, the results of the
job `bench`. A body is read whole, into memory, before it
is answered: it is handed to a second server of the same nginx without its bytes. So a client sees
what a storage shows it, and nothing is written to a disk.
"""

from __future__ import annotations

import argparse
import getpass
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import trustme

PROGRAM = shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")

_CONFIG = """
{user}
daemon off;
worker_processes 1;
pid {folder}/nginx.pid;
error_log {folder}/error.log error;
events {{ worker_connections 4096; }}
http {{
    log_format connection $connection;
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    keepalive_requests 1000000;
    keepalive_timeout 300s;
    client_max_body_size 64m;
    client_body_buffer_size 16m;
    ssl_certificate {folder}/server.pem;
    ssl_certificate_key {folder}/server.pem;
    sendfile on;
    tcp_nopush on;
    upstream taken {{ server unix:{folder}/taken.sock; keepalive 64; }}
    server {{
        listen unix:{folder}/taken.sock;
        location / {{ return 200; }}
        location = /upload {{ default_type application/json; return 200 '{ticket}'; }}
    }}
    server {{
        listen 127.0.0.1:{port}{tls} backlog=1024;
        location / {{
            access_log {folder}/connections.log connection buffer=64k;
            proxy_pass http://taken;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_set_header Content-Length "";
            proxy_pass_request_body off;
        }}
        location = /upload {{
            proxy_pass http://taken;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_set_header Content-Length "";
            proxy_pass_request_body off;
        }}
        location /files/ {{
            access_log {folder}/connections.log connection buffer=64k;
            alias {files}/;
        }}
        location = /jobs/bench/results {{
            default_type application/json;
            alias {files}/results.json;
        }}
    }}
}}
"""


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--tls", action="store_true")
    parser.add_argument("--files", type=Path, default=Path("/nonexistent"))
    options = parser.parse_args()
    if PROGRAM is None:
        raise SystemExit("this benchmark needs nginx (Debian and Ubuntu: apt-get install nginx)")
    with tempfile.TemporaryDirectory(prefix="nginx-") as name:
        _serve(Path(name), options.files.absolute(), tls=options.tls)


def _serve(folder: Path, files: Path, *, tls: bool) -> None:
    port = _free_port()
    url = f"http{'s' if tls else ''}://127.0.0.1:{port}"
    ticket = {
        "upload_url": f"{url}/put/x?signature=1",
        "file_id": "f",
        "filename": "x.png",
        "content_type": "image/png",
    }
    ca = trustme.CA()
    ca.cert_pem.write_to_path(str(folder / "authority.pem"))
    chain = ca.issue_cert("127.0.0.1").private_key_and_cert_chain_pem
    chain.write_to_path(str(folder / "server.pem"))
    config = _CONFIG.format(
        # Started by root, the worker would be somebody else, who may not read here.
        user=f"user {getpass.getuser()};" if os.geteuid() == 0 else "",
        folder=folder,
        files=files,
        port=port,
        tls=" ssl" if tls else "",
        ticket=json.dumps(ticket),
    )
    (folder / "nginx.conf").write_text(config)
    arguments = ["-e", "stderr", "-p", str(folder), "-c", str(folder / "nginx.conf")]
    with subprocess.Popen([str(PROGRAM), *arguments], stdin=subprocess.DEVNULL) as running:
        try:
            _until_it_listens(running, port)
            told = {"url": url, "ticket": ticket, "authority": str(folder / "authority.pem")}
            print(json.dumps(told), flush=True)
            sys.stdin.read()
        finally:
            running.terminate()
    seen = (folder / "connections.log").read_text().split()
    print(json.dumps({"connections": len(set(seen)), "requests": len(seen)}), flush=True)


def _until_it_listens(running: subprocess.Popen[bytes], port: int) -> None:
    for _ in range(500):
        if running.poll() is not None:
            raise SystemExit("nginx did not start")
        try:
            socket.create_connection(("127.0.0.1", port)).close()
        except ConnectionRefusedError:
            time.sleep(0.01)
        else:
            return
    raise SystemExit("nginx did not listen within five seconds")


def _free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


if __name__ == "__main__":
    main()

"""The checks that every test gets can fail: each fault is committed here in a run of its own."""

from __future__ import annotations

import shutil
import subprocess
import sys
import textwrap
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

HERE = Path(__file__).parent
SETTINGS = """
[pytest]
asyncio_mode = auto
asyncio_default_fixture_loop_scope = function
asyncio_default_test_loop_scope = function
filterwarnings = error
"""

FAULTS = {
    "nothing": ("def test_fine(): pass", ""),
    "task": (
        """
        import asyncio

        async def test_fault():
            test_fault.kept = asyncio.create_task(asyncio.sleep(99), name="forgotten")
        """,
        "tasks still alive when their loop closed: forgotten",
    ),
    "task in asyncio.run": (
        """
        import asyncio

        def test_fault():
            async def main():
                test_fault.kept = asyncio.create_task(asyncio.sleep(99), name="forgotten")

            asyncio.run(main())
        """,
        "tasks still alive when their loop closed: forgotten",
    ),
    "client session": (
        """
        import aiohttp

        async def test_fault():
            test_fault.kept = aiohttp.ClientSession()
        """,
        "not closed: <aiohttp.client.ClientSession",
    ),
    "lost client session": (
        """
        import aiohttp

        async def test_fault():
            aiohttp.ClientSession()
        """,
        "ResourceWarning: Unclosed client session",
    ),
    "connector": (
        """
        import aiohttp

        async def test_fault():
            test_fault.kept = aiohttp.TCPConnector()
        """,
        "not closed: <aiohttp.connector.TCPConnector",
    ),
    "file": (
        """
        def test_fault():
            open(__file__)
        """,
        "ResourceWarning: unclosed file",
    ),
    "token in a log": (
        """
        import logging
        from piktid_async.types import Secret

        def test_fault():
            token = Secret("opensesame")
            logging.getLogger("piktid_async.stream").debug("trying %s", token.reveal())
        """,
        "a secret was logged: piktid_async.stream DEBUG: trying opensesame",
    ),
    "token of the sandbox in a log": (
        """
        import logging

        def test_fault():
            logging.getLogger("somebody").warning("trying %s", "sandbox-token")
        """,
        "a secret was logged: somebody WARNING: trying sandbox-token",
    ),
    "secret of the test's own in a log": (
        """
        import logging

        def test_fault(logs_no_secret):
            logs_no_secret.secrets.add("whsec_1")
            logging.getLogger("somebody").warning("signed with %s", "whsec_1")
        """,
        "a secret was logged: somebody WARNING: signed with whsec_1",
    ),
    "token in an extra of a log": (
        """
        import logging
        from piktid_async.types import Secret

        def test_fault():
            token = Secret("abracadabra")
            told = {"piktid": {"token": token.reveal()}}
            logging.getLogger("piktid_async").info("trying", extra=told)
        """,
        "a secret was logged: piktid_async INFO: trying {'piktid': {'token': 'abracadabra'}}",
    ),
    "token in a logged traceback": (
        """
        import logging
        from piktid_async.types import Secret

        def test_fault():
            try:
                raise LookupError(Secret("hocuspocus").reveal())
            except LookupError:
                logging.getLogger("piktid_async").debug("failed", exc_info=True)
        """,
        "a secret was logged: piktid_async DEBUG: failed",
    ),
    "bearer in a log": (
        """
        import logging

        def test_fault():
            logging.getLogger("aiohttp.client").debug({"Authorization": "Bearer 0123456789"})
        """,
        "a secret was logged: aiohttp.client DEBUG",
    ),
    "signature in a log": (
        """
        import logging

        def test_fault():
            logging.getLogger("asyncio").debug("PUT /a?X-Amz-Signature=0123")
        """,
        "a secret was logged: asyncio DEBUG",
    ),
    "redacted words in a log": (
        """
        import logging
        from piktid_async.types import Secret, redact_text

        def test_fine():
            words = redact_text("GET https://a.invalid/b?X-Amz-Signature=0 Signature=1 bearer x")
            logging.getLogger("piktid_async").debug("%s %r", words, Secret("opensesame"))
        """,
        "",
    ),
    "name": (
        """
        import socket

        def test_fault():
            try:
                socket.getaddrinfo("example.com", 80)
            except OSError:
                pass
        """,
        "reached beyond loopback: example.com",
    ),
    "address": (
        """
        import socket

        def test_fault():
            with socket.socket() as sock:
                sock.settimeout(0.1)
                try:
                    sock.connect(("192.0.2.1", 80))
                except OSError:
                    pass
        """,
        "reached beyond loopback: 192.0.2.1",
    ),
}


@pytest.fixture(scope="module")
def reports(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Run all faults once under our conftest.py; return what was said of each."""
    place = tmp_path_factory.mktemp("faults")
    (place / "pytest.ini").write_text(SETTINGS)
    shutil.copy(HERE / "conftest.py", place)
    for number, (body, _) in enumerate(FAULTS.values()):
        (place / f"test_{number}.py").write_text(textwrap.dedent(body))
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "--junitxml=report.xml"]
    subprocess.run(command, cwd=place, capture_output=True, check=False)
    said = dict.fromkeys(FAULTS, "")
    names = list(FAULTS)
    for case in ET.parse(place / "report.xml").iter("testcase"):
        complaints = [child for child in case if child.tag in {"failure", "error"}]
        name = names[int(case.attrib["classname"].removeprefix("test_"))]
        said[name] += "".join(f"{each.get('message')}\n{each.text}" for each in complaints)
    return said


@pytest.mark.parametrize("fault", FAULTS)
def test_what_a_test_leaves_behind_fails_it(fault: str, reports: dict[str, str]) -> None:
    words = FAULTS[fault][1]
    assert words in reports[fault]
    assert bool(reports[fault]) == bool(words)  # "nothing" is no fault


async def test_mocked_http_answers_without_a_socket(mocked_http) -> None:
    import aiohttp

    mocked_http.get("https://api.invalid/things", payload={"things": []})
    async with aiohttp.ClientSession() as client, client.get("https://api.invalid/things") as got:
        assert await got.json() == {"things": []}

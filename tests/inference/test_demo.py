"""What the page of ``msclnet demo`` answers, and to whom; tests/browser/test_demo.py looks at it."""

from __future__ import annotations

import re
import socket
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from msclnet.cli import main
from msclnet.inference.demo import LARGEST
from tests.datasets import trees
from tests.patience import PATIENCE
from tests.servers import demo_page

pytest.importorskip("uvicorn", reason="needs the optional dependencies `demo`")
pytest.importorskip("starlette", reason="needs the optional dependencies `demo`")


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """In a folder whose name would decide the modality of what lies in it."""
    return trees.regdb(tmp_path_factory.mktemp("demo") / "people")


@pytest.fixture(scope="module")
def address(images: Path, model: Path) -> Iterator[str]:
    with demo_page(images.parent, "--model", model, "--gallery", images, "--cache", images.parent / "cache") as address:
        yield address


def ask(address: str, content: bytes | None = None, **headers: str) -> tuple[int, str]:
    request = urllib.request.Request(address, content, headers)
    try:
        with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
            return answer.status, answer.read().decode(errors="replace")
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode(errors="replace")


def test_a_photographs_modality_and_its_matches(address: str, images: Path) -> None:
    for folder, taken, other in (("Thermal", "Infrared", "Visible"), ("Visible", "Visible", "Thermal")):
        photograph = next((images / folder / "1").glob("*.bmp")).read_bytes()
        status, text = ask(f"{address}search?top=3", photograph)
        assert status == 200
        assert f"<h2>{taken} query (by its colours), found among the " in text
        found = re.findall(r'href="(original/[^"]+)"', text)
        assert len(found) == 3
        assert all(link.startswith(f"original/{other}/") for link in found)
        assert ask(address + found[0])[0] == 200
        assert "<h2>Visible query (as stated)" in ask(f"{address}search?modality=visible", photograph)[1]


def test_what_is_no_image_is_said(address: str) -> None:
    status, text = ask(f"{address}search", b"hello")
    assert status == 422
    assert "the photograph: not a readable image (none of BMP, JPEG, PNG, TIFF, WEBP)" in text
    assert ask(f"{address}search?top={'9' * 5000}&modality=x", b"")[0] == 422


def test_more_than_a_photograph_is_not_read(address: str) -> None:
    status, text = ask(f"{address}search", bytes(LARGEST + 1))
    assert (status, "more than 64 MiB" in text) == (413, True)


def test_nobody_else_is_answered(address: str, images: Path) -> None:
    """Neither who has not the address, nor another site's page, nor one that calls itself by this machine's address."""
    root = re.match(r"http://[^/]+/", address)[0]
    assert ask(root)[0] == 404
    assert ask(f"{root}{'x' * 22}/")[0] == 404
    assert ask(address, Host="evil.example")[0] == 400
    assert ask(f"{address}search", b"x", Origin="http://evil.example")[0] == 403
    for path in ("../../etc/passwd", "..%2f..%2fetc%2fpasswd", "%2fetc%2fpasswd", f"{images}/Visible", "idx"):
        assert ask(f"{address}original/{path}")[0] == 404
    with urllib.request.urlopen(address, timeout=PATIENCE) as answer:
        assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
        assert "http" not in answer.read().decode()


def test_it_listens_on_the_loopback_interface_alone(address: str) -> None:
    port = int(re.search(r":(\d+)/", address)[1])
    listening = {
        connection.laddr.ip
        for connection in psutil.net_connections("inet")
        if connection.status == psutil.CONN_LISTEN and connection.laddr.port == port
    }
    assert listening == {"127.0.0.1"}


def test_a_taken_port_is_said_before_anything_is_embedded(
    images: Path, model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        cache = tmp_path / "cache"
        arguments = ["--model", str(model), "--gallery", str(images), "--cache", str(cache)]
        assert main(["demo", "--port", port, *arguments]) == 1
    assert f"--port {port}: Address already in use; name another, or 0 for any that is free" in capsys.readouterr().err
    assert not cache.exists()

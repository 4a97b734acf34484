"""The command ``msclnet demo``: a page on this machine where a photograph is dropped and its matches are seen.

The page is served on the loopback interface alone, under an address with a secret in it, so that other users of the
machine do not find it. Requests that another site's page sends, or that come under another host's name, are refused.
A photograph that is dropped is kept in no file longer than its search, and the page loads nothing from a network.
"""

from __future__ import annotations

import errno
import html
import mimetypes
import os
import secrets
import socket
import sys
import tempfile
import urllib.parse
from collections import Counter
from pathlib import Path, PurePath
from typing import TYPE_CHECKING

from msclnet.core.errors import UserError
from msclnet.core.optional import extra
from msclnet.core.types import Modality
from msclnet.data.depth import DeepRange
from msclnet.data.images import decode
from msclnet.data.modality import colourfulness, decide
from msclnet.evaluation.embedding import image_size
from msclnet.inference.card import RESPONSIBLE
from msclnet.inference.gallery import Answer, Gallery
from msclnet.inference.info import caution
from msclnet.inference.page import STYLE, Pictures, escape, heading

if TYPE_CHECKING:
    from starlette.applications import Starlette

HOST = "127.0.0.1"
LARGEST = 64 * 2**20  # bytes of a photograph
TOP, MOST = 10, 100  # matches that are shown, and at most
SCRIPT = """
const drop = document.getElementById("drop"), file = document.getElementById("file")
const result = document.getElementById("result"), preview = document.getElementById("preview")
const modality = document.getElementById("modality"), top_ = document.getElementById("top")
let photograph = null, latest = 0

async function search() {
  if (!photograph) return
  const mine = ++latest
  if (preview.src) URL.revokeObjectURL(preview.src)
  preview.src = URL.createObjectURL(photograph)
  preview.alt = photograph.name
  result.setAttribute("aria-busy", "true")
  const asked = new URLSearchParams({ modality: modality.value, top: top_.value })
  let text
  try {
    const response = await fetch("search?" + asked, { method: "POST", body: photograph })
    text = await response.text()
  } catch {
    text = '<p class="caution">No answer: is msclnet demo still running in its terminal?</p>'
  }
  if (mine !== latest) return
  result.innerHTML = text
  result.removeAttribute("aria-busy")
}

function take(files) { if (files.length) { photograph = files[0]; search() } }
file.addEventListener("change", () => take(file.files))
modality.addEventListener("change", search)
top_.addEventListener("change", search)
document.addEventListener("dragover", event => { event.preventDefault(); drop.classList.add("over") })
document.addEventListener("dragleave", () => drop.classList.remove("over"))
document.addEventListener("drop", event => {
  event.preventDefault()
  drop.classList.remove("over")
  take(event.dataTransfer.files)
})
"""
OWN_STYLE = """
#drop { border: 2px dashed var(--line); border-radius: .5rem; padding: 1rem; display: flex; flex-wrap: wrap;
  gap: 1rem 2rem; align-items: end }
#drop.over { border-color: currentColor; background: color-mix(in srgb, currentColor 8%, transparent) }
#preview { height: 8rem; width: auto; margin: 0 }
#preview:not([src]) { display: none }
#result { min-height: 18rem; margin: 1rem 0 }
#result[aria-busy] { opacity: .4 }
input, select { font: inherit }
"""


def demo(
    model: Path,
    folder: Path,
    port: int,
    modality: str | None = None,
    cache: Path | None = None,
    deep_range: DeepRange | None = None,
) -> None:
    """Embeds a folder and serves the page until it is interrupted; says its address on stdout.

    Args:
        model: a ``model.pt``.
        folder: the images to search in.
        port: of the loopback interface; 0 for any that is free.
        modality: of all images of the folder; by default each has its own.
        cache: where features are kept.
        deep_range: how grey images of more than 8 bits are mapped.

    Raises:
        UserError: the port is taken, or a library is not installed.
        DataError: there is no model, no folder, or no image in it.
    """
    with extra("demo"):
        import uvicorn
    listening = _listening(port)
    with listening:
        gallery = Gallery(folder, model, modality, cache=cache, deep_range=deep_range)
        secret = secrets.token_urlsafe(16)
        server = uvicorn.Server(uvicorn.Config(application(gallery, model, secret), log_level="warning"))
        address = f"http://{HOST}:{listening.getsockname()[1]}/{secret}/"
        print(f"{address}\nfor this machine and whoever has the address alone; Ctrl-C ends it", flush=True)
        try:
            server.run(sockets=[listening])
        except KeyboardInterrupt:  # raised again by the server when it has ended
            print("ended", file=sys.stderr)


def application(gallery: Gallery, model: Path, secret: str) -> Starlette:
    """What answers a browser.

    Args:
        gallery: the images searched; used in the thread that opened it.
        model: its file, to be named.
        secret: the first part of every address.

    Returns:
        The ASGI application.
    """
    with extra("demo"):
        from starlette.applications import Starlette
        from starlette.middleware import Middleware
        from starlette.middleware.trustedhost import TrustedHostMiddleware
        from starlette.requests import Request
        from starlette.responses import FileResponse, HTMLResponse, PlainTextResponse, Response
        from starlette.routing import Mount, Route

    nonce = secrets.token_urlsafe(16)
    policy = (
        f"default-src 'none'; script-src 'nonce-{nonce}'; style-src 'nonce-{nonce}'; img-src 'self' data: blob:; "
        "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
    guarded = {
        "Content-Security-Policy": policy,
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "no-referrer",
        "Cache-Control": "no-store",
    }

    async def show(_: Request) -> Response:
        return HTMLResponse(_page(gallery, model, nonce), headers=guarded)

    # Not in another thread: the gallery's database belongs to this one.
    async def search(request: Request) -> Response:
        if (origin := request.headers.get("origin")) and urllib.parse.urlsplit(origin).netloc != request.url.netloc:
            return PlainTextResponse("of another site's page: refused", 403)
        content = bytearray()
        async for part in request.stream():
            content += part
            if len(content) > LARGEST:
                return HTMLResponse(_said(f"more than {LARGEST // 2**20} MiB; expected a photograph"), 413, guarded)
        asked = request.query_params
        count = asked.get("top", "")[:4]
        top = min(max(int(count), 1), MOST) if count.isdecimal() else TOP
        flag = asked.get("modality") if asked.get("modality") in ("visible", "infrared") else None
        try:
            return HTMLResponse(_found(gallery, bytes(content), flag, top), headers=guarded)
        except UserError as error:
            return HTMLResponse(_said(str(error)), 422, guarded)

    async def original(request: Request) -> Response:
        path = request.path_params["path"]
        if path not in gallery.images:
            return PlainTextResponse("not in the gallery", 404)
        kind = mimetypes.guess_type(path)[0] or "application/octet-stream"
        return FileResponse(gallery.folder / path, media_type=kind, headers=guarded)

    routes = [
        Route("/", show),
        Route("/search", search, methods=["POST"]),
        Route("/original/{path:path}", original),
    ]
    hosts = Middleware(TrustedHostMiddleware, allowed_hosts=[HOST, "localhost"], www_redirect=False)
    return Starlette(routes=[Mount(f"/{secret}", routes=routes)], middleware=[hosts])


def _listening(port: int) -> socket.socket:
    try:
        return socket.create_server((HOST, port))
    except OSError as error:
        if error.errno not in (errno.EADDRINUSE, errno.EACCES):
            raise
        raise UserError(f"--port {port}: {os.strerror(error.errno)}; name another, or 0 for any that is free") from None


def _found(gallery: Gallery, content: bytes, flag: str | None, top: int) -> str:
    """The photograph's modality and its matches, as a part of a page."""
    # What it is called, or where it lies for a moment, says nothing of its modality.
    with tempfile.TemporaryDirectory() as folder:
        photograph = Path(folder, "photograph")
        photograph.write_bytes(content)
        try:
            pixels = decode(photograph, *image_size(gallery.network), gallery.deep_range)
            stated = None if flag is None else Modality.of(flag)
            decision = decide(PurePath("photograph"), colourfulness(pixels), stated)
            (answer,) = gallery.search([photograph], top, decision.modality)
        except UserError as error:
            raise UserError(str(error).replace(str(photograph), "the photograph")) from None
    return _section(gallery, answer._replace(decision=decision))


def _section(gallery: Gallery, answer: Answer) -> str:
    def address(file: Path) -> str:
        return f"original/{urllib.parse.quote(file.relative_to(gallery.folder).as_posix())}"

    doubt = ""
    if answer.decision.source == "uncertain":
        doubt = '<p class="caution">Its colours leave that uncertain: state the modality above, if you know it.</p>'
    return f"<h2>{heading(answer)}</h2>{doubt}\n{Pictures(gallery, address).hits(answer)}"


def _said(problem: str) -> str:
    return f'<p class="caution">{escape(problem)}</p>'


def _page(gallery: Gallery, model: Path, nonce: str) -> str:
    counts = Counter(decision.modality for decision in gallery.images.values())
    held = " and ".join(f"{counts[modality]:,} {modality.name.lower()}" for modality in Modality)
    why = caution(gallery.origin)
    note = " ".join(html.escape(RESPONSIBLE).split())
    return f"""<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<link rel="icon" href="data:,">
<title>Find a person in {escape(gallery.folder.name)}</title>
<style nonce="{nonce}">{STYLE}{OWN_STYLE}</style>
<h1>Find a person in {escape(str(gallery.folder))}</h1>
{f'<p class="caution">{escape(why)}.</p>' if why else ""}
<p>{held} images, model {escape(str(model))}. A visible photograph is looked for among the infrared images, an infrared
one among the visible. The photograph stays on this machine and is not kept.</p>
<div id="drop">
<img id="preview" alt="">
<label>Drop a photograph of one person anywhere on this page, or choose one:<br>
<input type="file" id="file" accept="image/bmp,image/jpeg,image/png,image/tiff,image/webp"></label>
<label>Modality<br>
<select id="modality"><option value="">as its colours say<option>visible<option>infrared</select></label>
<label>Matches<br><input type="number" id="top" value="{TOP}" min="1" max="{MOST}"></label>
</div>
<div id="result" aria-live="polite"></div>
<footer><h2>Before you use it on anyone</h2><p>{note}</p></footer>
<script nonce="{nonce}">{SCRIPT}</script>
</html>
"""

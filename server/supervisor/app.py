"""The routes: thin, each a few lines over the job queue."""

from __future__ import annotations

import asyncio
import json
import math
import time
import uuid
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, RedirectResponse, Response, StreamingResponse
from starlette.routing import Route

from gimp_plugin.wire import PROTOCOL, WireError, proof
from server.page.visitors import PADDED_BYTES, Visitors, keep_little_unread, padding_pause_s
from server.supervisor import intake, spool
from server.supervisor.effort import expected_s
from server.supervisor.guard import COOKIE, Guard, error_answer, is_visit
from server.supervisor.jobs import DONE, FINAL, Job, Jobs
from server.supervisor.worker_process import WorkerProcess
from server.wording import without_paths

MAX_BODY_BYTES = 2 << 30
HEARTBEAT_S = 1.0


@dataclass
class Engine:
    """What the routes serve.

    Args:
        jobs: the queue.
        worker: paints them.
        spool: folder of requests and results.
        token, nonce, version: see ``wire.Endpoint`` and ``wire.proof``.
        shut_down: stops the server.
        guard: set once the app is wrapped; gives the web page its cookie.
        page: where the web page is served, "http://127.0.0.1:PORT"; None = there is none.
        visitors: of the page.
    """

    jobs: Jobs
    worker: WorkerProcess
    spool: Path
    token: str
    nonce: str
    version: str
    shut_down: Callable[[], None]
    guard: Guard | None = field(default=None)
    page: str | None = field(default=None)
    visitors: Visitors = field(default_factory=Visitors)

    @property
    def status(self) -> str:
        """starting, ready, failed (the worker does not start; the next job tries again) or draining."""
        if self.jobs.is_draining:
            return "draining"
        if self.worker.has_failed:
            return "failed"
        return "ready" if self.worker.catalog is not None else "starting"

    def page_address(self) -> str | None:
        """An address that lets one browser into the web page; that given out before holds no more."""
        if self.page is None or self.guard is None:
            return None
        return f"{self.page}/login?code={self.guard.new_code()}"


def make_app(engine: Engine, lifespan: Any = None) -> Starlette:
    """The API over an engine, not yet guarded."""
    routes = [
        Route("/healthz", health),
        Route("/login", login),
        Route("/v1/catalog", show_catalog),
        Route("/v1/jobs/{id}", put_job, methods=["PUT"]),
        Route("/v1/jobs/{id}", show_job, methods=["GET"]),
        Route("/v1/jobs/{id}", delete_job, methods=["DELETE"]),
        Route("/v1/jobs/{id}/events", stream_events),
        Route("/v1/jobs/{id}/result", send_result),
        Route("/v1/page", open_page, methods=["POST"]),
        Route("/v1/shutdown", shut_down, methods=["POST"]),
    ]
    handlers: Any = {WireError: answer_wire_error, HTTPException: answer_http_error, Exception: answer_fault}
    app = Starlette(routes=routes, exception_handlers=handlers, lifespan=lifespan)
    app.router.redirect_slashes = False
    app.state.engine = engine
    return app


def engine_of(request: Request) -> Engine:
    """The engine behind a request."""
    engine: Engine = request.app.state.engine
    return engine


async def health(request: Request) -> Response:
    """Alive, how far, and proof of holding the token to a client that sent a challenge."""
    engine = engine_of(request)
    challenge = request.query_params.get("challenge", "")
    if len(challenge) > 128:
        raise WireError("bad_request", "A challenge has at most 128 characters.")
    answer = {"status": engine.status, "version": engine.version, "protocol": PROTOCOL}
    return JSONResponse(answer | {"proof": proof(engine.token, engine.nonce, challenge)})


async def login(request: Request) -> Response:
    """Trade the one-time code of the web page's address for a cookie."""
    engine = engine_of(request)
    if not is_visit(request.scope):  # else a program that looks ahead spends the code, and the user finds it spent
        raise WireError("forbidden", "This address works once, for the browser that opens it.")
    cookie = engine.guard.redeem(request.query_params.get("code", "")) if engine.guard else None
    if cookie is None:
        raise WireError(
            "unauthorized", "This address was used already or has expired: run `impasto serve --ui` for a new one."
        )
    response = RedirectResponse("/ui/", status_code=303, headers={"Cache-Control": "no-store"})
    response.set_cookie(COOKIE, cookie, httponly=True, samesite="strict", path="/")
    return response


async def show_catalog(request: Request) -> Response:
    """Methods and style presets."""
    catalog = engine_of(request).worker.catalog
    if catalog is None:
        raise WireError("starting", "The engine is still starting. Try again in a few seconds.")
    return JSONResponse({name: value for name, value in catalog.items() if name != intake.MODELS_FOLDER})


def job_id_of(request: Request) -> str:
    """The UUID in the path, in its one canonical form."""
    given: str = request.path_params["id"]
    try:
        if str(uuid.UUID(given)) == given:
            return given
    except ValueError:
        pass
    raise WireError("bad_request", "A job id is a UUID.")


def too_large(n_bytes: int) -> str:
    """What a user is told whose request is beyond ``MAX_BODY_BYTES``, which 100 megapixels of 8 or 16 bits are not."""
    return (
        f"The layer and its styles are {n_bytes / 1e9:.1f} GB, and the engine takes {MAX_BODY_BYTES / 1e9:.1f} GB. "
        "Select a smaller part, or convert the image to 8 bits a channel."
    )


async def put_job(request: Request) -> Response:
    """Take a request: 202, or 200 if the same one is known already."""
    engine, job_id = engine_of(request), job_id_of(request)
    engine.jobs.last_active = time.monotonic()
    is_known = job_id in engine.jobs.by_id
    if not is_known:
        engine.jobs.check_room()
    length = request.headers.get("content-length", "")
    if not (length.isascii() and length.isdigit() and len(length) < 20):
        raise WireError("bad_request", "A request needs its Content-Length.")
    if int(length) > MAX_BODY_BYTES:
        raise WireError("too_large", too_large(int(length)))
    path = engine.spool / f"{uuid.uuid4()}.request"
    try:
        check_head = intake.checker(engine.worker.catalog)
        digest = await spool.receive(request.stream(), int(length), path, check_head)
    except (ClientDisconnect, asyncio.TimeoutError) as error:
        raise WireError("bad_request", "The connection broke off in the middle of the request.") from error
    job = Job(job_id, digest, path, path.with_suffix(".result"), expected_s=expected_s(path))
    taken = None
    try:
        taken = engine.jobs.submit(job)
    finally:
        if taken is not job:
            spool.discard(path)
    return JSONResponse(engine.jobs.describe(taken), status_code=202 if taken is job else 200)


async def show_job(request: Request) -> Response:
    """A job as it stands."""
    engine = engine_of(request)
    job = engine.jobs.find(job_id_of(request))
    job.renew()
    return JSONResponse(engine.jobs.describe(job))


async def stream_events(request: Request) -> Response:
    """A line of JSON at each change, and at least once a second, until the job is final.

    What we send is no sign of life of the client. One that says ``Impasto-Renews: 1`` asks for its job now and then,
    and only that counts. Of one that just listens we see what it reads: lines are padded so that unread ones soon fill
    the socket's buffers, and then the job is no longer renewed.
    """
    engine = engine_of(request)
    job = engine.jobs.find(job_id_of(request))
    job.renew()
    is_padded = request.headers.get("impasto-renews") != "1"
    pause_s = padding_pause_s(job.lease_s) if is_padded else min(HEARTBEAT_S, job.lease_s / 3)
    if is_padded:
        keep_little_unread(request.scope)

    async def lines() -> AsyncIterator[bytes]:
        job.n_listeners += 1
        padded_at = -math.inf
        try:
            while True:
                changed = job.changed
                line = json.dumps(engine.jobs.describe(job)).encode()
                if is_padded and time.monotonic() - padded_at >= pause_s:
                    padded_at = time.monotonic()
                    line = line.ljust(PADDED_BYTES)
                yield line + b"\n"
                if is_padded:
                    job.renew_by_listening()
                if job.state in FINAL:
                    return
                try:
                    await asyncio.wait_for(changed.wait(), pause_s)
                except asyncio.TimeoutError:
                    continue
        finally:
            job.n_listeners -= 1
            if job.state not in FINAL and not job.n_listeners:
                job.client_left()

    return StreamingResponse(lines(), media_type="application/x-ndjson")


async def send_result(request: Request) -> Response:
    """The result's frame."""
    engine = engine_of(request)
    job = engine.jobs.find(job_id_of(request))
    job.renew()
    if job.state != DONE:
        raise job.error or WireError("conflict", "This job is not done yet.")
    headers = {"Content-Length": str(job.result.stat().st_size)}
    return StreamingResponse(spool.send(job.result), media_type="application/octet-stream", headers=headers)


async def delete_job(request: Request) -> Response:
    """Cancel a job, and forget it."""
    engine = engine_of(request)
    job = engine.jobs.find(job_id_of(request))
    engine.jobs.forget(job)
    return JSONResponse(engine.jobs.describe(job))


async def open_page(request: Request) -> Response:
    """A new way into the web page. An engine without one makes room for one that has it, unless it is at work."""
    engine = engine_of(request)
    address = engine.page_address()
    if address is None:
        if engine.jobs.by_id:
            raise WireError("busy", "The engine is painting for GIMP: run this again when it is done.")
        engine.shut_down()
    return JSONResponse({"address": address}, status_code=200 if address else 202)


async def shut_down(request: Request) -> Response:
    """Stop the engine once this answer is out."""
    engine_of(request).shut_down()
    return JSONResponse({"status": "draining"}, status_code=202)


def error_response(request: Request, error: WireError, job_id: str | None) -> Response:
    """An error body: a code, a sentence, the job; never a path or a traceback. A browser gets a page with the sentence.

    The sentence may quote what the client sent, which may be a path too: see ``without_paths``.
    """
    shown = WireError(error.code, without_paths(error.message))
    status, headers, body = error_answer(request.scope, shown, job_id)
    return Response(body, status, headers)


async def answer_wire_error(request: Request, error: Exception) -> Response:
    """A refusal."""
    if not isinstance(error, WireError):
        raise error
    return error_response(request, error, request.path_params.get("id"))


async def answer_http_error(request: Request, error: Exception) -> Response:
    """Starlette's own refusals (no such path, no such method) in our words."""
    status = error.status_code if isinstance(error, HTTPException) else 400
    code = {404: "not_found", 405: "bad_request"}.get(status, "bad_request")
    answer = error_response(request, WireError(code, "The engine has nothing under this address."), None)
    answer.status_code = status
    return answer


async def answer_fault(request: Request, error: Exception) -> Response:
    """A fault of ours; Starlette logs it."""
    return error_response(request, WireError("failed", "The engine met a fault of its own. Its log says more."), None)

"""Nobody talks to the engine but who holds its token, and no web page makes a browser do so."""

from __future__ import annotations

import asyncio
import uuid
from pathlib import Path

import pytest

from gimp_plugin import wire
from server.supervisor import guard as guard_module
from server.supervisor.app import Engine, make_app
from server.supervisor.guard import Guard
from server.supervisor.jobs import Jobs
from server.supervisor.worker_process import WorkerProcess
from tests.server.running_engine import Answer, Headers, RunningEngine, frame_of, picture_request

JOB = f"/v1/jobs/{uuid.uuid4()}"
OPEN = [("GET", "/healthz"), ("GET", "/login")]
GUARDED = [
    ("GET", "/v1/catalog"),
    ("PUT", JOB),
    ("GET", JOB),
    ("DELETE", JOB),
    ("GET", f"{JOB}/events"),
    ("GET", f"{JOB}/result"),
    ("POST", "/v1/page"),
    ("POST", "/v1/shutdown"),
    ("GET", "/"),
    ("GET", "/ui/"),
    ("GET", "/no/such/address"),
]
BODY = frame_of(picture_request())


def knock(engine: RunningEngine, method: str, path: str, headers: Headers) -> Answer:
    """Ask; where that is how it goes, with a body that would be taken."""
    answer = engine.ask(method, path, BODY if method == "PUT" else None, headers)
    assert b"Traceback" not in answer.body and str(engine.folder).encode() not in answer.body
    assert "access-control-allow-origin" not in answer.headers
    return answer


@pytest.mark.parametrize(("method", "path"), GUARDED)
def test_without_the_token_every_route_is_closed(engine: RunningEngine, method: str, path: str) -> None:
    token = engine.token
    wrong = [
        [],
        [("Authorization", "")],
        [("Authorization", token)],
        [("Authorization", f"Bearer {token[:-1]}")],
        [("Authorization", f"Bearer {token}0")],
        [("Authorization", f"Bearer {token.upper()}")] if token.upper() != token else [],
        [("Authorization", f"bearer {token}")],
        [("Authorization", f"Basic {token}")],
        [("Authorization", "Bearer " + "0" * 64)],
        [("Authorization", "Bearer " + "\xff" * 64)],
        [("Cookie", f"impasto={token}")],
        [("Cookie", "impasto=")],
        [("Cookie", 'impasto="\\377"; ' + "x" * 2000)],
        [("X-Authorization", f"Bearer {token}")],
    ]
    for headers in wrong:
        answer = knock(engine, method, path, headers)
        assert (answer.status, answer.code) == (401, "unauthorized"), headers


@pytest.mark.parametrize(("method", "path"), OPEN + GUARDED)
def test_another_host_name_is_refused_even_with_the_token(engine: RunningEngine, method: str, path: str) -> None:
    """DNS rebinding (Ollama CVE-2024-28224): the page's name leads here, and the browser says that name."""
    port = engine.port
    hosts = [
        f"rebind.example:{port}", "rebind.example", "127.0.0.1", "localhost", "127.0.0.1:", "127.0.0.1:0",
        "localhost:x", "127.0.0.1:65536", "127.0.0.1:-1", f"127.0.0.1:{port}:{port}", f"127.0.0.2:{port}",
        "127.0.0.1:\xb2", f" :{port}", f":{port}",
        f"127.0.0.1.nip.example:{port}", f"localhost.example:{port}", f"127.0.0.1:{port}.example",
        f"user@127.0.0.1:{port}", f"127.0.0.1:{port}@example", f"0.0.0.0:{port}", f"[::1]:{port}", f"127.1:{port}",
        f"LOCALHOST:{port}", f"localhost.:{port}", f"127.0.0.1:0{port}", "",
    ]  # fmt: skip
    for host in hosts:
        answer = knock(engine, method, path, [*engine.authorized, ("Host", host)])
        assert (answer.status, answer.code) == (421, "wrong_host"), host


@pytest.mark.parametrize(("method", "path"), OPEN + GUARDED)
def test_another_web_page_is_refused_even_with_the_token(engine: RunningEngine, method: str, path: str) -> None:
    port = engine.port
    origins = [
        "https://example.com", "null", "", "http://localhost", f"https://127.0.0.1:{port}", f"http://LOCALHOST:{port}",
        f"http://127.0.0.1:{port + 1}", f"http://localhost:{port}",
        f"http://127.0.0.1:{port}.example", f"http://127.0.0.1:{port}/", "file://",
    ]  # fmt: skip
    pages = [("Origin", origin) for origin in origins]
    sites = [("Sec-Fetch-Site", site) for site in ("cross-site", "same-site", "", "Same-Origin")]
    for header in pages + sites:
        answer = knock(engine, method, path, [*engine.authorized, header])
        assert (answer.status, answer.code) == (403, "forbidden"), header


@pytest.mark.parametrize(("method", "path"), OPEN + GUARDED)
def test_a_header_given_twice_is_never_right(engine: RunningEngine, method: str, path: str) -> None:
    host, token = ("Host", f"127.0.0.1:{engine.port}"), engine.authorized[0]
    doubled = [
        [host, host, token],
        [host, ("Host", "rebind.example"), token],
        [host, token, ("Origin", f"http://127.0.0.1:{engine.port}"), ("origin", "https://example.com")],
        [host, token, ("Sec-Fetch-Site", "none"), ("SEC-FETCH-SITE", "cross-site")],
    ]
    if (method, path) in GUARDED:
        doubled += [
            [host, token, token],
            [host, token, ("authorization", "Bearer 0")],
            [host, *[("Cookie", "a=b")] * 2],
        ]
    for headers in doubled:
        assert knock(engine, method, path, headers).status == 400, headers


def test_our_own_names_are_answered(engine: RunningEngine) -> None:
    port, token = engine.port, engine.authorized[0]
    for headers in (
        [token],
        [("authorization", token[1])],
        [token, ("Host", f"localhost:{port}")],
        [token, ("Host", f"localhost:{port}"), ("Origin", f"http://localhost:{port}")],
        [token, ("Origin", f"http://127.0.0.1:{port}"), ("Sec-Fetch-Site", "same-origin")],
        [token, ("Sec-Fetch-Site", "none")],
        [token, ("Host", "127.0.0.1:9000"), ("Origin", "http://127.0.0.1:9000")],  # ssh -L 9000:127.0.0.1:PORT
        [token, ("Host", "localhost:1"), ("Sec-Fetch-Site", "same-origin")],
    ):
        assert engine.ask("GET", "/v1/catalog", headers=headers).status == 200, headers


@pytest.mark.parametrize(
    "path",
    ["/V1/catalog", "/healthz/", "//healthz", "/healthz/../v1/catalog", "/healthz%2f..%2fv1%2fcatalog",
     "/%76%31/catalog", "/v1/catalog?x=/healthz", "/v1/catalog#/healthz", "/v1//catalog", "/v1/catalog/", "/HEALTHZ",
     "http://127.0.0.1/healthz", "/v1/catalog%00", "/v1/catalog;/healthz"],
)  # fmt: skip
def test_no_spelling_of_an_address_goes_round_the_token(engine: RunningEngine, path: str) -> None:
    answer = engine.ask("GET", path, headers=[("Host", f"127.0.0.1:{engine.port}")])
    assert (answer.status, answer.code) == (401, "unauthorized")


@pytest.mark.parametrize("host", ["127.0.0.1:9000", "localhost:9000"])
def test_a_forwarded_port_opens_nothing_to_other_pages(engine: RunningEngine, host: str) -> None:
    """Any port may be in the Host, but the Origin must be that of the very Host, and the token is still asked for."""
    port, token = engine.port, engine.authorized[0]
    assert knock(engine, "GET", "/v1/catalog", [("Host", host)]).status == 401
    assert knock(engine, "GET", "/v1/catalog", [("Host", host), token]).status == 200
    for origin in (f"http://127.0.0.1:{port}", "http://127.0.0.1:9001", "http://e.example:9000", f"https://{host}"):
        answer = knock(engine, "GET", "/v1/catalog", [("Host", host), token, ("Origin", origin)])
        assert (answer.status, answer.code) == (403, "forbidden"), origin


def test_a_preflight_is_refused(engine: RunningEngine) -> None:
    headers = [("Origin", "https://example.com"), ("Access-Control-Request-Method", "PUT")]
    answer = knock(engine, "OPTIONS", JOB, headers)
    assert answer.status == 403 and not any(name.lower().startswith("access-control") for name in answer.headers)


def test_a_holder_of_the_token_proves_it_before_it_is_sent(engine: RunningEngine) -> None:
    assert engine.endpoint is not None
    answer = engine.ask("GET", "/healthz?challenge=00ff", headers=[]).json
    # the promise of wire.proof, spelled out with the standard library
    import hashlib
    import hmac

    message = f"{engine.endpoint.nonce}:00ff".encode()
    assert answer["proof"] == hmac.new(engine.token.encode(), message, hashlib.sha256).hexdigest()
    assert (answer["status"], answer["protocol"]) == ("ready", wire.PROTOCOL)
    assert engine.ask("GET", "/healthz?challenge=00fe", headers=[]).json["proof"] != answer["proof"]
    assert engine.ask("GET", f"/healthz?challenge={'0' * 129}", headers=[]).status == 400
    assert engine.token not in str(answer)


def test_nothing_that_was_refused_had_an_effect(engine: RunningEngine) -> None:
    """The last test of the shared engine that the others knocked at: it is not stopped and knows no job."""
    assert engine.status == "ready"
    assert engine.ask("GET", JOB).status == 404


# --- in process: what would take half a minute, or a browser


async def call(
    app: Guard, path: str, headers: Headers = (), body: list[bytes] | None = None, method: str = "GET"
) -> Answer:
    """One request as ASGI; a body that is given never ends, it stops coming."""
    import http.client

    sent: list[dict[str, object]] = []
    chunks = list(body or [])

    async def receive() -> dict[str, object]:
        if body is None:
            return {"type": "http.request", "body": b"", "more_body": False}
        if not chunks:
            await asyncio.sleep(60)
        return {"type": "http.request", "body": chunks.pop(0), "more_body": True}

    async def send(message: object) -> None:
        assert isinstance(message, dict)
        sent.append(message)

    path, _, query = path.partition("?")
    names = {name.lower() for name, _ in headers}
    sent_headers = [*headers] if "host" in names else [("host", "127.0.0.1:1234"), *headers]
    scope = {
        "type": "http",
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": query.encode(),
        "root_path": "",
        "server": ("127.0.0.1", 1234),
        "client": ("127.0.0.1", 1),
        "headers": [(name.lower().encode(), value.encode()) for name, value in sent_headers],
    }
    await app(scope, receive, send)
    answered = http.client.HTTPMessage()
    for name, value in sent[0]["headers"]:  # type: ignore[attr-defined]
        answered[name.decode()] = value.decode()
    return Answer(sent[0]["status"], answered, b"".join(part.get("body", b"") for part in sent[1:]))  # type: ignore[arg-type, misc]


@pytest.fixture
def guarded(tmp_path: Path) -> Guard:
    """The app without a server and without a worker."""
    jobs = Jobs()
    worker = WorkerProcess(["false"], jobs, tmp_path / "worker.log")
    engine = Engine(jobs, worker, tmp_path, token="t" * 64, nonce="n", version="0", shut_down=lambda: None)
    engine.guard = Guard(make_app(engine), engine.token)
    return engine.guard


def test_the_code_of_the_page_buys_one_cookie_once(guarded: Guard) -> None:
    async def story() -> None:
        code = guarded.new_code()
        assert (await call(guarded, "/login?code=wrong")).status == 401
        assert (await call(guarded, "/login")).status == 401
        answer = await call(guarded, f"/login?code={code}")
        cookie = answer.headers["set-cookie"]
        assert answer.status == 303 and answer.headers["location"] == "/ui/"
        assert "httponly" in cookie.lower() and "samesite=strict" in cookie.lower() and "domain" not in cookie.lower()
        assert (await call(guarded, f"/login?code={code}")).status == 401  # spent
        pair = cookie.partition(";")[0]
        assert (await call(guarded, "/ui/", [("Cookie", pair)])).status == 404  # past the guard: no page is mounted
        assert (await call(guarded, "/ui/", [("Cookie", pair[:-1])])).status == 401
        assert (await call(guarded, "/ui/", [("Cookie", pair), ("Origin", "http://e.example")])).status == 403
        for path in ("/v1/catalog", "/v1/page", "/uix", "/"):  # other ports of this computer get the cookie too
            assert (await call(guarded, path, [("Cookie", pair)])).status == 401

    asyncio.run(story())


LOOKS_AHEAD = [
    ("HEAD", []),
    ("OPTIONS", []),
    ("GET", [("Sec-Purpose", "prefetch")]),
    ("GET", [("Sec-Purpose", "prefetch;prerender")]),
    ("GET", [("Purpose", "prefetch")]),
    ("GET", [("X-Purpose", "preview")]),
    ("GET", [("X-Moz", "prefetch")]),
    ("GET", [("Sec-Fetch-Mode", "no-cors")]),
]


@pytest.mark.parametrize(("method", "headers"), LOOKS_AHEAD)
def test_a_program_that_looks_ahead_does_not_spend_the_code(guarded: Guard, method: str, headers: Headers) -> None:
    async def story() -> None:
        address = f"/login?code={guarded.new_code()}"
        ahead = await call(guarded, address, headers, method=method)
        assert "set-cookie" not in ahead.headers and ahead.status in (403, 405)
        visit = await call(guarded, address, [("Sec-Fetch-Mode", "navigate"), ("Sec-Fetch-Site", "none")])
        assert visit.status == 303 and visit.headers["cache-control"] == "no-store"

    asyncio.run(story())


@pytest.mark.parametrize("path", ["/login?code=old", "/login", "/ui/", "/ui", "/", "/ui/nothing"])
def test_a_browser_that_is_not_let_in_reads_a_sentence_and_not_json(guarded: Guard, path: str) -> None:
    answer = asyncio.run(call(guarded, path, [("Accept", "text/html,application/xhtml+xml,*/*;q=0.8")]))
    page = answer.body.decode()
    assert answer.status == 401 and answer.headers["content-type"] == "text/html; charset=utf-8"
    assert page.startswith("<!doctype html>") and "run `impasto serve --ui`" in page
    assert "{" not in page.split("<main>")[1]
    assert "script" not in page and "default-src 'none'" in answer.headers["content-security-policy"]
    assert asyncio.run(call(guarded, path)).code == "unauthorized"  # who asks for no page gets the code


def test_what_a_browser_is_shown_is_text_and_never_markup(guarded: Guard) -> None:
    error = wire.WireError("bad_request", "<script>x</script> \ud800")
    scope = {"headers": [(b"accept", b"text/html")]}
    _, _, body = guard_module.error_answer(scope, error)
    assert b"<script>" not in body and b"&lt;script&gt;" in body


def test_a_body_that_stops_coming_is_given_up(guarded: Guard, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guard_module, "IDLE_S", 0.05)
    headers = [("Authorization", "Bearer " + "t" * 64), ("Content-Length", str(len(BODY)))]
    answer = asyncio.run(call(guarded, JOB, headers, [BODY[:40], BODY[40:90]], method="PUT"))
    assert (answer.status, answer.code) == (400, "bad_request")
    assert list(tmp_path.iterdir()) == []

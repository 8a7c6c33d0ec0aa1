def app(
    models: Models,
    *,
    keys: Iterable[str] = (),
    max_body_bytes: int = MAX_BODY_BYTES,
    max_requests: int = MAX_REQUESTS,
    load: bool = True,
) -> Starlette: ...
def run(
    models: Models,
    *,
    host: str = "127.0.0.1",
    port: int = 8000,
    keys: Iterable[str] | None = None,
    max_body_bytes: int = MAX_BODY_BYTES,
    max_requests: int = MAX_REQUESTS,
    log_level: str = "info",
) -> None: ...

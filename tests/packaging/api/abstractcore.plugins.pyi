class Endpoint:
    codec: Codec
    url: str
    key: str | None
    url_variables: tuple[str, ...]
    prefix: str
    key_header: str
    key_prefix: str
    headers: Mapping[str, str]
    is_local: bool
    foreign_suffix: str
    apis: Mapping[str, Codec]
    embeddings: Embeddings | None
    prices: str | None
    batches: BatchCodec | None
    def __init__(
        self,
        codec: Codec,
        url: str,
        key: str | None = None,
        url_variables: tuple[str, ...] = (),
        prefix: str = "",
        key_header: str = "Authorization",
        key_prefix: str = "Bearer ",
        headers: Mapping[str, str] = dict[str, str](),
        is_local: bool = False,
        foreign_suffix: str = "",
        apis: Mapping[str, Codec] = dict[str, Codec](),
        embeddings: Embeddings | None = None,
        prices: str | None = None,
        batches: BatchCodec | None = None,
    ) -> None: ...
    ...

class Engine:
    formats: tuple[str, ...]
    options: tuple[str, ...]
    extra: str | None
    packages: tuple[str, ...]
    most: int | None
    sees: tuple[str, ...]
    embeddings: tuple[str, str] | None
    module: str | None
    def __init__(
        self,
        formats: tuple[str, ...],
        options: tuple[str, ...] = (),
        extra: str | None = None,
        packages: tuple[str, ...] = (),
        most: int | None = None,
        sees: tuple[str, ...] = (),
        embeddings: tuple[str, str] | None = None,
        module: str | None = None,
    ) -> None: ...
    ...

GROUP: Any

class InstalledPlugin:
    name: str
    package: str
    problem: str | None
    def __init__(self, name: str, package: str, problem: str | None = None) -> None: ...
    ...

def installed() -> list[InstalledPlugin]: ...

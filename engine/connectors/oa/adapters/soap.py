"""One way to a SOAP service: zeep over the adapters' own HTTP.

zeep knows WSDL, types and envelopes. Its own exchange logs whole envelopes, follows proxies of the environment, reads
answers without limit and costs thrice the time, so the envelopes go over `http` like all else that adapters send.
Values are built by the types of the WSDL, which refuse names that they don't know, where a dict would lose them.
"""

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import zeep
from lxml import etree
from requests_toolbelt.multipart.decoder import ImproperBodyPartContentException, NonMultipartContentTypeException
from zeep import exceptions
from zeep.wsdl.utils import etree_to_string

from engine.connectors.oa.adapters import errors
from engine.connectors.oa.adapters.http import Answer, Http, by_status, clipped
from engine.connectors.oa.adapters.protocol import Take, Unknown
from engine.connectors.oa.adapters.site import Site
from engine.connectors.oa.adapters.texts import clean
from engine.outbox import Configuration, Permanent

SHIPPED = Path(__file__).parent / "wsdl"
"""The WSDL files of the products as they are usually delivered."""
_MAX_FILE = 4_000_000  # bytes
_UNREADABLE = (  # zeep stumbles over what it doesn't expect
    LookupError,
    TypeError,
    ValueError,
    AttributeError,
    RecursionError,
    NonMultipartContentTypeException,
    ImproperBodyPartContentException,
)
_SETTINGS = zeep.Settings(strict=True, forbid_dtd=True, forbid_entities=True, forbid_external=True, force_https=False)


@dataclass(frozen=True, slots=True)
class Product:
    """What a product's WSDL calls its service, and where that is."""

    wsdl: str  # name of the shipped file
    service: str
    port: str
    path: str  # below the site's address


@dataclass(frozen=True, slots=True)
class _Reply:
    """An answer as zeep reads it."""

    status_code: int
    content: bytes
    headers: Mapping[str, str]
    encoding: str = "utf-8"


@dataclass(frozen=True, slots=True)
class _Bound:
    """A service that is ready to be called, and its types by their names."""

    operations: Mapping[str, Callable[..., Any]]
    types: Mapping[str, Any]


class Soap:
    """A site's SOAP service. Used by several threads at once; the WSDL is read at the first call.

    `wsdl` names a file in the site's folder, "" the shipped one; `header` is put into the head of each envelope.
    """

    def __init__(
        self, site: Site, take: Take, product: Product, *, wsdl: str = "", header: etree._Element | None = None
    ) -> None:
        self._site, self._product = site, product
        self._file = site.folder / wsdl if wsdl else SHIPPED / product.wsdl
        self._named = f"{site.code}/{wsdl}" if wsdl else f"自带的 {product.wsdl}"
        self._headers = None if header is None else [header]
        self._http = Http(site, take)
        self._lock = threading.Lock()
        self._bound: _Bound | None = None

    def call(self, operation: str, *args: Any, hidden: tuple[str, ...] = ()) -> Any:
        """Return what an operation answers, as zeep reads it. `hidden`: as `errors.refused`.

        Raises as `Adapter.put` does.
        """
        operations = self._ready().operations
        if operation not in operations:
            raise self._misfit(f"没有操作 {operation}")
        try:
            return operations[operation](*args, _soapheaders=self._headers)
        except (exceptions.Error, _NoEnvelope, etree.Error, *_UNREADABLE) as error:
            found = self._sorted(error, hidden)
        raise found  # out here, so that the other, which may hold the whole answer, isn't even its context

    def value(self, name: str, **fields: str | int) -> Any:
        """Return a value of a complex type, its texts cleaned; raises Configuration for fields the WSDL hasn't."""
        kind = self._ready().types.get(name)
        if kind is None:
            raise self._misfit(f"没有类型 {name}")
        try:
            return kind(**{field: clean(value) if isinstance(value, str) else value for field, value in fields.items()})
        except TypeError:
            unknown = sorted(set(fields) - {field for field, _ in kind.elements})
        raise self._misfit(f"的类型 {name} 没有字段 {', '.join(unknown)}")

    def has(self, name: str, field: str) -> bool:
        """Whether a complex type has a field: the versions of a product differ."""
        kind = self._ready().types.get(name)
        return kind is not None and field in dict(kind.elements)

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def _ready(self) -> _Bound:
        with self._lock:
            if self._bound is None:
                self._bound = self._load()
            return self._bound

    def _load(self) -> _Bound:
        if not self._file.is_file():
            raise self._misfit("找不到")
        transport = _Transport(self._http, self._product.path, self._file.parent)
        try:
            client = zeep.Client(str(self._file), transport=transport, settings=_SETTINGS)
            binding = client.wsdl.services[self._product.service].ports[self._product.port].binding
            service = client.create_service(str(binding.name), self._site.address.rstrip("/") + self._product.path)
            space = etree.QName(str(binding.name)).namespace
            types = {
                kind.name: kind for kind in client.wsdl.types.types if kind.qname and kind.qname.namespace == space
            }
            return _Bound(dict(service), types)
        except KeyError as error:
            problem = f"里没有 {clipped(str(error))}"
        except (exceptions.Error, etree.Error, OSError, *_UNREADABLE) as error:
            problem = f"读不懂（{type(error).__name__}）"
        raise self._misfit(problem)

    def _misfit(self, problem: str) -> Configuration:
        where = f"{self._site.code} 文件夹"
        return Configuration(
            f"WSDL（{self._named}）{problem}。办法：从 OA 下载它自己的 WSDL（{self._product.path}?wsdl），"
            f'放进{where}，并在 site.toml 里写 wsdl = "文件名"。'
        )

    def _sorted(self, error: Exception, hidden: tuple[str, ...]) -> Exception:
        """Return the error for what zeep raises, whose text may hold the whole answer."""
        if isinstance(error, _NoEnvelope):
            return by_status(error.answer, *hidden)
        if isinstance(error, exceptions.Fault):
            ours = str(error.code or "").rpartition(":")[2] in ("Client", "Sender")  # SOAP 1.1, 4.4.1; 1.2, 5.4.6
            return errors.refused(str(error.message or ""), *hidden, unknown=Permanent if ours else Unknown)
        if isinstance(error, exceptions.ValidationError):
            return Permanent(f"WSDL（{self._named}）不接受这一项的内容：{clipped(str(error), *hidden)}")
        return Unknown(
            f"OA 的回答读不懂（{type(error).__name__}），不知是否已生效。WSDL（{self._named}）要与它的版本相符"
        )


class _NoEnvelope(Exception):
    """An answer whose status alone tells something: it comes from a proxy, or the server's container."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(answer.status)
        self.answer = answer


class _Transport(zeep.Transport):
    """zeep's way out, for envelopes; files it takes from beside the WSDL only, which may itself be the OA's."""

    def __init__(self, http: Http, path: str, folder: Path) -> None:
        super().__init__()
        self._http, self._path, self._folder = http, path, folder.resolve()

    def load(self, url: str) -> bytes:
        """Return a file's bytes. Raises OSError for what isn't a file of the folder, or is too large for one."""
        file = Path(url).resolve()
        if not (file.is_relative_to(self._folder) and file.is_file() and file.stat().st_size <= _MAX_FILE):
            raise OSError("no file of the WSDL's folder")
        return file.read_bytes()

    def post_xml(self, address: str, envelope: etree._Element, headers: Mapping[str, str]) -> _Reply:
        """Send an envelope, return the answer to it."""
        sent = {**headers, "Accept": "text/xml, application/soap+xml"}
        answer = self._http.ask("POST", self._path, headers=sent, content=etree_to_string(envelope))
        if answer.status != 200 and (answer.status != 500 or b"Envelope" not in answer.body):
            raise _NoEnvelope(answer)
        return _Reply(answer.status, answer.body, answer.headers)

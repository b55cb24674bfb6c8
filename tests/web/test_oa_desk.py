"""From the desk of each OA to the item: what that product's jump page adds lets its person in on our page."""

from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest

from engine.connectors import oa as connector
from engine.connectors.oa.adapters import KINDS
from engine.org.demo import CAST
from engine.settings import Settings
from sandbox.oa.server import Running
from tests.dsl import Bpm, dates
from tests.engine.connectors.desks import PRODUCTS, site
from tests.web.conftest import served

pytestmark = pytest.mark.backend("sqlite")
BASE = "http://testserver"


@pytest.mark.parametrize("kind", KINDS)
def test_a_row_of_the_desk_opens_its_item(bpm: Bpm, oa_sandbox: Running, kind: str, tmp_path: Path) -> None:
    bpm.deploy("leave_request")
    connector.install(bpm.db, Settings(base_url=BASE), [site(oa_sandbox, kind)])
    story = bpm.start("leave_request", by="nurse", leave_type="事假", reason="回家探亲", **dates(3, 4))
    bpm.work()
    head, name = CAST["head_nurse"], PRODUCTS[kind]
    [row] = oa_sandbox.state.oas[name].of(head.staff_number)
    asked = {"oa": name, "as": head.staff_number, "id": row.id}
    jump = httpx.get(f"{oa_sandbox.url}/desk/jump", params=asked)
    target = urlsplit(jump.headers["location"])
    with served(Settings(mode="demo", var=tmp_path, secure_cookie=False), bpm.db) as client:
        page = client.get(f"{target.path}?{target.query}", follow_redirects=True)
        assert urlsplit(str(page.url)).path == f"/items/{story.item('head_nurse').id}"
        assert head.name in client.get("/account").text
        client.cookies.clear()
        again = client.get(f"{target.path}?{target.query}", follow_redirects=True)
        assert urlsplit(str(again.url)).path != f"/items/{story.item('head_nurse').id}"  # once only

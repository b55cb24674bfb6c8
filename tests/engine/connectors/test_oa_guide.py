"""The guide for admins (docs/zh/旧OA.md): it names every setting, and its example is one that the service reads."""

import re
from pathlib import Path

import pytest
from pydantic import BaseModel

from engine.connectors.oa.adapters import KINDS
from engine.connectors.oa.adapters.paservice import Pull
from engine.connectors.oa.adapters.site import SignOn
from engine.connectors.oa.sites import encrypted, read
from engine.settings import ROOT

GUIDE = (ROOT / "docs/zh/旧OA.md").read_text("utf-8")
_GIVEN = {"code", "folder"}  # by where the file is


@pytest.mark.parametrize("model", [*(settings for settings, _ in KINDS.values()), SignOn, Pull])
def test_every_setting_is_explained(model: type[BaseModel]) -> None:
    named = set(re.findall(r"[a-z_]+", GUIDE))
    assert model.model_fields.keys() - _GIVEN - named == set()


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_is_named(kind: str) -> None:
    assert kind in GUIDE


def test_the_example_is_read(tmp_path: Path) -> None:
    [example] = re.findall(r"```toml\n(.*?)```", GUIDE, re.DOTALL)
    key = b"k" * 32
    sealed = example.replace("enc:……", encrypted(key, "ekp", "a secret of at least 16"))
    (tmp_path / "ekp").mkdir()
    (tmp_path / "ekp" / "site.toml").write_text(sealed, "utf-8")
    [site] = read(tmp_path, key)
    assert (site.name, site.poll, site.sign_on is not None) == ("集团 OA", True, True)

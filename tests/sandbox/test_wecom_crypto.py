"""Callbacks are encrypted as WeCom's documents, wechatpy and WeCom's own library for Node.js do it."""

import json
import shutil
import subprocess

import pytest
from wechatpy.enterprise.crypto import WeChatCrypto

from engine.settings import ROOT
from sandbox.wecom import crypto

TOKEN, KEY, CORP = "QDG6eK", "jWmYm7qr5nMoAUwZRjGtBxmz3KA1tkAj3ykkR6q2B2C", "wx5823bf96d3bd56c7"
ECHO = "P9nAzCzyDtyTWESHep1vC5X9xho/qYX3Zpb4yKa9SKld1DsH3Iyt3tP3zNdtp+4RPcs8TgAE7OaBO+FZXvnaqQ=="


def test_the_example_of_the_documents() -> None:
    signature = crypto.signature(TOKEN, "1409659589", "263014780", ECHO)
    assert signature == "5c45ff5e21c57e6ad56bac8758b79b1d9ac89fd3"
    assert crypto.decrypt(KEY, ECHO) == (b"1616140317555161061", CORP)


@pytest.mark.parametrize("length", [0, 1, 11, 12, 13, 31, 32, 33, 5000])
def test_every_length_comes_back(length: int) -> None:
    message = bytes(range(256)) * 20
    assert crypto.decrypt(KEY, crypto.encrypt(KEY, message[:length], CORP)) == (message[:length], CORP)


def test_wechatpy_reads_us_and_we_read_it() -> None:
    theirs = WeChatCrypto(TOKEN, KEY, CORP)
    ours = crypto.encrypt(KEY, "<xml><a>同意</a></xml>".encode(), CORP)
    envelope = f"<xml><Encrypt>{ours}</Encrypt></xml>"
    signature = crypto.signature(TOKEN, "1", "n", ours)
    assert theirs.decrypt_message(envelope, signature, "1", "n") == "<xml><a>同意</a></xml>"
    told = theirs.encrypt_message("hello", "n", "1").split("<Encrypt><![CDATA[")[1].split("]]>")[0]
    assert crypto.decrypt(KEY, told) == (b"hello", CORP)


def test_wecoms_library_for_node_reads_us_and_we_read_it() -> None:
    node = shutil.which("node")
    if node is None:
        pytest.skip("there is no node")
    ours = crypto.encrypt(KEY, "批阅".encode(), CORP)
    program = f"""
        const {{getSignature, decrypt, encrypt}} = require("@wecom/crypto");
        const {{message, id}} = decrypt("{KEY}", "{ours}");
        console.log(JSON.stringify({{message, id, signature: getSignature("{TOKEN}", 1, "n", "{ours}"),
                                     theirs: encrypt("{KEY}", "同意", "{CORP}")}}));
    """
    told = subprocess.run([node, "-e", program], cwd=ROOT, capture_output=True, check=True, text=True).stdout
    answer = json.loads(told)
    assert (answer["message"], answer["id"]) == ("批阅", CORP)
    assert answer["signature"] == crypto.signature(TOKEN, "1", "n", ours)
    assert crypto.decrypt(KEY, answer["theirs"]) == ("同意".encode(), CORP)


@pytest.mark.parametrize("text", ["", "?", "AAAA", ECHO[:-4], ECHO[4:], "A" * 88])
def test_nonsense_is_undecipherable_or_for_somebody_else(text: str) -> None:
    try:
        _, receiver = crypto.decrypt(KEY, text)
    except crypto.Undecipherable:
        return
    assert receiver != CORP

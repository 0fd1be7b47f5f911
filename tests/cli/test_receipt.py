"""`rotators receipt verify`: its output, its exit status and bad input; docs/how-to/receipts.md shows it."""

from __future__ import annotations

import functools
import json
import os
import sys
from pathlib import Path

import pytest

from rotators.local.aws import LocalAws
from rotators.receipts.envelope import Envelope
from rotators.receipts.statement import decoded
from rotators.receipts.storage import StoredReceipt
from tests.cli.command import Done, command
from tests.cli.documented import ROOT, SESSION, compare, lines, plain
from tests.receipts.chains import ARN, Key, chain, changed
from tests.receipts.scene import Scene, registered

PAGE = ROOT / "docs" / "how-to" / "receipts.md"
INFINITE = b'{"chains": [{"folder": "a", "newest": {"number": Infinity, "digest": ""}}]}'
SHOP = ARN.replace("prod/db", "prod/shop")
KEY = Key()


def save(folder: Path, files: list[StoredReceipt]) -> None:
    for file in files:
        (folder / file.place).parent.mkdir(parents=True, exist_ok=True)
        (folder / file.place).write_bytes(file.data)


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folders and the key of the page, in the current folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "100")
    first, second = chain(KEY, 3), chain(KEY, 4, SHOP)
    save(tmp_path / "receipts", [*first, *second])
    forged = Key().sign(decoded(Envelope.decoded(second[3].data).payload))
    save(tmp_path / "changed", [*first[:1], *first[2:], *changed(second, 3, lambda _: forged)])
    (tmp_path / "public.pem").write_bytes(KEY.pem)
    return tmp_path


def verify(*arguments: str) -> Done:
    return command("receipt", "verify", *arguments)


@pytest.mark.usefixtures("place")
def test_the_receipts_page_shows_the_printed_output() -> None:
    """After an intended change, run this test with UPDATE_DOCS=1."""
    show(
        [old for old in SESSION.findall(PAGE.read_text(encoding="utf-8")) if "verify" in old.splitlines()[0]],
        2,
    )


def test_the_receipts_page_shows_how_gaps_are_filled(aws: LocalAws, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    client = functools.cache(aws.client)
    scene = Scene(aws, client, registered(aws, client), monkeypatch, "prod/shop/db")
    aws.register("receipt", "functions.receipt.handler", scene.environment)
    client("lambda").update_function_configuration(FunctionName="rotators-receipt", Timeout=900)
    for _ in range(2):
        scene.rotate()
    try:
        show(
            [
                old
                for old in SESSION.findall(PAGE.read_text(encoding="utf-8"))
                if "fill" in old.splitlines()[0]
            ],
            1,
        )
    finally:
        scene.secrets.delete_secret(SecretId=scene.arn, ForceDeleteWithoutRecovery=True)
    assert [each.version for each in scene.receipts()] == scene.tokens


def show(sessions: list[str], count: int) -> None:
    """Compare sessions of the page with what is printed."""
    assert len(sessions) == count
    for old in sessions:
        done = [f"$ {line}\n{command(*line.split()[1:]).text.strip()}" for line in lines(old)]
        compare(PAGE, old, plain("\n\n".join(done)))


@pytest.mark.usefixtures("place")
def test_the_status_shows_whether_chains_are_intact() -> None:
    assert verify("receipts", "--key", "public.pem").status == 0
    assert verify("changed", "--key", "public.pem").status == 1


def test_a_document_serves_as_an_earlier_result(place: Path) -> None:
    done = verify("receipts", "--key", "public.pem", "--json")
    (place / "known.json").write_text(done.stdout)
    known = ("--key", "public.pem", "--known", "known.json", "--json")
    assert verify("receipts", *known).status == 0
    (folder,) = {each.parent for each in place.glob("receipts/*/000000004.json")}
    (folder / "000000004.json").unlink()
    assert verify("receipts", "--key", "public.pem").status == 0
    again = verify("receipts", *known)
    (finding,) = [each for chain in json.loads(again.stdout)["chains"] for each in chain["findings"]]
    assert (again.status, finding["problem"]) == (1, "truncated")


def test_a_folder_without_receipts_is_an_error(place: Path) -> None:
    (place / "empty").mkdir()
    for source in ("empty", "nowhere"):
        done = verify(source, "--key", "public.pem")
        assert done.status == 1
        assert done.stderr.startswith("rotators: [receipts-not-found]")


@pytest.mark.parametrize(
    "content", [b"", b"[]", b'{"chains": 1}', b'{"chains": [{"folder": "a"}]}', b"\xff", INFINITE]
)
def test_an_unsuited_earlier_result_is_an_error(place: Path, content: bytes) -> None:
    (place / "known.json").write_bytes(content)
    done = verify("receipts", "--key", "public.pem", "--known", "known.json")
    assert done.stderr.startswith("rotators: [receipt-input/known]")


def test_a_missing_extra_is_named(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "securesystemslib.signer", None)
    monkeypatch.delitem(sys.modules, "rotators.receipts.keys", raising=False)
    done = verify(str(place / "receipts"), "--key", "public.pem")
    assert done.stderr.startswith("rotators: [extra-missing]")
    assert "pip install 'rotators[receipts]'" in done.stderr


def test_an_unreadable_file_hides_no_other_finding(place: Path) -> None:
    (folder,) = {each.parent for each in place.glob("receipts/*/000000004.json")}
    os.mkfifo(folder / "notes.json")
    (folder / "000000002.json").unlink()
    (folder / "000000002.json").symlink_to("nowhere")
    (folder / "000000003.json").unlink()
    (folder / "000000003.json").touch()
    os.mkfifo(folder / "000000005.json")
    done = verify("receipts", "--key", "public.pem", "--json")
    findings = [each for chain in json.loads(done.stdout)["chains"] for each in chain["findings"]]
    assert [each["message"] for each in findings if each["problem"] == "unreadable"] == [
        "it could not be read: No such file or directory",
        "it is not a DSSE envelope with one signature",
        "it could not be read: it is not a regular file",
    ]


def test_receipts_behind_a_link_are_verified(place: Path) -> None:
    (folder,) = {each.parent for each in place.glob("receipts/*/000000004.json")}
    (place / "elsewhere").mkdir()
    folder.rename(place / "elsewhere" / folder.name)
    folder.symlink_to(place / "elsewhere" / folder.name)
    assert verify("receipts", "--key", "public.pem").status == 0
    next(folder.glob("*2.json")).unlink()
    assert verify("receipts", "--key", "public.pem").status == 1


def test_hostile_names_are_shown_as_text(place: Path) -> None:
    folder = place / "hostile" / "[bold]x\x1b[31m"
    save(folder, [StoredReceipt("000000001.json", b"{}")])
    shown = verify("hostile", "--key", "public.pem").stdout
    assert "\x1b" not in shown
    assert "[bold]x" in shown

"""What can be told about the containers without an engine; with one, see tests/docker."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest
from django.conf import settings

ROOT = Path(settings.BASE_DIR)
COMPOSE = (ROOT / "docker-compose.yml").read_text()
SECRET = r"[0-9a-f]{64}"


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    directory = tmp_path / "my library"
    (directory / "deploy").mkdir(parents=True)
    shutil.copy(ROOT / "deploy" / "env.sh", directory / "deploy")
    return directory


def write_env(checkout: Path, profiles: str = "", *given: str) -> str:
    subprocess.run(["deploy/env.sh", profiles, *given], cwd=checkout, check=True)
    return (checkout / ".env").read_text()


def test_compose__every_queue_has_a_worker() -> None:
    served = [queue for queues in re.findall(r" -Q ([\w,]+)", COMPOSE) for queue in queues.split(",")]

    assert sorted(served) == sorted(settings.EVENTS["QUEUES"])


def test_compose__publishes_every_port_on_this_machine_alone() -> None:
    published = re.findall(r"ports: \[(.*)\]", COMPOSE)

    assert published
    assert [
        ports for ports in published if not re.fullmatch(r'"127\.0\.0\.1:\$\{\w+:-\d+\}:\d+"', ports)
    ] == []


def test_compose__has_no_default_for_a_secret() -> None:
    defaults = re.findall(r"\$\{(\w*(?:PASSWORD|SECRET_KEY)):?-([^}]*)\}", COMPOSE)

    assert [name for name, default in defaults if default] == []


def test_compose__passes_on_what_the_settings_read() -> None:
    code = "".join((ROOT / "project" / name).read_text() for name in ("settings.py", "serving.py"))
    read = set(re.findall(r"\b(?:env\.\w+|os\.environ\.get)\(\s*\"([A-Z_]+)\"", code))
    passed = set(re.findall(r"^    ([A-Z_]+):", COMPOSE.partition("services:")[0], re.MULTILINE))
    # Directories are the image's, the address and the database are those of the compose file itself.
    ours = {"VAR_DIR", "STATIC_ROOT", "MEDIA_ROOT", "BIND", "DISABLE_SERVER_SIDE_CURSORS"}

    assert "LOG_FORMAT" in read
    assert read - passed - ours == set()


def test_env__without_a_file_has_all_that_is_needed_and_is_private(checkout: Path) -> None:
    written = write_env(checkout)

    assert re.fullmatch(
        rf"DEBUG=on\nCONTAINERS_HTTPS=off\nSECRET_KEY={SECRET}\nPOSTGRES_PASSWORD={SECRET}\nREDIS_PASSWORD={SECRET}\n",
        written,
    )
    assert len(set(re.findall(SECRET, written))) == 3
    assert (checkout / ".env").stat().st_mode & 0o077 == 0


def test_env__that_others_could_read_becomes_private(checkout: Path) -> None:
    (checkout / ".env").write_text("DEBUG=on\n")
    (checkout / ".env").chmod(0o644)

    write_env(checkout)

    assert (checkout / ".env").stat().st_mode & 0o077 == 0


def test_env__what_is_there_stays(checkout: Path) -> None:
    (checkout / ".env").write_text("DEBUG=on\nSECRET_KEY=mine")

    first, second = write_env(checkout), write_env(checkout)

    assert first.startswith("DEBUG=on\nSECRET_KEY=mine\nCONTAINERS_HTTPS=off\nPOSTGRES_PASSWORD=")
    assert second == first


def test_env__a_server_with_passwords_of_its_own_keeps_https(checkout: Path) -> None:
    (checkout / ".env").write_text("SECRET_KEY=mine\nPOSTGRES_PASSWORD=mine\n")

    assert "HTTPS" not in write_env(checkout)


def test_env__profiles_are_written_down_with_their_passwords(checkout: Path) -> None:
    write_env(checkout, "rabbitmq")
    written = write_env(checkout, "rabbitmq,observability")

    assert re.findall(r"^(COMPOSE_PROFILES=.*)$", written, re.MULTILINE) == [
        "COMPOSE_PROFILES=rabbitmq,observability"
    ]
    assert len(re.findall(rf"^(?:RABBITMQ|GRAFANA)_PASSWORD={SECRET}$", written, re.MULTILINE)) == 2
    assert (checkout / ".env").stat().st_mode & 0o077 == 0


def test_env__ports_that_are_given_are_those_of_the_next_command_too(checkout: Path) -> None:
    write_env(checkout, "", "PORT=8001", "MAIL_PORT=8026")
    written = write_env(checkout, "", "PORT=8002")

    assert re.findall(r"^\w*PORT=.*$", written, re.MULTILINE) == ["MAIL_PORT=8026", "PORT=8002"]
    assert write_env(checkout) == written


def test_env__rabbitmq_is_the_broker_as_long_as_its_profile_is_wanted(checkout: Path) -> None:
    with_it = write_env(checkout, "rabbitmq")
    still = write_env(checkout)
    without = write_env(checkout, "none")
    again = write_env(checkout, "rabbitmq")

    assert [("ON_RABBITMQ=yes\n" in written) for written in (with_it, still, without, again)] == [
        True,
        True,
        False,
        True,
    ]
    [password] = re.findall(rf"RABBITMQ_PASSWORD={SECRET}", with_it)
    assert password in without
    assert password in again

from __future__ import annotations

import subprocess
import sys

import pytest

from events.models import Delivery, State
from tests.processes.conftest import ROOT, Start, wait_for
from tests.shop.models import Effect, Item

# A worker as it is before its pool is made.
_MAKE = "import gc; from project.celery import app; app.Worker(); print(gc.get_freeze_count())"

pytestmark = pytest.mark.django_db(transaction=True)


def finished() -> bool:
    return (
        Delivery.objects.exists()
        and not Delivery.objects.filter(state__in=["waiting", "sent", "running"]).exists()
    )


def test_worker__runs_what_a_save_emitted(start_worker: Start) -> None:
    start_worker()
    Item.objects.create(title="one")
    wait_for(lambda: Effect.objects.count() == 2, "two effects")
    wait_for(finished, "records")
    assert set(Delivery.objects.values_list("state", flat=True)) == {State.DONE}


def test_worker__spares_what_it_has_loaded_from_collections_of_garbage(process_env: dict[str, str]) -> None:
    done = subprocess.run(
        [sys.executable, "-c", _MAKE], env=process_env, cwd=ROOT, capture_output=True, text=True, check=True
    )
    # Django and Celery are a hundred thousand.
    assert int(done.stdout) > 50_000

"""The breaker by itself: when it opens, what closes it, and what it says meanwhile."""

from __future__ import annotations

import pytest

from events.breaker import Breaker


class Broker:
    """Satisfies every third probe; remembers whether the breaker was closed at each."""

    def __init__(self) -> None:
        self.seen: list[bool] = []
        self.breaker = Breaker(self.probe, every=0.001)

    def probe(self) -> None:
        self.seen.append(self.breaker.is_closed())
        if len(self.seen) % 3:
            raise ConnectionError("not yet")


@pytest.fixture
def broker() -> Broker:
    return Broker()


def test_open__until_a_probe_succeeds(broker: Broker) -> None:
    assert broker.breaker.is_closed()
    broker.breaker.outlast(ConnectionError("gone"))
    assert broker.seen == [False, False, False]
    assert broker.breaker.is_closed()


def test_open__one_line_says_so_and_one_its_end(broker: Broker, caplog: pytest.LogCaptureFixture) -> None:
    broker.breaker.outlast(ConnectionError("gone"))
    assert [record.getMessage() for record in caplog.records if record.levelname == "WARNING"] == [
        "events.breaker state=open error=ConnectionError('gone') remedy='the relay publishes what waits'",
        "events.breaker state=closed",
    ]


def test_open__says_what_the_broker_said(broker: Broker, caplog: pytest.LogCaptureFixture) -> None:
    broker.breaker.outlast(ConnectionError("out of memory"))
    assert "error=ConnectionError('out of memory')" in caplog.text


def test_opened_again_before_a_publish_worked__is_probed_half_as_often_down_to_a_limit(
    broker: Broker,
) -> None:
    waits = []
    for _ in range(3):
        waits.append(broker.breaker.wait)
        broker.breaker.outlast(ConnectionError("the probe is satisfied, the publish is not"))
    assert waits == [0.001, 0.002, 0.004]
    broker.breaker.worked()
    assert broker.breaker.wait == 0.001


def test_wait__has_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("events.breaker.PROBE_LONGEST", 0.003)
    breaker = Breaker(lambda: None, every=0.001)
    for _ in range(4):
        breaker.outlast(ConnectionError("gone"))
    assert breaker.wait == 0.003

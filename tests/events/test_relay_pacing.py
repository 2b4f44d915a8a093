from __future__ import annotations

from events.relay.pacing import Fed, Pacing

LONGEST = 0.25


def fed(at: float, *, room: int, sent: int | None = None) -> Fed:
    return Fed(window=8, room=room, sent=room if sent is None else sent, at=at)


def next_after(pacing: Pacing, found: Fed) -> float:
    """Seconds from one look to the next."""
    return round(pacing.due("default", "mail", found) - found.at, 6)


def test_window_found_empty__is_looked_at_sooner_each_time_until_half_of_it_is_left() -> None:
    pacing = Pacing(LONGEST)
    assert next_after(pacing, fed(100.0, room=8)) == LONGEST / 2
    assert next_after(pacing, fed(100.1, room=8)) == 0.05
    assert next_after(pacing, fed(100.15, room=4)) == 0.05


def test_window_found_all_but_full__is_looked_at_later() -> None:
    pacing = Pacing(LONGEST)
    pacing.due("default", "mail", fed(100.0, room=8))
    assert next_after(pacing, fed(100.06, room=3)) == 0.08
    assert next_after(pacing, fed(100.14, room=0)) == 0.12
    assert next_after(pacing, fed(100.34, room=0)) == LONGEST


def test_queue_with_nothing_more_waiting__is_looked_at_after_the_longest_time() -> None:
    pacing = Pacing(LONGEST)
    pacing.due("default", "mail", fed(100.0, room=8))
    assert next_after(pacing, fed(100.05, room=8, sent=3)) == LONGEST


def test_each_queue__has_a_pace_of_its_own() -> None:
    pacing = Pacing(LONGEST)
    pacing.due("default", "mail", fed(100.0, room=8))
    assert pacing.due("default", "files", fed(100.05, room=8)) == 100.05 + LONGEST / 2

"""What watchdog devices tell of the last start of the host."""

from pathlib import Path

import pytest

from regnal.bridges.watchdog.last_reset import last_reset


def device(devices: Path, name: str, bootstatus: str) -> None:
    (devices / name).mkdir()
    (devices / name / "bootstatus").write_text(bootstatus)


@pytest.mark.parametrize(
    ("statuses", "found"),
    [
        pytest.param((), None, id="there is no device"),
        pytest.param(("0\n",), None, id="it was not its doing"),
        pytest.param(("32\n",), "watchdog", id="it was"),
        pytest.param(("33\n",), "watchdog", id="it was, and it is too hot"),
        pytest.param(("0\n", "32\n"), "watchdog", id="it was the second's doing"),
        pytest.param(("16\n",), None, id="the power had failed"),
        pytest.param(("nonsense\n", "32\n"), "watchdog", id="one does not tell"),
    ],
)
def test_what_the_devices_say(
    tmp_path: Path, statuses: tuple[str, ...], found: str | None
) -> None:
    for number, status in enumerate(statuses):
        device(tmp_path, f"watchdog{number}", status)
    assert last_reset(tmp_path) == found


def test_a_device_without_a_status_is_no_error(tmp_path: Path) -> None:
    (tmp_path / "watchdog0").mkdir()
    assert last_reset(tmp_path) is None


def test_a_host_without_the_class_is_no_error(tmp_path: Path) -> None:
    assert last_reset(tmp_path / "gone") is None

"""The naming convention is written down."""

from pathlib import Path

from regnal.events.spans import naming

PAGE = Path(__file__).parents[3] / "docs" / "tracing.md"


def test_every_name_is_in_the_documentation() -> None:
    text = PAGE.read_text(encoding="utf-8")
    attributes = {
        value
        for name, value in vars(naming).items()
        if name.isupper() and isinstance(value, str) and name != "SCOPE_NAME"
    }
    assert len(attributes) > 35
    missing = [
        name
        for name in (*sorted(attributes), *naming.ROOTS, *naming.PHASES)
        if f"`{name}`" not in text
    ]
    assert missing == []

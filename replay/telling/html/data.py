"""The data: what the scripts draw, as JSON; texts they take from the page itself."""

import json

from regnal.messages.base import Seconds
from regnal.replay.explaining.story import Moment, Story
from regnal.replay.telling.html.chart import bar_class
from regnal.replay.telling.html.markup import Markup
from regnal.replay.telling.html.rows import Picture, Row, Window
from regnal.replay.telling.html.values import span_text


def report_data(story: Story, picture: Picture) -> Markup:
    """Moments are seconds since `zero`; rows are in the order of the chart."""
    window, rows = picture.window, picture.rows

    def at(moment: Moment) -> Seconds:
        return round(moment - window.zero, 6)

    row_of = {number: index for index, row in enumerate(rows) for number in row.points}
    outage = story.outage
    data = {
        "zero": window.zero,
        "since": at(window.since),
        "until": at(window.until),
        "outage": None
        if outage is None
        else {
            "since": at(outage.since),
            "until": at(window.until if outage.until is None else outage.until),
            "text": f"no writes {span_text(outage.seconds)}",
        },
        "phases": [
            [at(one.began), at(one.began + one.seconds)] for one in story.phases
        ],
        "rows": [_bars(row, window) for row in rows],
        "points": [
            [
                at(one.moment),
                row_of[number],
                one.cause,
                one.is_decision,
                one.link,
                one.id,
            ]
            for number, one in enumerate(picture.points)
        ],
    }
    text = json.dumps(data, separators=(",", ":"))
    # As the content of an element it is not escaped: nothing in it may end the element.
    return Markup(
        text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")
    )


def _bars(row: Row, window: Window) -> list[tuple[Seconds, Seconds, str, str, int]]:
    return [
        (
            round(one.since - window.zero, 6),
            round(one.until - window.zero, 6),
            bar_class(one),
            one.text,
            one.record,
        )
        for one in row.bars
    ]

"""A watch on a store in a thread of its own, for tests."""

import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Self

from regnal.bridges.dcs.contract import Store, StoreUnavailable
from regnal.messages.cluster import ClusterView


class Watching:
    """Collects views; `until` waits for one."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._news = threading.Condition()
        self.views: list[tuple[float, ClusterView]] = []
        """With the moment each came, by time.monotonic."""

        self.failures: list[StoreUnavailable] = []
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        self.until(lambda view: True)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._store.close()
        self._thread.join(timeout=5)
        assert not self._thread.is_alive(), "the watch does not end"

    def until(
        self, is_it: Callable[[ClusterView], bool], seconds: float = 10.0
    ) -> tuple[float, ClusterView]:
        """The first view for which `is_it` holds, with the moment when it came."""
        with self._news:
            self._news.wait_for(lambda: self._find(is_it) is not None, seconds)
            found = self._find(is_it)
            assert found is not None, f"no such view; the last is {self.views[-1:]}"
            return found

    def forget(self) -> None:
        """Only views that come from now on count."""
        with self._news:
            self.views.clear()

    def _find(
        self, is_it: Callable[[ClusterView], bool]
    ) -> tuple[float, ClusterView] | None:
        return next((each for each in self.views if is_it(each[1])), None)

    def _run(self) -> None:
        while True:
            try:
                self._store.watch(self._add)
            except StoreUnavailable as error:
                self.failures.append(error)
                continue
            return

    def _add(self, view: ClusterView) -> None:
        with self._news:
            self.views.append((time.monotonic(), view))
            self._news.notify_all()

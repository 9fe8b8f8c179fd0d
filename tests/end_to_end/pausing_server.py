"""`evalkit study serve` that stands still, for ever, at a moment that the test names: to be killed right there.

    python -m tests.end_to_end.pausing_server FOLDER PORT MARKERS

A request asks for it by its `rt_ms` (below); a consent by a file `consent` in MARKERS. Before it stands still the
server writes a file into MARKERS, so that the test knows.
"""

import sys
import threading
import types
from pathlib import Path
from typing import Any

BEFORE_COMMIT_MS = 11111.0
"""Stand still with the answer in the database's hands but not committed."""
AFTER_COMMIT_MS = 22222.0
"""Stand still with the answer committed and the reply not yet sent."""


def stand_still(markers: Path, name: str) -> None:
    (markers / name).touch()
    threading.Event().wait()


def patch(markers: Path) -> None:
    from webapp import sessions, trials

    store, answer, claim = trials._store, trials.answer, sessions.claim

    def pausing_store(hosted: Any, db: Any, progress: Any, sent: Any, given: Any) -> None:
        store(hosted, db, progress, sent, given)
        db.flush()
        if given.rt_ms == BEFORE_COMMIT_MS:
            stand_still(markers, "before commit")

    def pausing_answer(hosted: Any, token: Any, page: str, trial_id: int, given: Any) -> dict[str, Any]:
        reply = answer(hosted, token, page, trial_id, given)
        if given.rt_ms == AFTER_COMMIT_MS:
            stand_still(markers, "after commit")
        return reply

    def pausing_claim(*arguments: Any, **named: Any) -> Any:
        admission = claim(*arguments, **named)
        if (markers / "consent").exists():
            (markers / "consent").unlink()
            stand_still(markers, "after claim")
        return admission

    trials._store, trials.answer, sessions.claim = pausing_store, pausing_answer, pausing_claim


if __name__ == "__main__":
    # The dashboard's estimate would only load the statistics: the server starts faster without.
    estimate = types.ModuleType("evalkit.cli.live_estimate")
    estimate.live_estimate = None
    sys.modules["evalkit.cli.live_estimate"] = estimate
    patch(Path(sys.argv[3]))

    from evalkit.cli import main

    main(["study", "serve", sys.argv[1], "--port", sys.argv[2], "--workers", "2"])

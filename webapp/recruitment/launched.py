"""What is known of the study on a panel: one row per study, kind of data and panel."""

from typing import Any

from webapp.hosting import HostedStudy
from webapp.tables import RecruitmentRow


def launched(hosted: HostedStudy, panel: str) -> RecruitmentRow | None:
    """The study on a panel; None before the first launch."""
    with hosted.database.read() as db:
        return db.get(RecruitmentRow, (hosted.study.id, hosted.data, panel))


def remember(
    hosted: HostedStudy,
    panel: str,
    *,
    external_id: str | None = None,
    state: str | None = None,
    **detail: Any,
) -> None:
    """Keep what was made there; what is not named stays as it is."""
    with hosted.database.write() as db:
        key = (hosted.study.id, hosted.data, panel)
        row = db.get(RecruitmentRow, key, with_for_update=True)
        if row is None:
            row = RecruitmentRow(
                study=key[0], data=key[1], recruiter=panel, external_id="", state="", detail={}
            )
            db.add(row)
        row.external_id = row.external_id if external_id is None else external_id
        row.state = row.state if state is None else state
        row.detail = {**row.detail, **detail}
        row.updated_at = hosted.clock()

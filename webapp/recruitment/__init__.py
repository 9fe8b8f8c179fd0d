"""How participants reach a study. A new way is a module here plus one line in RECRUITERS."""

from studies.design import Recruitment
from studies.errors import UserError, did_you_mean
from studies.records import DataKind
from webapp.recruitment.base import EntryRefused, Preview, Recruiter, Visitor, WayBack
from webapp.recruitment.direct import Direct
from webapp.recruitment.panel import Panel
from webapp.recruitment.prolific import Prolific

RECRUITERS: dict[str, type[Recruiter]] = {
    "direct": Direct,
    "panel": Panel,
    "prolific": Prolific,
}


def recruiter_of(settings: Recruitment, data: DataKind = "live") -> Recruiter:
    """The recruiter that a study names; for a rehearsal, of which no panel knows, plain links.

    Raises:
        UserError: There is none of that name, or its settings are not usable.
    """
    if settings.name not in RECRUITERS:
        raise UserError(
            f"study.toml: [recruitment] name = {settings.name!r}: no such recruiter."
            f"{did_you_mean(settings.name, RECRUITERS)}"
        )
    recruiter = RECRUITERS[settings.name](settings)  # checked for rehearsals, too
    rehearsal = data == "simulated" or (data == "preview" and not recruiter.works_in_preview)
    return Direct(Recruitment()) if rehearsal else recruiter


__all__ = ["RECRUITERS", "EntryRefused", "Preview", "Recruiter", "Visitor", "WayBack", "recruiter_of"]

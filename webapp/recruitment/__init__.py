"""How participants reach a study. A new way is a module here plus one line in RECRUITERS."""

from studies.design import Recruitment
from studies.errors import UserError, did_you_mean
from webapp.recruitment.base import EntryRefused, Preview, Recruiter, Visitor, WayBack
from webapp.recruitment.direct import Direct

RECRUITERS: dict[str, type[Recruiter]] = {
    "direct": Direct,
}


def recruiter_of(settings: Recruitment) -> Recruiter:
    """The recruiter that a study names.

    Raises:
        UserError: There is none of that name, or its settings are not usable.
    """
    if settings.name not in RECRUITERS:
        raise UserError(
            f"study.toml: [recruitment] name = {settings.name!r}: no such recruiter."
            f"{did_you_mean(settings.name, RECRUITERS)}"
        )
    return RECRUITERS[settings.name](settings)


__all__ = ["RECRUITERS", "EntryRefused", "Preview", "Recruiter", "Visitor", "WayBack", "recruiter_of"]

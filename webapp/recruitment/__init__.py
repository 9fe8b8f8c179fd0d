"""How participants reach a study. A new way is a module here plus one line in RECRUITERS."""

from webapp.recruitment.base import Recruiter
from webapp.recruitment.direct import Direct

RECRUITERS: dict[str, type[Recruiter]] = {
    "direct": Direct,
}

__all__ = ["RECRUITERS", "Direct", "Recruiter"]

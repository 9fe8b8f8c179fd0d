"""Any panel that puts ids into the link and takes people back at an address: `[recruitment.panel]` says how."""

import re
from collections.abc import Mapping
from typing import ClassVar
from urllib.parse import quote

from webapp.recruitment.base import (
    EntryRefused,
    Preview,
    Recruiter,
    Visitor,
    WayBack,
    refuse_setting,
    text_of,
)

_PLACEHOLDER = re.compile(r"\{([^{}]*)\}")
_PARAMETER = re.compile(r"[A-Za-z][A-Za-z0-9_\-]{0,63}")
_KEPT_ADDRESS = re.compile(r"(https?)://([a-z0-9.\-]+(?::\d{1,5})?)((?:/[A-Za-z0-9_.~\-]*)*)", re.IGNORECASE)
"""What a link may bring as (the beginning of) the way back: no user, query, fragment or odd character."""
_FIXED_ADDRESS = re.compile(r"(https?)://([A-Za-z0-9.\-]+)(?::\d{1,5})?(?:[/?#]\S*)?$")
_LOOPBACK = {"127.0.0.1", "localhost"}
_OWN = ("code", "worker", "submission")
"""Names that a template may use beside the kept parameters."""
MAX_KEPT = 6


class Panel(Recruiter):
    """A panel without an API: the link says who comes, the done page leads back."""

    name: ClassVar[str] = "panel"
    keeps_id: ClassVar[bool] = True
    works_in_preview: ClassVar[bool] = True

    def check(self) -> None:
        """Whether parameters, template and hosts make a way in and a way back.

        Raises:
            UserError: Names key, value and what is allowed.
        """
        panel = self.settings.panel
        names = [panel.worker, *([panel.submission] if panel.submission else []), *panel.keep]
        for name in names:
            if not _PARAMETER.fullmatch(name):
                raise refuse_setting(
                    "panel", name, "a parameter of the link is named by letters, digits, _ and -."
                )
        if len(set(names)) < len(names):
            raise refuse_setting("panel", names, "each parameter of the link has one meaning.")
        if len(panel.keep) > MAX_KEPT or set(panel.keep) & set(_OWN):
            raise refuse_setting(
                "panel.keep", list(panel.keep), f"at most {MAX_KEPT}, and none named {_or(_OWN)}."
            )
        if panel.preview and not re.fullmatch(r"[^=]+=.+", panel.preview):
            raise refuse_setting("panel.preview", panel.preview, "write PARAMETER=VALUE, or nothing.")
        self._check_completion()

    def _check_completion(self) -> None:
        panel = self.settings.panel
        if not panel.completion:
            if panel.submit == "post":
                raise refuse_setting(
                    "panel.submit", "post", "say in `completion` where the form is posted to."
                )
            return
        allowed = [*(name for name in _OWN if name != "submission" or panel.submission), *panel.keep]
        for name in self._placeholders():
            if name not in allowed:
                raise refuse_setting(
                    "panel.completion",
                    panel.completion,
                    f"{{{name}}} is not known; allowed are {_or(allowed)}.",
                )
        if self._kept_address():
            if self._kept_address() not in panel.keep or not panel.hosts:
                raise refuse_setting(
                    "panel.hosts",
                    list(panel.hosts),
                    "a link decides where people go back to, so name the hosts that it may choose, for example "
                    '["www.mturk.com"], and the parameter in `keep`.',
                )
            if not re.match(r"/|$", _PLACEHOLDER.sub("", panel.completion, count=1)):
                raise refuse_setting(
                    "panel.completion",
                    panel.completion,
                    f"after {{{self._kept_address()}}} comes a /, or nothing: what else stood there would be part of the "
                    "host's name.",
                )
            return
        address = _FIXED_ADDRESS.match(panel.completion)
        if (
            address is None
            or not _is_safe(address[1], address[2])
            or set("{}") & set(_unfilled(panel.completion))
        ):
            raise refuse_setting(
                "panel.completion",
                panel.completion,
                "an https address, with {placeholders} after the host only.",
            )

    def _placeholders(self) -> list[str]:
        return _PLACEHOLDER.findall(self.settings.panel.completion)

    def _kept_address(self) -> str:
        """The kept parameter that begins the way back; empty if the template itself names the host."""
        match = _PLACEHOLDER.match(self.settings.panel.completion)
        return match[1] if match else ""

    def visitor(self, query: Mapping[str, str]) -> Visitor | Preview | None:
        """Who comes, with all that the way back needs.

        Raises:
            EntryRefused: The link names a worker but lacks something that was to be kept.
        """
        panel = self.settings.panel
        parameter, _, value = panel.preview.partition("=")
        if parameter and query.get(parameter) == value:
            return "preview"
        worker = text_of(query, panel.worker)
        if worker is None:
            return None
        wanted = [panel.submission, *panel.keep] if panel.submission else list(panel.keep)
        found = {name: text_of(query, name) or "" for name in wanted}
        if missing := [name for name, text in found.items() if not text]:
            raise EntryRefused("incomplete", f"The link lacks {', '.join(missing)}.")
        kept = {name: found[name] for name in panel.keep}
        if self._kept_address() and self._base(kept) is None:
            raise EntryRefused(
                "incomplete", f"The link's {self._kept_address()} leads to a place we do not know."
            )
        return Visitor(worker, found.get(panel.submission, ""), kept)

    def _base(self, kept: Mapping[str, str]) -> str | None:
        """The address that a link brought, if it leads to one of `hosts`."""
        match = _KEPT_ADDRESS.fullmatch(kept.get(self._kept_address(), ""))
        if match is None or match[2].lower() not in {host.lower() for host in self.settings.panel.hosts}:
            return None
        scheme, host = match[1].lower(), match[2].lower()
        return f"{scheme}://{host}{match[3].rstrip('/')}" if _is_safe(scheme, host.split(":")[0]) else None

    def participant_link(self, base_url: str) -> str:
        """The address, with placeholders for what the panel fills in."""
        panel = self.settings.panel
        names = [panel.worker, *([panel.submission] if panel.submission else []), *panel.keep]
        return f"{base_url}/?{'&'.join(f'{name}={name.upper()}' for name in names)}"

    def way_back(self, visitor: Visitor | None, code: str) -> WayBack | None:
        """The template with everything filled in; None if it needs an id that is gone."""
        panel = self.settings.panel
        if not panel.completion:
            return None
        values = {"code": code}
        if visitor is not None:
            values |= {"worker": visitor.worker_id, "submission": visitor.submission, **visitor.kept}
        template, base = panel.completion, ""
        if self._kept_address():
            base = self._base(values) or ""
            template = _PLACEHOLDER.sub("", template, count=1)
            if not base:
                return None
        if not all(values.get(name) for name in _PLACEHOLDER.findall(template)):
            return None
        url = base + _PLACEHOLDER.sub(lambda match: quote(values[match[1]], safe=""), template)
        if panel.submit == "redirect":
            return WayBack(url)
        form = self._form(visitor, code) if visitor is not None else {}
        return WayBack(url, form) if form and all(form.values()) else None

    def _form(self, visitor: Visitor, code: str) -> dict[str, str]:
        """What is posted: the ids under the names by which the panel sent them, unless the address carries them."""
        panel = self.settings.panel
        ids = {panel.submission: visitor.submission} if panel.submission else {}
        in_address = set(self._placeholders())
        return {**ids, **{k: v for k, v in visitor.kept.items() if k not in in_address}, "code": code}


def _unfilled(template: str) -> str:
    return _PLACEHOLDER.sub("", template)


def _is_safe(scheme: str, host: str) -> bool:
    return scheme == "https" or (scheme == "http" and host in _LOOPBACK)


def _or(names: tuple[str, ...] | list[str]) -> str:
    return ", ".join(names)

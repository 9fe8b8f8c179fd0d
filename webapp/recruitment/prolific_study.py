"""The study on Prolific: draft, group, webhook, publishing, places. Every step looks before it creates, so it may be repeated."""

import json
import math
from collections.abc import Callable
from typing import Any, Protocol, TypeVar
from urllib.parse import urlsplit

from cryptography.fernet import Fernet

from studies.errors import UserError
from webapp.hosting import HostedStudy
from webapp.identity import completion_code, key_digest, payment_key
from webapp.recruitment.launched import launched, remember
from webapp.recruitment.prolific import LINK_PARAMETERS, NAME
from webapp.recruitment.prolific_api import Answer, PanelError, PanelUnclear, ProlificApi

HOOK_PATH = "/hooks/prolific"
HOOK_EVENTS = ("submission.status.change", "study.status.change")
TITLE = "Judge pictures shown for a moment"
DESCRIPTION = (
    "You see pictures for a short time and answer one question about them, again and again. You need a computer with "
    "a keyboard or mouse, and a quiet moment: the pictures do not wait."
)
LOCAL = ("127.0.0.1", "localhost", "::1")
TRIES = 3

Found = TypeVar("Found")


class Keep(Protocol):
    """Keeps what was made on the panel (`webapp.recruitment.launched.remember`)."""

    def __call__(self, *, external_id: str | None = None, state: str | None = None, **detail: Any) -> None:
        """What is not named stays as it is."""


class Rehearsal(ProlificApi):
    """Sends nothing: notes each request as it would be sent, and makes up the ids that only Prolific can give."""

    def __init__(self) -> None:
        super().__init__("https://rehearsal.invalid/", "")
        self.requests: list[tuple[str, str, dict[str, Any] | None]] = []

    def call(
        self,
        method: str,
        path: str,
        body: dict[str, Any] | None = None,
        *,
        query: Any = None,
        repeatable: bool = False,  # noqa: ARG002  (nothing is sent)
    ) -> Answer:
        """Note it."""
        shown = path + ("?" + "&".join(f"{key}={value}" for key, value in query.items()) if query else "")
        self.requests.append((method, shown, body))
        made = {
            "studies/": {"id": "<id of the study>", "status": "UNPUBLISHED"},
            "participant-groups/": {"id": "<id of the group>"},
            "hooks/secrets/": {"value": "<secret>"},
            "hooks/subscriptions/": {"id": "<id of the subscription>"},
        }
        if method == "POST":
            return Answer(made.get(path, {}), {"X-Hook-Secret": "<X-Hook-Secret of the answer before>"})
        if path == "workspaces/":
            return Answer({"results": [{"id": "<id of the workspace>"}]})
        if method == "GET" and path.startswith("studies/") and path != "studies/":
            return Answer({"id": path.split("/")[1], "status": "UNPUBLISHED"})
        return Answer({"results": []})


def check_launch(hosted: HostedStudy, url: str) -> None:
    """Whether the study may be shown to paid participants at an address.

    Raises:
        UserError: Ethics are not filled in, the address is not https, or the pay is below the study's minimum.
    """
    study, where = hosted.study, f"{hosted.config.folder}/study.toml"
    if study.recruitment.name != NAME:
        raise UserError(
            f'{where}: [recruitment] name = {study.recruitment.name!r}: write name = "prolific" first.'
        )
    if missing := study.ethics.placeholders():
        raise UserError(
            f"{where}: [ethics] {', '.join(missing)} must be filled in before people are recruited."
        )
    check_url(url)
    recruitment = study.recruitment
    if not recruitment.reward_cents:
        raise UserError(f"{where}: [recruitment] reward_cents = 0: say what a finished session is paid.")
    hourly = recruitment.reward_cents * 60 / study.ethics.minutes
    if hourly < recruitment.minimum_cents_per_hour:
        enough = math.ceil(recruitment.minimum_cents_per_hour * study.ethics.minutes / 60)
        raise UserError(
            f"{where}: [recruitment] reward_cents = {recruitment.reward_cents} for {study.ethics.minutes} minutes is "
            f"{hourly / 100:.2f} {recruitment.currency} an hour, below minimum_cents_per_hour = "
            f"{recruitment.minimum_cents_per_hour}. Pay at least {enough}."
        )


def check_url(url: str) -> None:
    """Whether participants and the panel can reach an address safely.

    Raises:
        UserError: It is no https address, nor one on this machine.
    """
    parts = urlsplit(url)
    if not parts.hostname or parts.query or parts.fragment:
        raise UserError(
            f"--url {url}: write the server's public address, for example https://study.example.org."
        )
    if parts.scheme != "https" and not (parts.scheme == "http" and parts.hostname in LOCAL):
        raise UserError(f"--url {url}: must begin with https://, since ids travel in it.")


def internal_name(hosted: HostedStudy) -> str:
    """By what the study is found again, whatever was lost here; never shown to participants."""
    return f"evalkit {hosted.study.id} {hosted.data} {key_digest(hosted.config.secret_key)[:8]}"


def fixed_code(hosted: HostedStudy) -> str:
    """The study's one completion code; the same however often it is asked for."""
    return completion_code(hosted.config.secret_key, f"study/{hosted.study.id}/{hosted.data}")


def draft(hosted: HostedStudy, url: str, places: int, group: str) -> dict[str, Any]:
    """The study as it is sent to Prolific.

    Args:
        hosted: The study.
        url: The server's public address.
        places: How many participants.
        group: Id of the group to which those who finish are added; empty for none.
    """
    study, settings = hosted.study, hosted.study.recruitment.prolific
    actions: list[dict[str, str]] = [{"action": "MANUALLY_REVIEW"}]
    if group:
        actions.append({"action": "ADD_TO_PARTICIPANT_GROUP", "participant_group": group})
    body: dict[str, Any] = {
        "name": settings.title or TITLE,
        "internal_name": internal_name(hosted),
        "description": settings.description or DESCRIPTION,
        "external_study_url": f"{url}/?{LINK_PARAMETERS}",
        "prolific_id_option": "url_parameters",
        "completion_codes": [
            {"code": fixed_code(hosted), "code_type": "COMPLETED", "actor": "participant", "actions": actions}
        ],
        "total_available_places": places,
        "estimated_completion_time": study.ethics.minutes,
        "reward": study.recruitment.reward_cents,
        "device_compatibility": ["desktop"],
        "peripheral_requirements": [],
        "filters": _filters(settings.exclude_studies, settings.exclude_groups, settings.filters),
        "submissions_config": {"max_submissions_per_participant": 1},
    }
    if settings.maximum_minutes is not None:
        body["maximum_allowed_time"] = settings.maximum_minutes
    if settings.project:
        body["project"] = settings.project
    if settings.entry == "signed":
        body["is_external_study_url_secure"] = True
    return body


def _filters(
    studies: tuple[str, ...], groups: tuple[str, ...], more: tuple[str, ...]
) -> list[dict[str, Any]]:
    filters = []
    if studies:
        filters.append({"filter_id": "previous_studies_blocklist", "selected_values": list(studies)})
    if groups:
        filters.append({"filter_id": "participant_group_blocklist", "selected_values": list(groups)})
    return [*filters, *(json.loads(text) for text in more)]


def launch(
    hosted: HostedStudy, api: ProlificApi, url: str, places: int, keep: Keep | None = None
) -> dict[str, Any]:
    """Make the draft with all that belongs to it, once: what is there already is found and used.

    Args:
        hosted: The study.
        api: The account, or a rehearsal.
        url: The server's public address, without a slash at the end.
        places: How many participants.
        keep: Keeps what was made; None = in the database.

    Returns:
        The study as Prolific has it.

    Raises:
        UserError: Prolific refuses or cannot be reached; the next call goes on from there.
    """

    def in_database(*, external_id: str | None = None, state: str | None = None, **detail: Any) -> None:
        remember(hosted, NAME, external_id=external_id, state=state, **detail)

    keep = keep or in_database
    known = launched(hosted, NAME)
    detail = known.detail if known else {}
    group = _group(hosted, api, detail)
    study = _study(hosted, api, known.external_id if known else "", draft(hosted, url, places, group))
    keep(
        external_id=study["id"],
        state=study.get("status", ""),
        completion_code=fixed_code(hosted),
        group=group,
        host=urlsplit(url).netloc,
        url=url,
    )
    if urlsplit(url).scheme == "https" and detail.get("hook_target") != url + HOOK_PATH:
        sealed = _webhook(hosted, api, url + HOOK_PATH)
        keep(hook_target=url + HOOK_PATH, hook_secret=sealed)
    return study


def _study(hosted: HostedStudy, api: ProlificApi, known: str, body: dict[str, Any]) -> dict[str, Any]:
    if known:
        try:
            return api.get(f"studies/{known}/")
        except PanelError as error:
            if error.status != 404:  # deleted there: made anew
                raise

    def find() -> dict[str, Any] | None:
        named = internal_name(hosted)
        return next((each for each in api.listed("studies/") if each.get("internal_name") == named), None)

    return _found_or_made(api, find, lambda: api.post("studies/", body))


def _found_or_made(
    api: ProlificApi, find: Callable[[], Found | None], make: Callable[[], Found], tries: int = TRIES
) -> Found:
    """Look, and make it only if it is not there; also after each try whose outcome is not known."""
    while True:
        found = find()
        if found is not None:
            return found
        try:
            return make()
        except PanelUnclear:
            tries -= 1
            if not tries:
                raise
            api.wait(2.0)


def _workspace(hosted: HostedStudy, api: ProlificApi) -> str:
    if named := hosted.study.recruitment.prolific.workspace:
        return named
    there = list(api.listed("workspaces/"))
    if len(there) == 1:
        return str(there[0]["id"])
    names = ", ".join(f"{each.get('title', '?')} = {each['id']}" for each in there) or "none"
    raise UserError(
        f"{hosted.config.folder}/study.toml: [recruitment.prolific] workspace: the account has several ({names}); "
        "write the id of one."
    )


def _group(hosted: HostedStudy, api: ProlificApi, detail: dict[str, Any]) -> str:
    name = hosted.study.recruitment.prolific.add_to_group
    if not name or detail.get("group"):
        return str(detail.get("group", "")) if name else ""
    workspace = _workspace(hosted, api)

    def find() -> str | None:
        there = api.listed("participant-groups/", workspace_id=workspace, limit=200)
        return next((str(each["id"]) for each in there if each.get("name") == name), None)

    body = {"workspace_id": workspace, "name": name}
    return _found_or_made(api, find, lambda: str(api.post("participant-groups/", body)["id"]))


def _webhook(hosted: HostedStudy, api: ProlificApi, target: str) -> str:
    """Subscribe to reports; returns the secret they are signed with, encrypted.

    A workspace has one secret, which other studies may use too: an existing one is never replaced.
    """
    workspace = _workspace(hosted, api)

    def find() -> str | None:
        there = api.listed("hooks/secrets/", workspace_id=workspace)
        return next((str(each["value"]) for each in there if each.get("value")), None)

    secret = _found_or_made(
        api, find, lambda: str(api.post("hooks/secrets/", {"workspace_id": workspace})["value"])
    )
    for event in HOOK_EVENTS:
        _subscribe(api, {"workspace_id": workspace, "event_type": event, "target_url": target})
    return hook_cipher(hosted).encrypt(secret.encode()).decode()


def _subscribe(api: ProlificApi, wanted: dict[str, Any]) -> None:
    def find() -> bool | None:
        for enabled in ("true", "false"):
            query = {"workspace_id": wanted["workspace_id"], "is_enabled": enabled, "limit": 200}
            for each in list(api.listed("hooks/subscriptions/", **query)):
                if (each.get("event_type"), each.get("target_url")) != (
                    wanted["event_type"],
                    wanted["target_url"],
                ):
                    continue
                if each.get("is_enabled"):
                    return True
                # What confirms it came once and was lost, so it can only be made anew.
                api.call("DELETE", f"hooks/subscriptions/{each['id']}/")
        return None

    def make() -> bool:
        answer = api.call("POST", "hooks/subscriptions/", wanted)
        handshake = {key.lower(): value for key, value in answer.headers.items()}.get("x-hook-secret", "")
        api.post(f"hooks/subscriptions/{answer.body['id']}/", {"secret": handshake}, repeatable=True)
        return True

    _found_or_made(api, find, make)


def hook_cipher(hosted: HostedStudy) -> Fernet:
    """What the secret of the reports is kept under."""
    return Fernet(payment_key(hosted.config.secret_key))


TRANSITIONS = {
    "PUBLISH": (
        ("UNPUBLISHED",),
        ("PUBLISHING", "SCHEDULED", "ACTIVE", "PAUSED", "AWAITING REVIEW", "COMPLETED"),
    ),
    "PAUSE": (("ACTIVE",), ("PAUSED",)),
    "START": (("PAUSED",), ("ACTIVE",)),
    "STOP": (("ACTIVE", "PAUSED"), ("AWAITING REVIEW", "COMPLETED")),
}
"""Action -> from which states it is possible, and in which it has happened already."""


def transition(hosted: HostedStudy, api: ProlificApi, action: str) -> tuple[bool, str]:
    """Publish, pause, start again or stop the study there.

    Returns:
        Whether anything was changed, and the state it is in now.

    Raises:
        UserError: There is no study there yet, or it is in no state for this.
    """
    study = launched_id(hosted)
    possible, already = TRANSITIONS[action]

    def find() -> tuple[bool, str] | None:
        state = str(api.get(f"studies/{study}/").get("status", ""))
        if state in already:
            return False, state
        if state not in possible:
            raise UserError(
                f"Prolific: the study is {state}; to {action.lower()} it, it must be {_either(possible)}."
            )
        return None

    def make() -> tuple[bool, str]:
        answer = api.post(f"studies/{study}/transition/", {"action": action})
        return True, str(answer.get("status") or already[0])

    changed, state = _found_or_made(api, find, make)
    remember(hosted, NAME, state=state)
    return changed, state


def _either(names: tuple[str, ...]) -> str:
    return " or ".join(names)


def more_places(hosted: HostedStudy, api: ProlificApi, places: int) -> tuple[int, int]:
    """Raise the number of places there.

    Returns:
        Places before and now.

    Raises:
        UserError: Fewer than there are.
    """
    study = launched_id(hosted)
    before = int(api.get(f"studies/{study}/").get("total_available_places", 0))
    if places < before:
        raise UserError(
            f"--places {places}: Prolific has {before} and only takes more. To end sooner: --pause, or --stop."
        )
    if places > before:
        api.patch(f"studies/{study}/", {"total_available_places": places})
    return before, places


def launched_id(hosted: HostedStudy) -> str:
    """The study's id on Prolific.

    Raises:
        UserError: It was not launched.
    """
    row = launched(hosted, NAME)
    if row is None or not row.external_id:
        raise UserError(
            f"{hosted.config.folder}: the {hosted.data} study is not on Prolific yet. "
            f"`evalkit study launch {hosted.config.folder} --recruiter prolific --url https://...` makes the draft."
        )
    return row.external_id

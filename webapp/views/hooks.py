"""Reports that a panel sends by itself. Signed, so no cookie and no form token."""

from typing import Any

from flask import Blueprint, jsonify, request

from webapp import payouts
from webapp.recruitment.prolific_study import HOOK_PATH
from webapp.views import hosted

blueprint = Blueprint("hooks", __name__)


@blueprint.post(HOOK_PATH)
def prolific() -> Any:
    """One report of Prolific; anything signed is acknowledged, so that it is not sent again."""
    headers = {name: request.headers.get(name, "") for name in payouts.HEADERS}
    try:
        outcome = payouts.receive(hosted(), headers, request.get_data())
    except payouts.Forged:
        return jsonify(error="forged"), 401  # why, is nobody's business
    return jsonify(outcome=outcome)

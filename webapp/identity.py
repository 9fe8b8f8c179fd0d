"""Everything derived from the secret key: hashes, image addresses, codes. Nothing here is stored or guessable."""

import base64
import hashlib
import hmac


def _digest(key: str, *parts: object) -> bytes:
    message = "\x1f".join(str(part) for part in parts).encode()
    return hmac.new(key.encode(), message, hashlib.sha256).digest()


def worker_hash(key: str, worker_id: str) -> str:
    """The keyed hash under which a worker is known; the id itself is not kept."""
    return _digest(key, "worker", worker_id.strip()).hex()[:32]


def image_address(key: str, page: str, trial: int, slot: int) -> str:
    """128 bits that belong to one page load, one trial and one slot.

    The page nonce is random and new for each page load, so the address tells nothing and is never met again.
    """
    return _digest(key, "image", page, trial, slot).hex()[:32]


def completion_code(key: str, session: str) -> str:
    """The code that proves a finished session; eight letters and digits, easy to copy."""
    return base64.b32encode(_digest(key, "completion", session)).decode()[:8]


def invite_digest(key: str, code: str) -> str:
    """What the database keeps of a single-use link's code."""
    return _digest(key, "invite", code).hex()


def submission_digest(key: str, submission: str) -> str:
    """What the database keeps of a panel's id of one participation, to find it again."""
    return _digest(key, "submission", submission).hex()


def payment_key(key: str) -> bytes:
    """The Fernet key of what the payment table and the cookie before the consent hold."""
    return base64.urlsafe_b64encode(_digest(key, "payments"))


def key_digest(key: str) -> str:
    """Tells one secret key from another without telling the key."""
    return _digest(key, "which key").hex()


def cookie_key(key: str, study: str, data: str) -> str:
    """What Flask signs cookies with: those of a preview, which lets anybody in, are none on the live server."""
    return _digest(key, "cookies", study, data).hex()

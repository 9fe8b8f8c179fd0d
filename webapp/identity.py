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


def dashboard_key(key: str) -> str:
    """The secret part of the dashboard's link."""
    return _digest(key, "dashboard").hex()[:32]


def key_digest(key: str) -> str:
    """Tells one secret key from another without telling the key."""
    return _digest(key, "which key").hex()


def cookie_key(key: str) -> str:
    """What Flask signs cookies with."""
    return _digest(key, "cookies").hex()

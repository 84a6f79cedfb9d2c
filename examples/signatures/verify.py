"""Verifies webhooks. With symmetric secrets the standard library is enough; public keys need `pip install cryptography`.

python verify.py KEY WEBHOOK_ID WEBHOOK_TIMESTAMP WEBHOOK_SIGNATURE < body
"""

import base64
import hashlib
import hmac
import sys
import time


def verify(key: str, headers: dict, body: bytes, tolerance_seconds: float = 300) -> None:
    """key: the endpoint's secret (whsec_...), or its public key (whpk_...). body: as it came. Raises ValueError."""
    webhook_id, timestamp = headers["webhook-id"], headers["webhook-timestamp"]
    if abs(time.time() - int(timestamp)) > tolerance_seconds:
        raise ValueError("The timestamp is too far from now.")
    message = f"{webhook_id}.{timestamp}.".encode() + body
    prefix, _, encoded = key.partition("_")
    fits = {"whsec": fits_hmac, "whpk": fits_ed25519}[prefix]
    version = {"whsec": "v1", "whpk": "v1a"}[prefix]
    for text in headers["webhook-signature"].split(" "):
        found, _, signature = text.partition(",")
        if found == version and fits(base64.b64decode(encoded), message, base64.b64decode(signature)):
            return
    raise ValueError("No signature fits.")


def fits_hmac(secret: bytes, message: bytes, signature: bytes) -> bool:
    return hmac.compare_digest(hmac.new(secret, message, hashlib.sha256).digest(), signature)


def fits_ed25519(public_key: bytes, message: bytes, signature: bytes) -> bool:
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    try:
        Ed25519PublicKey.from_public_bytes(public_key).verify(signature, message)
        return True
    except InvalidSignature:
        return False


if __name__ == "__main__":
    names = ["webhook-id", "webhook-timestamp", "webhook-signature"]
    verify(sys.argv[1], dict(zip(names, sys.argv[2:])), sys.stdin.buffer.read())

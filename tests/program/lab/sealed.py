"""Tickets as the terminator seals them, opened and made by a test that has the key: what an
attacker could do to whom a ticket key has leaked. See src/resume/sealer.h and record.h."""

import hashlib
import hmac
import os

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

NAME_LEN, SEALER_LEN, COUNTER_LEN, TAG_LEN = 16, 10, 6, 16
HEAD_LEN = NAME_LEN + SEALER_LEN + COUNTER_LEN
PURPOSE_TICKET = b"\x11"


def file_key():
    """The contents of one of nginx's key files of 80 bytes."""
    return os.urandom(80)


def _secret(key):
    return hmac.digest(b"reprise ticket key file v1", key[NAME_LEN:], hashlib.sha256)


def _cipher(key, head):
    label = b"reprise sealed record v1" + head[NAME_LEN : NAME_LEN + SEALER_LEN]
    return AESGCM(hmac.digest(_secret(key), label, hashlib.sha256))


def _nonce(head):
    return bytes(12 - COUNTER_LEN) + head[-COUNTER_LEN:]


def unseal(key, ticket):
    """The record in a ticket."""
    head = ticket[:HEAD_LEN]
    assert head[:NAME_LEN] == key[:NAME_LEN]
    return _cipher(key, head).decrypt(_nonce(head), ticket[HEAD_LEN:], PURPOSE_TICKET + head)


def seal(key, record, purpose=PURPOSE_TICKET):
    """A ticket with that record, by a sealer of the test's own."""
    head = key[:NAME_LEN] + os.urandom(SEALER_LEN) + (1).to_bytes(COUNTER_LEN, "big")
    return head + _cipher(key, head).encrypt(_nonce(head), record, purpose + head)

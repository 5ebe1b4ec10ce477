"""Certificates for the tests: made anew for each run, kept in a folder."""

import datetime
import ipaddress

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

NAMES = ("www.example.com", "other.example.com", "*.wild.example.com", "localhost")
DAY = datetime.timedelta(days=1)


def new_key(kind):
    """A private key: "rsa" (2048 bits) or "ecdsa" (P-256)."""
    if kind == "rsa":
        return rsa.generate_private_key(public_exponent=65537, key_size=2048)
    return ec.generate_private_key(ec.SECP256R1())


def write_key(path, key):
    path.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    path.chmod(0o600)


class Pair:
    """A certificate chain and its key, as files. str() of a file is what a
    configuration names."""

    def __init__(self, folder, name, cert, key, issuers=()):
        self.cert = cert
        self.chain_file = folder / f"{name}.pem"
        self.key_file = folder / f"{name}.key"
        self.chain_file.write_bytes(
            b"".join(c.public_bytes(serialization.Encoding.PEM) for c in (cert, *issuers))
        )
        write_key(self.key_file, key)

    @property
    def serial(self):
        return self.cert.serial_number

    def config(self):
        """As an entry of a profile's `certificates`."""
        return {"chain": str(self.chain_file), "key": str(self.key_file)}


class Authority:
    """A certificate authority. `file` is its certificate."""

    def __init__(self, folder, name, life=DAY * 3650):
        self.folder = folder
        self.name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"Test {name}")])
        self.key = new_key("ecdsa")
        self.cert = (
            self._builder(self.name, self.key.public_key(), life)
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .add_extension(self._usage(key_cert_sign=True, crl_sign=True), critical=True)
            .add_extension(
                x509.SubjectKeyIdentifier.from_public_key(self.key.public_key()), critical=False
            )
            .sign(self.key, hashes.SHA256())
        )
        self.file = folder / f"{name}.pem"
        self.file.write_bytes(self.cert.public_bytes(serialization.Encoding.PEM))

    @staticmethod
    def _usage(**on):
        names = (
            "digital_signature content_commitment key_encipherment data_encipherment "
            "key_agreement key_cert_sign crl_sign encipher_only decipher_only"
        )
        return x509.KeyUsage(**{name: on.get(name, False) for name in names.split()})

    def _builder(self, subject, public_key, life):
        now = datetime.datetime.utcnow()
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self.name)
            .public_key(public_key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - DAY)
            .not_valid_after(now + life)
        )

    def _leaf(self, common_name, key, life, purpose):
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])
        is_rsa = isinstance(key, rsa.RSAPrivateKey)
        return (
            self._builder(subject, key.public_key(), life)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(
                self._usage(digital_signature=True, key_encipherment=is_rsa), critical=True
            )
            .add_extension(x509.ExtendedKeyUsage([purpose]), critical=False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key()),
                critical=False,
            )
        )

    def server(self, name, kind="ecdsa", names=NAMES, life=DAY * 30):
        """A server's certificate for all of `names` and the loopback addresses."""
        key = new_key(kind)
        others = [x509.DNSName(n) for n in names]
        others += [x509.IPAddress(ipaddress.ip_address(a)) for a in ("127.0.0.1", "::1")]
        cert = self._leaf(names[0], key, life, ExtendedKeyUsageOID.SERVER_AUTH).add_extension(
            x509.SubjectAlternativeName(others), critical=False
        )
        return Pair(self.folder, name, cert.sign(self.key, hashes.SHA256()), key)

    def client(self, name, life=DAY * 30):
        """A client's certificate whose common name is `name`."""
        key = new_key("ecdsa")
        cert = self._leaf(name, key, life, ExtendedKeyUsageOID.CLIENT_AUTH)
        return Pair(self.folder, name, cert.sign(self.key, hashes.SHA256()), key)

    def crl(self, name, revoked=()):
        """A revocation list with the given pairs; returns its file."""
        now = datetime.datetime.utcnow()
        builder = (
            x509.CertificateRevocationListBuilder()
            .issuer_name(self.name)
            .last_update(now - DAY)
            .next_update(now + DAY * 30)
        )
        for pair in revoked:
            builder = builder.add_revoked_certificate(
                x509.RevokedCertificateBuilder()
                .serial_number(pair.serial)
                .revocation_date(now - DAY)
                .build()
            )
        path = self.folder / f"{name}.pem"
        signed = builder.sign(self.key, hashes.SHA256())
        path.write_bytes(signed.public_bytes(serialization.Encoding.PEM))
        return path


class Certificates:
    """All that the tests share: server certificates of one authority, client
    certificates of two others, and their revocation lists."""

    def __init__(self, folder):
        self.authority = Authority(folder, "server-ca")
        self.rsa = self.authority.server("web-rsa", "rsa")
        self.ecdsa = self.authority.server("web-ecdsa", "ecdsa")
        self.other = self.authority.server("other", names=("other.example.com",))
        self.client_ca = Authority(folder, "client-ca")
        self.second_ca = Authority(folder, "second-ca")
        self.alice = self.client_ca.client("alice")
        self.mallory = self.client_ca.client("mallory")  # revoked in crl_mallory
        self.bob = self.second_ca.client("bob")
        self.crl_none = self.client_ca.crl("crl-none")
        self.crl_mallory = self.client_ca.crl("crl-mallory", [self.mallory])
        self.crl_alice = self.client_ca.crl("crl-alice", [self.alice, self.mallory])

"""The lab's seal on a paper: a PAdES signature that says that this lab printed it, and finds every change of it."""

from __future__ import annotations

import io
import logging
import shutil
import tempfile
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from markupsafe import Markup

from physlab.errors import PhyslabError, ValidationError
from physlab.notebook.limited import Limits, run_limited
from physlab.notebook.paper.certificate import Certificate
from physlab.notebook.paper.press import PAGE, PAPER
from physlab.notebook.paper.sources import moment
from physlab.notebook.writing import Clock, now
from physlab.signing.timestamp import Send, post

FIELD = "LabSeal"
BOX = (62, 15, 298, 57)
"""Where the seal stands on the first page, below its text [pt]."""
LIMITS = Limits(memory_gb=2.0, cpu_s=60, wall_s=180.0, file_gb=0.1)
_STAMP = Markup(
    '<!DOCTYPE html><html lang="en"><title>Seal</title><body><p class="what">Printed and sealed by {}</p>'
    '<p>{} · says that this lab printed it, not who wrote it</p><p>SHA-256 of the certificate:</p>'
    '<p class="mono">{}</p></body></html>'
)  # fmt: skip


@dataclass(frozen=True)
class Sealed:
    """What the seal of a paper says.

    Attributes:
        lab: Whom its certificate names.
        fingerprint: SHA-256 of the certificate.
        at: When it was sealed, as the lab says.
        stamped_at: When an authority says that it was there already; empty without a time stamp.
        problem: Why it does not hold; empty where it does.
    """

    lab: str = ""
    fingerprint: str = ""
    at: str = ""
    stamped_at: str = ""
    problem: str = ""


def seal(
    pdf: bytes, certificate: Certificate, *, authority_url: str = "", send: Send | None = None, clock: Clock = now
) -> bytes:
    """Return a paper with the seal of the lab, visible at the foot of its first page.

    Args:
        pdf: The paper.
        certificate: The lab's.
        authority_url: Address of an authority of time stamps (RFC 3161); empty for none.
        send: Asks the authority; over HTTP by default.
        clock: Tells when.

    Raises:
        ResourceError: The authority cannot be reached.
        ValidationError: The file cannot be sealed.
    """
    at = clock().astimezone(UTC)
    stamper = _stamper(authority_url, send or post) if authority_url else None
    folder = Path(tempfile.mkdtemp(prefix="physlab-seal-"))
    try:
        text = _STAMP.format(certificate.name, moment(at.isoformat()), certificate.fingerprint)
        (folder / PAGE).write_text(text, encoding="utf-8")
        order = {"sheet": "stamp.css", "files": {}, "records": [], "at": at.isoformat(timespec="seconds")}
        run_limited("physlab.notebook.paper.press", order, folder, LIMITS)
        return _sign(pdf, certificate, folder / PAPER, stamper)
    except (ValueError, OSError) as error:
        if isinstance(error, PhyslabError):
            raise
        raise ValidationError(f"The paper cannot be sealed: {error}.", hint="Print it again.") from error
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _sign(pdf: bytes, certificate: Certificate, stamp: Path, stamper: Any) -> bytes:
    from asn1crypto import keys, pem, x509  # type: ignore[import-untyped]
    from pyhanko.pdf_utils.incremental_writer import IncrementalPdfFileWriter
    from pyhanko.pdf_utils.layout import AxisAlignment, InnerScaling, Margins, SimpleBoxLayoutRule
    from pyhanko.sign.fields import MDPPerm, SigFieldSpec, SigSeedSubFilter
    from pyhanko.sign.signers import PdfSignatureMetadata, PdfSigner, SimpleSigner
    from pyhanko.stamp import StaticStampStyle
    from pyhanko_certvalidator.registry import SimpleCertificateStore

    own = x509.Certificate.load(pem.unarmor(certificate.pem.encode())[2])
    secret = keys.PrivateKeyInfo.load(pem.unarmor(certificate.key_pem.encode())[2])
    signer = SimpleSigner(own, secret, SimpleCertificateStore())  # type: ignore[no-untyped-call]
    told = PdfSignatureMetadata(
        field_name=FIELD, md_algorithm="sha256", subfilter=SigSeedSubFilter.PADES, certify=True,
        docmdp_permissions=MDPPerm.NO_CHANGES, name=certificate.name, reason="Printed by this lab",
    )  # fmt: skip
    whole = SimpleBoxLayoutRule(
        AxisAlignment.ALIGN_MIN, AxisAlignment.ALIGN_MIN, Margins(0, 0, 0, 0), InnerScaling.STRETCH_FILL
    )
    style = StaticStampStyle.from_pdf_file(str(stamp), border_width=0, background_opacity=1.0, background_layout=whole)
    spec = SigFieldSpec(FIELD, on_page=0, box=BOX)
    sealer = PdfSigner(told, signer, timestamper=stamper, stamp_style=style, new_field_spec=spec)
    target = io.BytesIO()
    sealer.sign_pdf(IncrementalPdfFileWriter(io.BytesIO(pdf)), output=target)
    return target.getvalue()


def _stamper(url: str, send: Send) -> Any:
    from asn1crypto import tsp
    from pyhanko.sign.timestamps import TimeStamper

    class Asking(TimeStamper):
        """Asks as everything of this lab asks."""

        async def async_request_tsa_response(self, req: Any) -> Any:
            """Return the reply of the authority."""
            return tsp.TimeStampResp.load(send(url, req.dump()))

    return Asking()  # type: ignore[no-untyped-call]


def check_seal(pdf: bytes, certificate: str, authority: str = "") -> Sealed:
    """Return what the seal of a paper says, and whether it holds.

    Args:
        pdf: The paper.
        certificate: The certificate of the lab that is to have sealed it, in PEM.
        authority: Certificates of the authority of time stamps, in PEM; without, a time stamp is not believed.
    """
    try:
        return _checked(pdf, certificate, authority)
    except Exception as error:  # noqa: BLE001 - what reads PDF throws whatever a changed byte makes of it
        if isinstance(error, PhyslabError):
            return Sealed(problem=error.message)
        return Sealed(problem=f"it cannot be read as a sealed paper: {type(error).__name__}: {error}"[:300])


def _checked(pdf: bytes, certificate: str, authority: str) -> Sealed:
    from pyhanko.pdf_utils.reader import PdfFileReader
    from pyhanko.sign.validation import validate_pdf_signature

    logging.getLogger("pyhanko").addHandler(logging.NullHandler())  # it would print what it raises as well
    reader = PdfFileReader(io.BytesIO(pdf), strict=True)
    signatures = list(reader.embedded_signatures)
    if len(signatures) != 1 or signatures[0].field_name != FIELD:
        raise ValidationError(
            f"it has {len(signatures)} signatures, and a paper has that of its lab", hint="Ask for the original."
        )
    _insist_on_form(pdf, signatures[0], certificate)
    status = validate_pdf_signature(signatures[0], _trust(certificate), _trust(authority))
    if status.coverage is None or status.coverage.name != "ENTIRE_FILE":
        raise ValidationError("the seal does not cover all of it", hint="Ask for the original.")
    stamp = status.timestamp_validity
    held = bool(status.intact and status.valid and status.trusted and status.docmdp_ok)
    problem = "" if held else _why(status)
    if stamp is not None and authority and not (stamp.intact and stamp.valid and stamp.trusted):
        problem = problem or "its time stamp does not hold"
    made = status.signing_cert
    at = status.signer_reported_dt or signatures[0].self_reported_timestamp
    return Sealed(
        str(made.subject.native.get("common_name", "")), made.sha256.hex(), _iso(at),
        _iso(stamp.timestamp) if stamp is not None and authority else "", problem,
    )  # fmt: skip


def _insist_on_form(pdf: bytes, signature: Any, certificate: str) -> None:
    """Refuse a signature, which cannot cover itself, that is not spelled in the one way in which it is made here."""
    from asn1crypto import cms, pem, x509

    _, start, after, _ = (int(number) for number in signature.byte_range)
    hole, own = pdf[start:after], x509.Certificate.load(pem.unarmor(certificate.encode())[2])
    made = cms.ContentInfo.load(bytes.fromhex(hole[1:-1].decode("ascii")))
    [signer] = made["content"]["signer_infos"]
    named = cms.IssuerAndSerialNumber({"issuer": own.issuer, "serial_number": own.serial_number})
    if signer["sid"].chosen.dump() != named.dump():
        raise ValidationError("another certificate sealed it", hint="Take the certificate of the lab that printed it.")
    digest = cms.DigestAlgorithm({"algorithm": "sha256"})
    again = {
        "version": "v1", "sid": cms.SignerIdentifier({"issuer_and_serial_number": named}),
        "digest_algorithm": digest, "signature_algorithm": {"algorithm": "sha256_ecdsa"},
        "signed_attrs": signer["signed_attrs"], "signature": signer["signature"],
    }  # fmt: skip
    if signer["unsigned_attrs"]:
        again["unsigned_attrs"] = signer["unsigned_attrs"]
    whole = cms.ContentInfo({"content_type": "signed_data", "content": cms.SignedData({
        "version": "v1", "digest_algorithms": [digest], "encap_content_info": {"content_type": "data"},
        "certificates": [own], "signer_infos": [again],
    })})  # fmt: skip
    text = whole.dump().hex().upper().encode()
    if hole != b"<" + text.ljust(len(hole) - 2, b"0") + b">":
        raise ValidationError("its signature was changed", hint="Ask for the original.")


def _why(status: Any) -> str:
    if not (status.intact and status.valid):
        return "it was changed after it was sealed"
    return "another certificate sealed it" if not status.trusted else "something was added after it was sealed"


def _trust(pem: str) -> Any:
    """Return what believes these certificates alone, and asks nobody."""
    from asn1crypto import pem as armor
    from asn1crypto import x509
    from pyhanko_certvalidator import ValidationContext

    roots = [x509.Certificate.load(der) for _, _, der in armor.unarmor(pem.encode(), multiple=True)] if pem else []
    return ValidationContext(trust_roots=roots, allow_fetching=False, revocation_mode="soft-fail")


def _iso(time: datetime | None) -> str:
    return time.astimezone(UTC).isoformat(timespec="seconds") if time else ""

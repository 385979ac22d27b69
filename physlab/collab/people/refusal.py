"""How a proof is refused: in the same words whatever was wrong, so that nobody learns who has an account."""

from __future__ import annotations

from physlab.errors import SignInError, StepUpError

CLOSED = "Nobody is signed in, or what was shown to sign in has ended or was revoked."
WRONG = "What was shown is not right, or there were too many attempts."


def wrong_proof() -> SignInError:
    """Return the refusal of a wrong, used or late proof, of an unknown or disabled person, and while it is locked."""
    return SignInError(
        WRONG,
        hint="After five failures an account and an address are locked for a while, each further failure doubles it. "
        "Try again later, or ask who administers the lab for a code with which you set a new password.",
    )


def not_signed_in() -> SignInError:
    """Return the refusal of a cookie or a token, whatever is wrong with it."""
    return SignInError(
        CLOSED, hint="Sign in again; a program needs a new token, which who administers the lab can make."
    )


def step_up(why: str) -> StepUpError:
    """Return the demand for a second factor."""
    return StepUpError(
        why,
        hint="Show a code of your authenticator app, a recovery code or a passkey, then do it again; "
        "who has none gets one from who administers the lab.",
    )

"""Review by people: a page that asks whether judgements are right, and what their votes change."""

from mrbench.review.agreement import Agreement, agreement
from mrbench.review.apply import apply_votes
from mrbench.review.claims import Claim, claims
from mrbench.review.page import render_sheet
from mrbench.review.votes import Ballot, read_votes

__all__ = ["Agreement", "Ballot", "Claim", "agreement", "apply_votes", "claims", "read_votes", "render_sheet"]

"""The induction ladder: the original study's hypotheses and its four refinements, for any decoder with roles.

Source: "Causal Scrubbing: results on induction heads" (2022). Everything outside the induction heads stays as it is;
only what they read is resampled. A claim that carries the whole sequence leaves that input exactly as it is, so each
rung says which paths into the induction heads matter, and all others come from another sequence.

The original has two layers and no MLPs: what an induction head reads is the embedding plus what layer 0 writes. In
other models "layer 0" is every head below, "the token" is the embedding with whatever MLPs make of it on the way, and
a head's output likewise passes through MLPs, but through no further head.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from hypotheses.induction.program import StrictInduction
from hypotheses.induction.roles import Head, Roles
from scrubbing import EMBED, OUTPUT, Claim, Hypothesis, Target, Variable, anything, everything, head, part, reads
from scrubbing.hypothesis import Bundle
from scrubbing.parts import Part, attending_to, offsets
from scrubbing.samplers import exact, uniform

SEQUENCE = Variable("sequence", everything)
NOTHING = Variable("nothing", anything)
NEXT = Variable("next tokens", everything)

QUERY_TOKENS = offsets(0, -1, -2)
"""Three consecutive tokens, up to the current one."""
KEY_TOKENS = offsets(-1, -2, -3)
"""Three consecutive tokens, up to the previous one."""


def ladder(roles: Roles) -> list[Hypothesis]:
    """Every rung for a model with these roles, from the zero point to the refined hypothesis, and a wrong one last."""
    return [
        heads_only(roles),
        value(roles),
        query(roles),
        key(roles),
        key_previous(roles),
        naive(roles),
        three_tokens(roles),
        current_position(roles),
        copies(roles),
        refined(roles),
        free_pattern(roles),
        *([strict(roles)] if roles.strict else []),
        two_back(roles),
    ]


def left_out(roles: Roles) -> dict[str, str]:
    """Rungs that say nothing new about a model with these roles, and why."""
    found: dict[str, str] = {}
    if not roles.previous:
        without = "no head below the induction heads attends to the previous token"
        found |= dict.fromkeys(("key", "key-previous", "naive", "two-back"), without)
    if not roles.copies:
        found["copies"] = "no head of layer 0 attends to earlier copies of the current token"
    return found


def _rung(roles: Roles, name: str, claim: str, *claims: Claim) -> Hypothesis:
    """A hypothesis about what the induction heads read; everything beside them is exact."""
    return Hypothesis(
        f"induction/{name}",
        claim,
        OUTPUT.carries(NEXT, _together(roles, roles.induction).carries(SEQUENCE, *claims), unclaimed=exact),
    )


def _together(roles: Roles, heads: tuple[Head, ...]) -> Bundle:
    """Some heads, by every path to the output on which no other of them lies."""
    if not roles.mlps and all(layer == roles.layers - 1 for layer, _ in heads):
        return Bundle(tuple(head(*one).direct() for one in heads))
    above = {one: [head(*other) for other in heads if other[0] > one[0]] for one in heads}
    return Bundle(tuple(head(*one).any_path(avoid=above[one]) for one in heads))


def _exactly(*slots: str) -> Claim:
    """These inputs of the induction heads as they are."""
    return reads(*slots).carries(SEQUENCE)


def _from(roles: Roles, target: Target, slot: str, *below: Claim) -> Claim:
    """What a head or the embedding brings to a slot, through MLPs if there are any, and through no other head."""
    others = [head(*one) for one in roles.below if head(*one).node != target.node]
    path = target.any_path(avoid=others) if roles.mlps else target.direct()
    return path.into(slot).carries(SEQUENCE, *below)


def _parts(roles: Roles, heads: Iterable[Head], slot: str, part: Part, *below: Claim) -> Iterator[Claim]:
    """A part of the output of some heads, into one slot."""
    for one in heads:
        yield _from(roles, head(*one).part(part), slot, *below)


def _token(roles: Roles, slot: str) -> Claim:
    return _from(roles, EMBED, slot)


def _previous_token(roles: Roles, slot: str, back: int = -1) -> Iterator[Claim]:
    """Of previous-token heads, what they read at that token; their pattern is another sequence's."""
    for layer, i in roles.previous:
        # Above layer 0 what stands at the previous token is more than that token.
        read = _token(roles, "v") if layer else reads("v").carries(SEQUENCE)
        yield _from(roles, head(layer, i).part(offsets(back)), slot, read)


def heads_only(roles: Roles) -> Hypothesis:
    """The original's zero point, B: everything the induction heads read is another sequence's. Resampling the whole
    output would count as recovered what every other part of the model does.
    """
    return _rung(roles, "heads-only", "What the induction heads read does not matter.", reads().carries(NOTHING))


def value(roles: Roles) -> Hypothesis:
    """V: they move tokens, so their values need only the embeddings."""
    return _rung(roles, "value", "The value input depends only on the token.", _token(roles, "v"), _exactly("q", "k"))


def query(roles: Roles) -> Hypothesis:
    """Q: the query is the current token."""
    return _rung(
        roles, "query", "The query input depends only on the current token.", _token(roles, "q"), _exactly("k", "v")
    )


def key(roles: Roles) -> Hypothesis:
    """K: the key comes from the previous-token heads alone, embeddings and other heads resampled."""
    return _rung(
        roles,
        "key",
        "The key input depends only on the previous-token heads.",
        *(_from(roles, head(*one), "k") for one in roles.previous),
        _exactly("q", "v"),
    )


def key_previous(roles: Roles) -> Hypothesis:
    """K': and of those only on the previous token itself, with the pattern taken from another sequence."""
    return _rung(
        roles,
        "key-previous",
        "The key input depends only on the previous token, through the previous-token heads.",
        *_previous_token(roles, "k"),
        _exactly("q", "v"),
    )


def naive(roles: Roles) -> Hypothesis:
    """V, Q and K' at once. Each costs little or much alone; together they cost more than their sum, since the original
    model does not match one token but several.
    """
    return _rung(
        roles,
        "naive",
        "The heads copy the token after an earlier copy of the current one: value, query and previous token alone.",
        _token(roles, "v"),
        _token(roles, "q"),
        *_previous_token(roles, "k"),
    )


def three_tokens(roles: Roles) -> Hypothesis:
    """Refinement 1: matching compares three consecutive tokens. The query takes from the layer-0 heads what they move
    over from positions i-2 to i, the key what they move over from i-3 to i-1, under their own pattern.
    """
    return _rung(
        roles,
        "three-tokens",
        "As naive, and attention compares three consecutive tokens.",
        _token(roles, "v"),
        *_three_tokens(roles),
    )


def _three_tokens(roles: Roles) -> list[Claim]:
    return [
        _token(roles, "q"),
        *_parts(roles, roles.below, "q", QUERY_TOKENS),
        *_parts(roles, roles.below, "k", KEY_TOKENS),
    ]


def current_position(roles: Roles) -> Hypothesis:
    """Refinement 2: query and value also take what layer 0 writes at the current position about the current token."""
    return _rung(
        roles,
        "current-position",
        "As three-tokens, and the value takes what layer-0 heads move from the current position.",
        _token(roles, "v"),
        *_parts(roles, roles.below, "v", offsets(0)),
        *_three_tokens(roles),
    )


def copies(roles: Roles) -> Hypothesis:
    """Refinement 3: heads that attend to earlier copies of the current token write what they would write if they
    attended to the current token itself, since the copies' embeddings are the same. What they write beyond that is
    resampled.
    """
    return _rung(
        roles,
        "copies",
        "As current-position, with heads that attend to copies of the current token as if they attended to it alone.",
        _token(roles, "v"),
        *_with_copies(roles, "v", offsets(0)),
        _token(roles, "q"),
        *_with_copies(roles, "q", QUERY_TOKENS),
        *_parts(roles, roles.below, "k", KEY_TOKENS),
    )


def _with_copies(roles: Roles, slot: str, part: Part) -> list[Claim]:
    others = [one for one in roles.below if one not in roles.copies]
    return [*_parts(roles, roles.copies, slot, attending_to(0)), *_parts(roles, others, slot, part)]


def refined(roles: Roles) -> Hypothesis:
    """All of it, and the key may know the token it stands on: layer 0 at the current position and the embedding."""
    return _rung(
        roles,
        "refined",
        "As copies, and the key also knows its own token.",
        _token(roles, "v"),
        *_with_copies(roles, "v", offsets(0)),
        _token(roles, "q"),
        *_with_copies(roles, "q", QUERY_TOKENS),
        _token(roles, "k"),
        *_parts(roles, roles.below, "k", offsets(0, -1, -2, -3)),
    )


def free_pattern(roles: Roles) -> Hypothesis:
    """Refinement 4: how layer-0 attention varies from sequence to sequence is unimportant. As `refined`, with every
    layer-0 pattern taken from another sequence; copies are then found by no pattern at all.
    """
    values = reads("v").carries(SEQUENCE)
    others = [one for one in roles.below if one not in roles.copies]
    return _rung(
        roles,
        "free-pattern",
        "As refined, with the patterns of layer 0 taken from another sequence.",
        _token(roles, "v"),
        *_parts(roles, roles.copies, "v", attending_to(0)),
        *_parts(roles, others, "v", offsets(0), values),
        _token(roles, "q"),
        *_parts(roles, roles.copies, "q", attending_to(0)),
        *_parts(roles, others, "q", QUERY_TOKENS, values),
        _token(roles, "k"),
        *_parts(roles, roles.below, "k", offsets(0, -1, -2, -3), values),
    )


def strict(roles: Roles) -> Hypothesis:
    """The program instead of the heads: what strict induction on the tokens says (see `StrictInduction`), and of what a
    head writes beyond that, what it writes on another sequence. `mean rest` has the mean of that instead, and `mean
    claimed` the mean of the whole heads.
    """
    claims = [
        target.carries(
            SEQUENCE,
            part(StrictInduction(*one, roles.strict[f"{one[0]}.{one[1]}"])).carries(SEQUENCE),
            unclaimed=uniform,
        )
        for one, target in zip(roles.induction, _together(roles, roles.induction).targets, strict=True)
    ]
    told = "The heads do strict induction: of the token after the last copy of the current one, its embedding."
    return Hypothesis("induction/strict", told, OUTPUT.carries(NEXT, *claims, unclaimed=exact))


def two_back(roles: Roles) -> Hypothesis:
    """Wrong on purpose: the key is the token two back. It differs from `naive` in one number."""
    return _rung(
        roles,
        "two-back",
        "As naive, with the token before the previous one in the key.",
        _token(roles, "v"),
        _token(roles, "q"),
        *_previous_token(roles, "k", -2),
    )


def without_heads(roles: Roles, heads: tuple[Head, ...] = ()) -> Hypothesis:
    """What the induction heads, or some others, are worth: their whole output comes from another sequence."""
    return Hypothesis(
        "induction/without-heads",
        "These heads do not matter." if heads else "The induction heads do not matter.",
        OUTPUT.carries(NEXT, _together(roles, heads or roles.induction).carries(NOTHING), unclaimed=exact),
    )

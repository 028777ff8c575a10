"""Claims that do not meet as they should, in words: on one path, on no path, or where nothing reads them."""

from __future__ import annotations

from collections.abc import Iterator

from scrubbing.errors import Fault
from scrubbing.graph.positions import Where
from scrubbing.hypothesis.claims import Target
from scrubbing.hypothesis.meeting import Clash, Meeting, Unmatched, Unread, runs
from scrubbing.hypothesis.remedies import FaultsOf, Remedies, sentence
from scrubbing.hypothesis.treeify import PlacedClaim, Tree


def meeting_faults(tree: Tree, read: Where | None, faults_of: FaultsOf) -> Iterator[Fault]:
    """One for every pair of claims on one path, and for every target that nothing meets or reads.

    Args:
        tree: of nodes that the model has.
        read: positions at which the output is read; None where that is not known.
        faults_of: what else is wrong with claims, so that no remedy leads there.
    """
    remedies = Remedies(tree, read, faults_of)
    for finding in Meeting(tree, read).findings():
        region = tree.regions[finding.region]
        remedy = sentence(remedies.of(finding))
        if isinstance(finding, Clash):
            labels = [remedies.placed(finding.region, index).label for index in (finding.first, finding.second)]
            told = f"{labels[0]!r} and {labels[1]!r}" if labels[0] != labels[1] else f"{labels[0]!r}, twice"
            problem = f"two claims use one path, through {finding.node}: {told}."
            yield Fault("SCR-OVERLAP", region.path, problem, remedy)
            continue
        one = remedies.placed(finding.region, finding.target)
        if isinstance(finding, Unread):
            yield Fault("SCR-UNREAD", one.region.path, _unread(region, one.target, finding), remedy)
        else:
            code, problem = _unmatched(tree, region, finding)
            yield Fault(code, one.region.path, problem, remedy)


def _unread(region: PlacedClaim, target: Target, unread: Unread) -> str:
    owner = " or ".join(map(str, dict.fromkeys(region.nodes)))
    where = "nowhere" if not unread.around else f"at {runs(unread.around)} only"
    claimed = "" if target.positions is None else f", and the claim is on {target.positions}"
    if target.read_slots and target.route is None:
        return f"nothing depends on it: what {owner} reads matters {where}{claimed}."
    return f"nothing depends on it: {owner} reads it {where}{claimed}."


def _unmatched(tree: Tree, region: PlacedClaim, finding: Unmatched) -> tuple[str, str]:
    """Why a target meets no path; that its slots and positions exist is checked elsewhere."""
    _, target, node = tree.targets(region.index)[finding.target]
    owner = " or ".join(map(str, dict.fromkeys(region.nodes)))
    if node in region.nodes and not (target.read_slots and target.route is None):
        return "SCR-ROUTE", f"{node} is the node of its parent claim itself."
    if target.route is None and target.read_slots:
        return "SCR-SLOT", f"its parent claim covers other slots of {owner}."
    if target.route is None:
        return "SCR-ROUTE", f"it does not say by which paths {node} reaches {owner}."
    if all(node not in tree.graph.upstream.get(above, frozenset()) for above in region.nodes):
        return "SCR-UPSTREAM", f"{node} is not upstream of {owner}."
    into = f" into {'/'.join(target.into_slots)}" if target.into_slots else ""
    why = "" if into else target.route.why_not(owner, node)
    return "SCR-PATH", f"{node} does not reach {owner} {target.route}{into}{why and ': ' + why}."

"""All policies that commands play by name: models, baselines, oracles, and probes that try to game the reward.

A new policy is a class in a file of its own (see :mod:`drag_rl.policies.local` and
:mod:`drag_rl.policies.server.policy`) and a line here, or an entry point of an installed package in the group
``drag_rl.policies``.
"""

from __future__ import annotations

from drag_rl.policies.consensus import ConsensusSource
from drag_rl.policies.source import PolicyOptions, PolicyPart, PolicySource
from drag_rl.tables import Table

_BASELINES, _PROBES = "drag_rl.policies.baselines", "drag_rl.policies.probes"
_PROMPTED, _STOPPING = "drag_rl.policies.prompted", "drag_rl.policies.stopping"

POLICIES: Table[PolicyPart] = Table(
    "policy",
    {
        "model": "drag_rl.policies.server.policy:ServerPolicy",
        # what a gain has to beat
        "raw-question": f"{_BASELINES}.raw_question:RawQuestion",
        "keywords": f"{_BASELINES}.keywords:Keywords",
        "feedback": f"{_BASELINES}.feedback:Feedback",
        # published ways to search with a model that was not trained for it
        "ircot": f"{_PROMPTED}.ircot:Ircot",
        "flare": f"{_PROMPTED}.flare:Flare",
        "entropy-trigger": f"{_PROMPTED}.entropy_trigger:EntropyTrigger",
        "self-reflection": f"{_PROMPTED}.self_reflection:SelfReflection",
        "speculative-rag": f"{_PROMPTED}.speculative:SpeculativeRag",
        "query2doc": f"{_PROMPTED}.query2doc:Query2doc",
        "hyde": f"{_PROMPTED}.hyde:Hyde",
        "hyde-words": f"{_PROMPTED}.hyde:HydeWords",
        "thinkqe": f"{_PROMPTED}.thinkqe:Thinkqe",
        "iter-retgen": f"{_PROMPTED}.iter_retgen:IterRetgen",
        # stop the searches of another policy by a rule
        "stop-coverage": f"{_STOPPING}.coverage:StopByCoverage",
        "stop-agreement": f"{_STOPPING}.agreement:StopByAgreement",
        "stop-margin": f"{_STOPPING}.margin:StopByMargin",
        # upper bounds
        "oracle-depth": f"{_BASELINES}.oracle_depth:OracleDepth",
        "oracle-words": f"{_BASELINES}.oracle_words:OracleWords",
        "oracle-stop": f"{_STOPPING}.oracle:OracleStop",
        # ways to earn without searching
        "probe-vocabulary": f"{_PROBES}.pasting:Vocabulary",
        "probe-question-and-vocabulary": f"{_PROBES}.pasting:QuestionAndVocabulary",
        "probe-very-long-query": f"{_PROBES}.pasting:VeryLongQuery",
        "probe-page-ids": f"{_PROBES}.pasting:PageIds",
        "probe-echo": f"{_PROBES}.echo:Echo",
        "probe-forged-hits": f"{_PROBES}.forging:ForgedHits",
        "probe-forged-query": f"{_PROBES}.forging:ForgedQuery",
        "probe-forged-thought": f"{_PROBES}.forging:ForgedThought",
        "probe-prompt-answer": f"{_PROBES}.answering:PromptAnswer",
        "probe-gold-by-heart": f"{_PROBES}.answering:GoldByHeart",
        "probe-prose": f"{_PROBES}.answering:Prose",
    },
    group="drag_rl.policies",
    plural="policies",
)
"""Name -> policy."""


def policy_source(options: PolicyOptions) -> PolicySource:
    """The policy that options name. Raises InputError for a name that is not in the table."""
    source = POLICIES.find(options.name, "--policy").source(options)
    return source if options.consensus == 1 else ConsensusSource(source, options.consensus)


def probes() -> tuple[str, ...]:
    """The names of the ways to earn without searching."""
    return tuple(name for name in POLICIES if name.startswith("probe-"))

"""The whole method in one file: a model searches, the rank of the gold page is its reward, GRPO makes it search better.

A random model of a million parameters first learns the protocol (SFT on scripted searches for random words), then which
words find the page that answers a question (GRPO). No Ray, no vLLM, no GPU: `python examples/grpo_in_one_file.py` takes
about a minute. The real thing takes the same steps in veRL; docs/architecture.md says where each of them is.

Shape letters: P prompts (questions), G rollouts of each, N = P * G rollouts, T tokens, V words of the vocabulary.
"""

import asyncio
import json
import random
import tempfile
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import torch
from transformers import AutoModelForImageTextToText, AutoTokenizer

from drag_rl import EpisodeConfig, Observation, Question, SearchEpisode, SearchRequest, open_retriever
from drag_rl.corpus.ingest import ingest_ocr_file
from drag_rl.models.tiny import build_tiny
from drag_rl.retrieval import build_index
from reward import RewardConfig, compute_reward

PARTS = ("pump", "valve", "filter", "motor")  # what page 1, 2 ... is about; no question says the word
TEXTS = ("What moves the water?", "What closes a pipe?", "What holds back the dirt?", "What turns the shaft?")
QUESTIONS = [
    Question(question_id=part, text=text, gold_page_ids=(f"manual#{n}",))
    for n, (part, text) in enumerate(zip(PARTS, TEXTS, strict=True), start=1)
]
SHOWN = {"repeat_pages": False, "snippet_chars": 20, "system_prompt": "brief"}  # no page is shown twice
CONFIG = EpisodeConfig(max_turns=2, answer=False, think=False, top_k=1, **SHOWN)  # two searches of one page
END = "<|im_end|>"  # ends a message


@dataclass
class Rollout:
    """An episode as tokens: its prompt, then in turn what the policy wrote (mask 1) and what it was shown (mask 0)."""

    episode: SearchEpisode
    ids: list = field(default_factory=list)
    mask: list = field(default_factory=list)

    def append(self, ids, own):
        self.ids += ids
        self.mask += [own] * len(ids)


async def roll_out(questions, retriever, tokenizer, write):
    """Play an episode for each question, side by side: one batch of messages, one batch of searches, and again."""

    def rendered(episode, ask):
        return tokenizer.apply_chat_template(episode.messages, tokenize=False, add_generation_prompt=ask)

    rollouts = [Rollout(SearchEpisode(question, retriever.pages, CONFIG)) for question in questions]
    for rollout in rollouts:
        rollout.append(tokenizer.encode(rendered(rollout.episode, ask=True)), own=0)
    while running := [rollout for rollout in rollouts if not rollout.episode.stop_reason]:
        replies = []
        for rollout, ids in zip(running, write(running), strict=True):
            rollout.append(ids, own=1)
            text = tokenizer.decode(ids)
            ended = "stop" if text.endswith(END) else "length"
            replies.append(rollout.episode.step(text.removesuffix(END), ended))
        queries = [query for reply in replies if isinstance(reply, SearchRequest) for query in reply.queries]
        rankings = iter(await retriever.search(queries, CONFIG.top_k))
        for rollout, reply in zip(running, replies, strict=True):
            if isinstance(reply, SearchRequest):
                reply = rollout.episode.show([next(rankings) for _ in reply.queries])
            if isinstance(reply, Observation):
                before = rendered(rollout.episode, ask=False).removesuffix("\n")
                rollout.episode.commit(reply)
                shown = rendered(rollout.episode, ask=True).removeprefix(before)
                rollout.append(tokenizer.encode(shown), own=0)
    return rollouts


def sampled(model, tokenizer, rollouts):
    """The policy: for each rollout, tokens drawn from the model up to the end of a message."""
    pad, longest = tokenizer.pad_token_id, max(len(rollout.ids) for rollout in rollouts)
    ids_NT = torch.tensor([[pad] * (longest - len(rollout.ids)) + rollout.ids for rollout in rollouts])
    out_NT = model.generate(ids_NT, attention_mask=(ids_NT != pad).long(), do_sample=True, max_new_tokens=10)
    return [[token for token in row if token != pad] for row in out_NT[:, longest:].tolist()]


def scripted(tokenizer, rollouts):
    """A policy that knows the protocol and nothing else: each of its messages searches for a random part."""
    return [tokenizer.encode(f"<search>{random.choice(PARTS)}</search>{END}") for _ in rollouts]


def log_probs(model, rollouts):
    """The log-probability of each token but the first, given those before it, and its mask; both (N, T - 1)."""
    padded = partial(torch.nn.utils.rnn.pad_sequence, batch_first=True)  # at the end: no token sees it
    ids_NT = padded([torch.tensor(rollout.ids) for rollout in rollouts])
    mask_NT = padded([torch.tensor(rollout.mask) for rollout in rollouts])
    log_probs_NTV = torch.log_softmax(model(ids_NT[:, :-1]).logits, -1)
    return log_probs_NTV.gather(-1, ids_NT[:, 1:, None])[..., 0], mask_NT[:, 1:]


def learn(model, optimizer, rollouts, advantages_N):
    """One step of policy gradient on the policy's own tokens; where all advantages are 1 it is a step of SFT."""
    log_probs_NT, mask_NT = log_probs(model, rollouts)
    loss = -(advantages_N[:, None] * log_probs_NT * mask_NT).sum() / mask_NT.sum()
    optimizer.zero_grad()
    loss.backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()


async def train(folder, sft_steps=50, grpo_steps=40, G=8):
    """Make a manual, its index and a random model, and train; returns the mean reward of each step of GRPO."""
    random.seed(0)
    torch.manual_seed(0)
    texts = [f"The {part}, chapter {n}: parts, care and repair." for n, part in enumerate(PARTS, start=1)]
    pages = [{"file": "manual.pdf", "page": n, "text": text} for n, text in enumerate(texts, start=1)]
    (folder / "ocr.jsonl").write_text("\n".join(map(json.dumps, pages)))
    ingest_ocr_file(folder / "ocr.jsonl", folder / "pages")
    build_index(folder / "pages", folder / "index")
    build_tiny(folder / "model")
    retriever = open_retriever(folder / "index")
    model = AutoModelForImageTextToText.from_pretrained(folder / "model", dtype=torch.float32)
    tokenizer = AutoTokenizer.from_pretrained(folder / "model")
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    for _ in range(sft_steps):
        rollouts = await roll_out(QUESTIONS, retriever, tokenizer, partial(scripted, tokenizer))
        learn(model, optimizer, rollouts, torch.ones(len(rollouts)))

    optimizer = torch.optim.AdamW(model.parameters(), lr=1.5e-3, betas=(0.9, 0.95))
    batch, means = [question for question in QUESTIONS for _ in range(G)], []
    for step in range(grpo_steps):
        rollouts = await roll_out(batch, retriever, tokenizer, partial(sampled, model, tokenizer))
        rewards = [compute_reward(rollout.episode.outcome(), RewardConfig())[0] for rollout in rollouts]
        rewards_PG = torch.tensor(rewards).view(len(QUESTIONS), G)
        # GRPO: how far each rollout is above the others of its question, in their standard deviations
        advantages_PG = rewards_PG - rewards_PG.mean(-1, keepdim=True)
        advantages_PG /= rewards_PG.std(-1, keepdim=True) + 1e-6
        learn(model, optimizer, rollouts, advantages_PG.flatten())
        means.append(rewards_PG.mean().item())
        print(f"step {step + 1}: mean reward {means[-1]:.2f}", flush=True)
    return means


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as name:
        asyncio.run(train(Path(name)))

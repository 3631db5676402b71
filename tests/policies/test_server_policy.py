"""What a server is asked, and what becomes of its answers: retries, full contexts, failures, images."""

from __future__ import annotations

import base64
import itertools
import threading
import time

import pytest
from driver_lab import QUESTION, collected, rollouts
from fake_openai import Failure, FakeServer, Said
from PIL import Image
from tiny_corpus import index_of

from drag_rl.corpus.images import PageImages
from drag_rl.corpus.ingest import ReadOptions, ingest_pdfs
from drag_rl.episode import EpisodeConfig
from drag_rl.errors import InputError
from drag_rl.policies.server.message_encoding import MessageEncoding, data_url
from drag_rl.policies.server.model_server import ServerDown
from drag_rl.policies.server.sampling import SAMPLINGS, message_seed
from drag_rl.policies.server.source import check_sampling
from drag_rl.star.collect import Job
from drag_rl.types import Answer, StopReason

SEARCH, ANSWER = "<search>red fox</search>", "<answer>The first [doc#1].</answer>"


@pytest.fixture(scope="module")
def index(tmp_path_factory):
    return index_of(
        tmp_path_factory.mktemp("policy"), ["a red fox runs", "a blue fox sleeps", "a green tree"]
    )


def serve(*answers, **options):
    """A server that gives these answers one after the other."""
    script = itertools.chain(answers)
    return FakeServer(lambda _: next(script), **options)


def test_an_episode_over_http(index):
    with serve(Said(text=SEARCH, delay_s=0.05), ANSWER) as server:
        trajectory = collected(server, index, EpisodeConfig())
    outcome = trajectory.outcome
    assert outcome.stop_reason == StopReason.ANSWERED and outcome.turns[0].gold_ranks == (1,)
    assert [turn.text for turn in outcome.turns] == [SEARCH, ANSWER]
    assert outcome.answer == Answer(text="The first [doc#1].", citations=("doc#1",))
    first, second = trajectory.generations
    assert first.seconds >= 0.05 and first.completion_tokens and first.prompt_tokens < second.prompt_tokens
    # The history is what was said, and every message was drawn with its own seed.
    assert server.requests[1]["messages"][-2] == {"role": "assistant", "content": SEARCH}
    assert [request["seed"] for request in server.requests] == [
        message_seed(0, "q", 0, turn) for turn in (1, 2)
    ]
    assert (trajectory.model, trajectory.sampling, trajectory.sample) == ("m", "default", 0)


def test_what_vllm_and_what_others_are_asked(index):
    common = {"model", "messages", "temperature", "top_p", "max_tokens", "seed", "stop"}
    config = EpisodeConfig(action_format="tools", stop_at_action=False)
    with serve(ANSWER, ANSWER, "Done.", "Done.") as server:
        collected(server, index, EpisodeConfig())
        collected(server, index, EpisodeConfig(), "openai")
        collected(server, index, config)
        collected(server, index, config, "openai")
    vllm, plain, vllm_tools, plain_tools = server.requests
    assert set(plain) == common and plain["stop"] == ["</search>", "</answer>"]
    assert (plain["temperature"], plain["top_p"], plain["max_tokens"]) == (0.7, 0.95, 512)
    further = {key: vllm[key] for key in set(vllm) - common}
    assert further == {"top_k": -1, "min_p": 0.0, "repetition_penalty": 1.0, "skip_special_tokens": False}
    assert vllm_tools["tool_choice"] == "none" and "tool_choice" not in plain_tools
    assert vllm_tools["tools"][0]["function"]["name"] == "search" and "stop" not in vllm_tools


def test_openai_gets_tool_calls_and_ids(index):
    call = 'Hm.\n<tool_call>\n{"name": "search", "arguments": {"query": "é fox"}}\n</tool_call>'
    with serve(call, "Done.", parses=True) as server:
        collected(server, index, EpisodeConfig(action_format="tools"), "openai")
    asked, answer = server.requests[1]["messages"][-2:]
    assert asked["content"] == "Hm.\n"
    assert asked["tool_calls"][0]["function"] == {"name": "search", "arguments": '{"query": "é fox"}'}
    assert answer["role"] == "tool" and answer["tool_call_id"] == asked["tool_calls"][0]["id"]


def test_trouble_is_retried(index, monkeypatch):
    monkeypatch.setattr("openai._base_client.INITIAL_RETRY_DELAY", 0.1)  # a fifth of the library's pauses
    limited = Failure(status=429, headers={"Retry-After": "0.5"})
    with serve(limited, SEARCH, Failure(status=503), Failure(status=0), ANSWER) as server:
        trajectory = collected(server, index, EpisodeConfig())
    assert trajectory.outcome.stop_reason == StopReason.ANSWERED
    assert server.times[1] - server.times[0] >= 0.5  # as the server said
    pauses = server.times[3] - server.times[2], server.times[4] - server.times[3]
    assert 0.06 < pauses[0] < pauses[1]  # growing


@pytest.mark.parametrize(
    ("failure", "says"),
    [
        (Failure(status=400, message="bad image"), "HTTP 400: bad image"),
        (Failure(status=500, message="boom"), "HTTP 500: boom"),
        (Failure(status=200, delay_s=9), "no whole reply within 0.3 s"),
        (Said(text="", finish_reason="content_filter"), "content_filter"),
        (Failure(status=400, message="maximum context length is 9 tokens"), "opening does not fit"),
    ],
)
def test_a_request_that_fails_is_an_error_row(index, failure, says):
    with FakeServer(lambda _: failure) as server:
        # only the case that waits for the time-out has a short one: a busy machine may take a second for the others
        done = run_one(
            server,
            index,
            timeout_s=0.3 if isinstance(failure, Failure) and failure.delay_s else 60,
            retries=1,
        )
    assert done.outcome.stop_reason == StopReason.ERROR and done.outcome.turns == ()
    assert says in done.error


def run_one(server, index, **settings):
    done = []
    rollouts(server, index, EpisodeConfig(), **settings).run(
        [Job(question=QUESTION, sample=0)], lambda _, trajectory: done.append(trajectory), 1
    )
    return done[0]


def test_a_full_context_ends_the_episode_with_what_there_is(index):
    full = Failure(
        status=400, message="This model's maximum context length is 64 tokens. However, you requested ..."
    )
    with serve(SEARCH, full) as server:
        trajectory = collected(server, index, EpisodeConfig())
    assert trajectory.outcome.stop_reason == StopReason.LENGTH and trajectory.error == ""
    assert len(trajectory.outcome.turns) == 1 and trajectory.outcome.turns[0].gold_ranks == (1,)


@pytest.mark.parametrize(
    ("failure", "says"),
    [
        (Failure(status=401, message="who?"), "set OPENAI_API_KEY"),
        (Failure(status=404, message="no such model"), "has no model 'm'"),
        (Failure(status=429, headers={"Retry-After": "900"}), "lower --concurrency"),
        (Failure(status=0), "cannot be reached"),
    ],
)
def test_a_server_that_lets_nobody_in_ends_the_run(index, failure, says):
    with FakeServer(lambda _: failure) as server, pytest.raises(ServerDown, match=says):
        run_one(server, index, retries=1)


def test_a_server_that_hangs_and_dies_is_down_not_an_error_row(index):
    with FakeServer(str) as server:

        def say(_):
            threading.Thread(target=server.stop).start()
            return Failure(status=500, headers={"Connection": "close"}, delay_s=0.2)

        server.say = say
        with pytest.raises(ServerDown):
            run_one(server, index, retries=0)


def test_when_everything_fails_the_run_stops(index):
    jobs = [Job(question=QUESTION, sample=sample) for sample in range(40)]
    done = []
    server = FakeServer(lambda _: Failure(status=400, message="no images"))
    with server, pytest.raises(InputError, match=r"first 20 episodes all failed, .* HTTP 400: no images"):
        rollouts(server, index, EpisodeConfig()).run(jobs, lambda _, row: done.append(row), 4)
    assert 20 <= len(done) <= 24


def test_no_more_than_asked_at_a_time(index):
    lock, now, most = threading.Lock(), 0, 0

    def say(_):
        nonlocal now, most
        with lock:
            now, most = now + 1, max(most, now + 1)
        time.sleep(0.03)
        with lock:
            now -= 1
        return ANSWER

    jobs = [Job(question=QUESTION, sample=sample) for sample in range(12)]
    done = []
    with FakeServer(say) as server:
        rollouts(server, index, EpisodeConfig()).run(jobs, lambda _, trajectory: done.append(trajectory), 3)
    assert len(done) == 12 and most == 3


def test_page_images_are_data_urls(tmp_path, pdf_dir):
    ingest_pdfs(pdf_dir, tmp_path / "pages", ReadOptions())
    pages = PageImages(tmp_path / "pages")
    picture = tmp_path / "scan.bmp"
    Image.new("RGB", (8, 6), "red").save(picture)
    content = [{"type": "image", "path": str(picture)}, {"type": "image", "page_id": "engine#1"}]
    sent = MessageEncoding(pages=pages).messages([{"role": "user", "content": content}])
    for part, size in zip(sent[0]["content"], [(8, 6), pages.size("engine#1")], strict=True):
        head, _, body = part["image_url"]["url"].partition(",")
        assert part["type"] == "image_url" and head == "data:image/png;base64"
        (tmp_path / "back.png").write_bytes(base64.b64decode(body))
        with Image.open(tmp_path / "back.png") as image:
            assert image.size == size
    Image.new("RGB", (8, 6)).save(tmp_path / "a.jpg")
    assert (
        base64.b64decode(data_url(tmp_path / "a.jpg").partition(",")[2]) == (tmp_path / "a.jpg").read_bytes()
    )
    with pytest.raises(InputError, match="--pages"):
        MessageEncoding().messages([{"role": "user", "content": content[1:]}])
    (tmp_path / "bad.png").write_bytes(b"no image")
    with pytest.raises(InputError, match=r"bad\.png cannot be read"):
        data_url(tmp_path / "bad.png")


def test_sampling_that_cannot_be():
    with pytest.raises(InputError, match="--server openai"):
        check_sampling("diverse", SAMPLINGS["diverse"], "openai", 1)
    with pytest.raises(InputError, match="use 1"):
        check_sampling("greedy", SAMPLINGS["greedy"], "vllm", 2)
    check_sampling("diverse", SAMPLINGS["diverse"], "vllm", 8)

"""The shards of an index as actors of a Ray cluster, shared by all processes of the cluster that read the index.

An actor belongs to the process that started it: it ends with that process, or when nobody there has the index open any
more. A reader that misses it starts it again, as its own. So actors go when the last reader goes.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from itertools import cycle
from pathlib import Path
from socket import gethostname
from typing import Any

from drag_rl.cluster import LOST_TASKS, cause_of, joined_ray
from drag_rl.errors import InputError
from drag_rl.files.manifest import read_manifest
from drag_rl.retrieval.build_progress import present_progress
from drag_rl.retrieval.sharded.files import open_shard
from drag_rl.retrieval.sparse.bm25 import Found, Wanted
from drag_rl.retrieval.sparse.index import Bm25Index

ShardStep = Callable[[Path, int, Bm25Index], None]
"""Something that is done with a shard: the index folder, the number of the shard, and the options of its index."""
NAMESPACE = "drag-rl shards"
ACTOR_CPUS = 0.01
"""What an actor takes of a node's CPUs by Ray's account: next to nothing, as they belong to the training beside it."""
THREADS = 4
"""Batches that an actor searches at the same time."""
START_S, ANSWER_S = 300.0, 120.0
"""The longest wait for actors to start, and for an answer."""
PAUSES_S = (0.0, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0)
"""Before each attempt to search a shard; a restart takes some seconds."""


class ShardServer:
    """One shard, in a process of its own."""

    def __init__(self, folder: str, fingerprint: str, number: int) -> None:
        """Opens a shard of an index folder.

        Raises ``InputError`` if this node does not see the folder, or if it has another fingerprint by now.
        """
        try:
            found = read_manifest(Path(folder)).fingerprint
        except InputError as error:
            raise InputError(f"on node {gethostname()}, {error}") from error
        if found != fingerprint:
            raise InputError(f"on node {gethostname()}, {folder} has changed since it was opened")
        self._bm25 = open_shard(Path(folder), number)
        self._bm25.search([Wanted(text="", top_k=0)])  # so that its compiled code is there, too

    def ready(self) -> None:
        """Nothing: the actor is there."""

    def find(self, wanted: Sequence[Wanted]) -> list[Found]:
        """See :meth:`drag_rl.retrieval.sparse.bm25.Bm25.search`."""
        return self._bm25.search(wanted)


class ShardActors:
    """All shards of an index, each held by ``replicas`` actors that take turns; see ``search.Shards``."""

    def __init__(self, folder: Path, fingerprint: str, shards: int, replicas: int) -> None:
        """Finds the actors or starts them, and waits until all are there.

        Raises ``InputError`` without Ray, or if they cannot be started.
        """
        self._ray = joined_ray("--kind sharded")
        self._folder, self._fingerprint = folder, fingerprint
        self._server = self._ray.remote(ShardServer)
        self._actors = {
            (shard, replica): self._actor(shard, replica)
            for shard in range(shards)
            for replica in range(replicas)
        }
        self._turns = [cycle(range(replicas)) for _ in range(shards)]
        try:
            self._ray.get([actor.ready.remote() for actor in self._actors.values()], timeout=START_S)
        except self._ray.exceptions.GetTimeoutError:
            raise InputError(
                f"{folder}: its shards have not started within {START_S:g} s; has the Ray cluster a node with "
                f"{ACTOR_CPUS} CPUs to spare?"
            ) from None
        except self._ray.exceptions.RayError as error:
            raise InputError(f"{folder}: its shards cannot be started: {cause_of(error)}") from error

    async def find(self, shard: int, wanted: Sequence[Wanted]) -> Sequence[Found]:
        """What is wanted of one shard; an actor that is lost is waited for, or started again, a number of times.

        Raises ``InputError`` with the cause once that is of no use.
        """
        cause = ""
        for pause_s in PAUSES_S:
            await asyncio.sleep(pause_s)
            replica = next(self._turns[shard])
            try:
                async with asyncio.timeout(ANSWER_S):
                    found: Sequence[Found] = await self._actors[shard, replica].find.remote(wanted)
                return found
            except self._ray.exceptions.ActorUnavailableError as error:
                cause = cause_of(error)
            except self._ray.exceptions.ActorDiedError as error:
                cause = cause_of(error)
                self._actors[shard, replica] = await asyncio.to_thread(self._actor, shard, replica)
            except TimeoutError:
                cause = f"no answer within {ANSWER_S:g} s"
                break
            except self._ray.exceptions.RayError as error:
                cause = cause_of(error)
                break
        raise InputError(f"{self._folder}: shard {shard} cannot be searched: {cause}")

    def _actor(self, shard: int, replica: int) -> Any:
        """The actor of a name that all readers of the index know; started if it is not there."""
        settings = self._server.options(
            name=f"{self._fingerprint} {shard} {replica}",
            namespace=NAMESPACE,
            get_if_exists=True,
            num_cpus=ACTOR_CPUS,
            scheduling_strategy="SPREAD",
            max_concurrency=THREADS,
            max_restarts=LOST_TASKS,
        )
        return settings.remote(str(self._folder), self._fingerprint, shard)


def on_cluster(step: ShardStep, folder: Path, shards: int, index: Bm25Index, doing: str) -> None:
    """Take a step with each shard of a folder that all nodes see, each by a task of a Ray cluster.

    Raises ``InputError`` without Ray, or if a task fails for good.
    """
    ray = joined_ray("--kind sharded")
    task = ray.remote(num_cpus=1, max_retries=LOST_TASKS, scheduling_strategy="SPREAD")(step)
    waiting = [task.remote(folder.resolve(), number, index) for number in range(shards)]
    try:
        while waiting:
            present_progress().at(doing, shards - len(waiting), shards)
            done, waiting = ray.wait(waiting)
            ray.get(done)
    except ray.exceptions.RayError as error:
        raise InputError(f"a shard cannot be written: {cause_of(error)}") from error

"""What a training step says of where its rollouts searched."""

from __future__ import annotations

from dataclasses import replace

import trajectory_lab as lab

from drag_rl.verl_plugin.batch_metrics import in_document


def test_the_share_of_rollouts_in_their_document_is_told_where_it_is_asked_for():
    index, questions = lab.shared_index(), lab.QUESTIONS[:4]
    asked = [replace(questions[0], document="pumps"), *questions[1:]]
    scoped, everywhere = (
        [lab.played(index, one, [lab.search("seal")], config).outcome for one in asked]
        for config in (lab.PLAIN.model_copy(update={"scope": "document"}), lab.PLAIN)
    )
    assert in_document(scoped) == {"drag/in_document": 0.25}
    assert in_document(everywhere) == {}

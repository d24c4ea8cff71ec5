"""Arms of a comparison differ from the base policy in the policy alone."""

from types import SimpleNamespace

import pytest

from benchmarks import arms
from eva_rl.config.align import AlignSettings

SCENES_SEED = 7


@pytest.mark.parametrize("training_seed", [0, 1])
def test_every_seed_is_evaluated_on_the_noise_of_the_base_policy(monkeypatch, tmp_path, training_seed):
    version = SimpleNamespace(content_hash="0")
    run = SimpleNamespace(
        deployed=lambda: SimpleNamespace(version=version),
        train=lambda cpu_seconds: None,
        export=lambda directory: None,
        steps=[],
    )
    evaluated = []

    def evaluate(settings, readers, **_):
        evaluated.append((settings.run.seed, settings.sampling))
        return (), ()

    monkeypatch.setattr(arms, "SoloRun", lambda **_: run)
    monkeypatch.setattr(arms, "evaluate_policy", evaluate)
    settings = arms.Arm(preset="embedded_direct", question="").settings(AlignSettings(), seed=training_seed)
    result = arms.run_arm(
        "direct backprop",
        settings,
        [],
        arms.Models(world_model="", idm="", judge=None),
        cpu_seconds=1.0,
        reward=None,
        adapters=tmp_path,
        evaluation_seed=SCENES_SEED,
    )
    assert evaluated == [(SCENES_SEED, settings.sampling)]
    assert result.seed == training_seed

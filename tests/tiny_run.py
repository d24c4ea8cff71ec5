"""A whole alignment on real Ray with the tiny models, for tests that break something in it."""

from contextlib import contextmanager

from eva_rl.actors.roles import start_roles
from eva_rl.driver.alignment_stage import run_align_stage
from eva_rl.driver.condition_schedule import ConditionSchedule
from eva_rl.driver.progress import RunProgress
from eva_rl.driver.run_directory import RunDirectory


@contextmanager
def running_roles(settings, models, *, tell=lambda line: None):
    roles = start_roles(settings, world_model=models.world_model, idm=models.idm, tell=tell)
    try:
        yield roles
    finally:
        roles.stop()


def train(settings, roles, conditions, directory, *, resume=False, on_note=None):
    """Runs the align stage in `directory`; `on_note` sees the note of every training step."""
    directory.mkdir(parents=True, exist_ok=True)
    run = settings.run.model_copy(update={"resume": resume})
    settings = settings.model_copy(update={"run": run})
    schedule = ConditionSchedule(
        conditions, groups_per_step=settings.algorithm.groups_per_step, seed=settings.run.seed
    )
    with RunProgress(["align"]) as progress, progress.stage("align") as stage:
        if on_note is not None:
            stage.listen(on_note)
        return run_align_stage(settings, RunDirectory(directory, continues=resume), roles, schedule, stage)

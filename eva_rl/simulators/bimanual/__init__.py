from eva_rl.simulators.bimanual.bimanual_scene import BimanualScene
from eva_rl.simulators.bimanual.tasks.table import TASKS

__all__ = ["TASKS", "BimanualScene"]

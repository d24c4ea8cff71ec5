"""The tasks of the bimanual scene: RoboTwin's names, own geometry."""

from eva_rl.simulators.bimanual.tasks.click_bell import ClickBell
from eva_rl.simulators.bimanual.tasks.grab_roller import GrabRoller
from eva_rl.simulators.bimanual.tasks.pick_dual_bottles import PickDualBottles
from eva_rl.simulators.bimanual.tasks.place_empty_cup import PlaceEmptyCup
from eva_rl.simulators.bimanual.tasks.stack_blocks_two import StackBlocksTwo
from eva_rl.simulators.bimanual.tasks.task import Task

TASKS: dict[str, type[Task]] = {
    "click_bell": ClickBell,
    "pick_dual_bottles": PickDualBottles,
    "grab_roller": GrabRoller,
    "place_empty_cup": PlaceEmptyCup,
    "stack_blocks_two": StackBlocksTwo,
}

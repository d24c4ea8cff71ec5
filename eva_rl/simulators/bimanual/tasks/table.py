"""The tasks of the bimanual scene: RoboTwin's names, own geometry."""

from eva_rl.simulators.bimanual.tasks.click_bell import ClickBell
from eva_rl.simulators.bimanual.tasks.grab_roller import GrabRoller
from eva_rl.simulators.bimanual.tasks.handover_block import HandoverBlock
from eva_rl.simulators.bimanual.tasks.lift_pot import LiftPot
from eva_rl.simulators.bimanual.tasks.pick_dual_bottles import PickDualBottles
from eva_rl.simulators.bimanual.tasks.place_empty_cup import PlaceEmptyCup
from eva_rl.simulators.bimanual.tasks.press_stapler import PressStapler
from eva_rl.simulators.bimanual.tasks.shake_bottle import ShakeBottle
from eva_rl.simulators.bimanual.tasks.stack_blocks_two import StackBlocksTwo
from eva_rl.simulators.bimanual.tasks.task import Task
from eva_rl.simulators.bimanual.tasks.turn_switch import TurnSwitch

TASKS: dict[str, type[Task]] = {
    "click_bell": ClickBell,
    "pick_dual_bottles": PickDualBottles,
    "grab_roller": GrabRoller,
    "place_empty_cup": PlaceEmptyCup,
    "stack_blocks_two": StackBlocksTwo,
    "handover_block": HandoverBlock,
    "lift_pot": LiftPot,
    "press_stapler": PressStapler,
    "turn_switch": TurnSwitch,
    "shake_bottle": ShakeBottle,
}

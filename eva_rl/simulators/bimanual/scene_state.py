"""What is going on in the scene right now, in the words tasks use."""

import numpy as np

from eva_rl.simulators.bimanual.mujoco_engine import MjData
from eva_rl.simulators.bimanual.robot import Robot
from eva_rl.simulators.bimanual.scene_model import EMBODIMENT

NO_ARM = -1


class SceneState:
    """A reader of MuJoCo's data: contacts by name, object positions, gripper openings."""

    def __init__(self, robot: Robot, data: MjData) -> None:
        self.robot = robot
        self.data = data
        model = robot.model
        self._table = self._geom_number("table")
        self._arm_of_geom = np.array([arm_number(model.geom(number).name) for number in range(model.ngeom)])
        self._finger_geoms = {
            arm: [self._geom_number(f"{arm}_finger{number}") for number in (1, 2)]
            for arm in EMBODIMENT.arm_names
        }

    def position(self, name: str) -> np.ndarray:
        """Return an object's centre [3], world frame, m."""
        return self.data.body(name).xpos.copy()

    def tool_position(self, arm: str) -> np.ndarray:
        """Return the point between an arm's finger tips [3], world frame, m."""
        return self.data.site(f"{arm}_tool").xpos.copy()

    def tilt(self, name: str, axis: int) -> float:
        """Return the sine of the angle between an object's own axis (0, 1, 2) and the table."""
        return float(self.data.body(name).xmat[6 + axis])

    def sideways_speed(self, name: str) -> float:
        """Return how fast a freely moving object moves parallel to the table, m/s."""
        address = self.robot.model.body(name).dofadr[0]
        return float(np.hypot(*self.data.qvel[address : address + 2]))

    def gripper_opening(self, arm: str) -> float:
        """Return how far a gripper is open, 0 .. 1."""
        return float(
            self.robot.positions(self.data)[EMBODIMENT.gripper_indices[EMBODIMENT.arm_names.index(arm)]]
        )

    def is_touched_by_arm(self, name: str) -> bool:
        """Whether any part of either arm touches the geom."""
        return bool((self._arm_of_geom[self._partners_of(self._geom_number(name))] != NO_ARM).any())

    def is_touched_by_fingers(self, name: str, arm: str) -> bool:
        """Whether a finger of this arm touches the geom."""
        return bool(np.isin(self._partners_of(self._geom_number(name)), self._finger_geoms[arm]).any())

    def arms_touch_each_other(self) -> bool:
        """Whether the two arms collide."""
        one, other = self._arm_of_geom[self._touching_pairs()].T
        return bool(((one != NO_ARM) & (other != NO_ARM) & (one != other)).any())

    def arms_touch_table(self) -> bool:
        """Whether any part of an arm touches the table."""
        return bool((self._arm_of_geom[self._partners_of(self._table)] != NO_ARM).any())

    def _geom_number(self, name: str) -> int:
        return self.robot.model.geom(name).id

    def _touching_pairs(self) -> np.ndarray:
        """Return the geom numbers of everything that touches, [contacts, 2]."""
        contacts = self.data.contact
        return contacts.geom[contacts.dist < 0]

    def _partners_of(self, geom: int) -> np.ndarray:
        """Return the geoms that touch one geom, [contacts]."""
        pairs = self._touching_pairs()
        return pairs[:, ::-1][pairs == geom]


def arm_number(geom_name: str) -> int:
    """Return the number of the arm that a geom belongs to by its name's prefix, or NO_ARM."""
    for number, arm in enumerate(EMBODIMENT.arm_names):
        if geom_name.startswith(f"{arm}_"):
            return number
    return NO_ARM

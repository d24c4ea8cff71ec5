"""The robots that rewards and simulators know, each with the source of its figures.

Only Franka publishes accelerations and jerks. Wherever a row needs a figure that nobody published, the row
lists the field in `own_settings`: such a figure is a choice of this project, not a fact about the robot.
Gripper figures of real robots are EVA's development constants (`RobbinW/large-video-planner`,
`flow_grpo/idm_reward.py`: 2.0 1/s and 10 1/s^2).
"""

import math

from eva_rl.embodiments.embodiment import Embodiment
from eva_rl.embodiments.joint_limits import JointLimits

BOTH_ARMS = ("left", "right")
EVA_GRIPPER_VELOCITY = 2.0
EVA_GRIPPER_ACCELERATION = 10.0
EVA_JOINT_ACCELERATION = 5.0
# AgileX PiPER speeds as EVA's reward uses them, before its safety factor of 0.85.
PIPER_VELOCITY = tuple(math.radians(degrees) for degrees in (180, 195, 180, 225, 225, 225))
GRIPPER_FIELDS = ("gripper_velocity", "gripper_acceleration")

YAW_PITCH_PITCH_PITCH_YAW_ROLL = (-1.0, 1.0, 1.0, 1.0, -1.0, -1.0)
"""Signs of a mirrored arm with these joints: only pitch is the same in a mirror."""

BIMANUAL_ARM = JointLimits(
    position_low=(-2.618, 0.0, 0.0, -1.8, -1.57, -2.09),
    position_high=(2.618, 3.14, 3.14, 1.8, 1.57, 2.09),
    velocity=PIPER_VELOCITY,
    acceleration=(EVA_JOINT_ACCELERATION,) * 6,
    # A full close within one 0.2 s frame is 5 1/s and 25 1/s^2: allowed. Chattering (50 1/s^2) is not.
    gripper_velocity=6.0,
    gripper_acceleration=30.0,
)

PIPER_ARM = JointLimits(
    position_low=(-2.618, 0.0, -2.967, -1.745, -1.22, -2.0944),
    position_high=(2.618, 3.14, 0.0, 1.745, 1.22, 2.0944),
    velocity=PIPER_VELOCITY,
    acceleration=(EVA_JOINT_ACCELERATION,) * 6,
    gripper_velocity=EVA_GRIPPER_VELOCITY,
    gripper_acceleration=EVA_GRIPPER_ACCELERATION,
)

ARX_X5_ARM = JointLimits(
    position_low=(-3.14, -0.05, -0.1, -1.6, -1.57, -2.0),
    position_high=(2.618, 3.5, 3.2, 1.55, 1.57, 2.0),
    velocity=(5.0, 5.0, 5.5, 5.5, 5.0, 5.0),
    acceleration=(EVA_JOINT_ACCELERATION,) * 6,
    torque=(30.0, 40.0, 30.0, 15.0, 10.0, 10.0),
    gripper_velocity=EVA_GRIPPER_VELOCITY,
    gripper_acceleration=EVA_GRIPPER_ACCELERATION,
)

VIPERX_300S_ARM = JointLimits(
    position_low=(-math.pi, -1.850, -1.763, -math.pi, -1.868, -math.pi),
    position_high=(math.pi, 1.257, 1.606, math.pi, 2.234, math.pi),
    velocity=(math.pi,) * 6,
    acceleration=(EVA_JOINT_ACCELERATION,) * 6,
    torque=(10.0, 20.0, 15.0, 2.0, 5.0, 1.0),
    gripper_velocity=EVA_GRIPPER_VELOCITY,
    gripper_acceleration=EVA_GRIPPER_ACCELERATION,
)

FRANKA_PANDA_ARM = JointLimits(
    position_low=(-2.8973, -1.7628, -2.8973, -3.0718, -2.8973, -0.0175, -2.8973),
    position_high=(2.8973, 1.7628, 2.8973, -0.0698, 2.8973, 3.7525, 2.8973),
    velocity=(2.175, 2.175, 2.175, 2.175, 2.61, 2.61, 2.61),
    acceleration=(15.0, 7.5, 10.0, 12.5, 15.0, 20.0, 20.0),
    jerk=(7500.0, 3750.0, 5000.0, 6250.0, 7500.0, 10000.0, 10000.0),
    torque=(87.0, 87.0, 87.0, 87.0, 12.0, 12.0, 12.0),
    gripper_velocity=EVA_GRIPPER_VELOCITY,
    gripper_acceleration=EVA_GRIPPER_ACCELERATION,
)

UR5_ARM = JointLimits(
    position_low=(-2 * math.pi, -2 * math.pi, -math.pi, -2 * math.pi, -2 * math.pi, -2 * math.pi),
    position_high=(2 * math.pi, 2 * math.pi, math.pi, 2 * math.pi, 2 * math.pi, 2 * math.pi),
    velocity=(math.pi,) * 6,
    acceleration=(EVA_JOINT_ACCELERATION,) * 6,
    torque=(150.0, 150.0, 150.0, 28.0, 28.0, 28.0),
    gripper_velocity=EVA_GRIPPER_VELOCITY,
    gripper_acceleration=EVA_GRIPPER_ACCELERATION,
)

_ROWS = (
    Embodiment(
        name="bimanual",
        arm_names=BOTH_ARMS,
        arms=(BIMANUAL_ARM, BIMANUAL_ARM),
        source="this project's embedded MuJoCo robot (eva_rl/simulators/bimanual); speeds of the PiPER row",
        own_settings=("position_low", "position_high", "acceleration", *GRIPPER_FIELDS),
        notes="A simulated robot: its speeds are figures of a real arm, its acceleration is EVA's "
        "development constant. Its scripted experts use four fifths of either. Its arms are mirror images in "
        "shape, not in colour.",
        mirror_signs=YAW_PITCH_PITCH_PITCH_YAW_ROLL,
    ),
    Embodiment(
        name="piper",
        arm_names=BOTH_ARMS,
        arms=(PIPER_ARM, PIPER_ARM),
        source="positions: agilexrobotics/Piper_ros @116596c piper_description.urdf; speeds: EVA's "
        "180 195 180 225 225 225 deg/s (RobbinW/large-video-planner flow_grpo/idm_reward.py)",
        own_settings=("acceleration", *GRIPPER_FIELDS),
        notes="The URDF itself says 5 5 5 5 5 3 rad/s and the SDK's largest setting is 3.0; acceleration is "
        "EVA's development constant, no vendor figure exists. MuJoCo Menagerie's model has other ranges for "
        "joints 3, 4 and 6.",
    ),
    Embodiment(
        name="arx-x5",
        arm_names=BOTH_ARMS,
        arms=(ARX_X5_ARM, ARX_X5_ARM),
        source="real-stanford/arx5-sdk include/app/config.h @5ee374b",
        own_settings=("acceleration", *GRIPPER_FIELDS),
        notes="An older version of the file has speeds 3 2 2 2 3 3 rad/s.",
    ),
    Embodiment(
        name="aloha-agilex",
        arm_names=BOTH_ARMS,
        arms=(ARX_X5_ARM, ARX_X5_ARM),
        source="the figures of ARX-X5 (real-stanford/arx5-sdk include/app/config.h @5ee374b), whose link "
        "origins equal those of agilexrobotics/mobile_aloha_sim @2843ff1 arx5_description_isaac.urdf",
        own_settings=("acceleration", *GRIPPER_FIELDS),
        notes="Inferred: the URDF's own limits (+-10 rad, 1000 rad/s) are placeholders. RoboTwin episodes "
        "leave the X5 range in places, so take position ranges from data before punishing them. Mirror: "
        "EVA's flip (ReshineWang/vidar) negates joints 1, 5 and 6.",
        mirror_signs=YAW_PITCH_PITCH_PITCH_YAW_ROLL,
    ),
    Embodiment(
        name="viperx-300s",
        arm_names=BOTH_ARMS,
        arms=(VIPERX_300S_ARM, VIPERX_300S_ARM),
        source="Interbotix vx300s.urdf.xacro @41746ab",
        own_settings=("acceleration", *GRIPPER_FIELDS),
    ),
    Embodiment(
        name="franka-panda",
        arm_names=BOTH_ARMS,
        arms=(FRANKA_PANDA_ARM, FRANKA_PANDA_ARM),
        source="franka_ros joint_limits.yaml @b2a62ff; libfranka rate_limiting.h @1ba89c2",
        own_settings=GRIPPER_FIELDS,
    ),
    Embodiment(
        name="ur5",
        arm_names=BOTH_ARMS,
        arms=(UR5_ARM, UR5_ARM),
        source="ros-industrial/universal_robot ur5/joint_limits.yaml @6a64eb0",
        own_settings=("acceleration", *GRIPPER_FIELDS),
        notes="The vendor calls accelerations not publicly available; the elbow range is a convention.",
    ),
)

EMBODIMENTS: dict[str, Embodiment] = {row.name: row for row in _ROWS}

"""MJCF of one arm: a yaw-pitch-pitch-pitch-yaw-roll chain with a two-finger gripper.

The links are thick and differ in colour, and so do the two fingers: at 48x64 pixels this is what makes every
joint, the wrist roll included, readable from a picture.
"""

from dataclasses import dataclass

from eva_rl.embodiments import JointLimits

GRIPPER_OPENING_M = 0.045
FINGER_CONTACT = 'friction="1.5 0.02 0.001" condim="4" solref="0.008 1" solimp="0.95 0.99 0.001"'
# (stiffness, damping, force limit) of each joint's position servo.
JOINT_SERVOS = ((800, 36, 80), (800, 36, 80), (600, 24, 60), (160, 6, 20), (160, 6, 20), (80, 3, 10))
# Neighbouring links overlap at the joints by construction.
TOUCHING_LINKS = (
    ("base", "link1"),
    ("base", "link2"),
    ("link1", "link2"),
    ("link2", "link3"),
    ("link1", "link3"),
    ("link3", "link4"),
    ("link3", "link5"),
    ("link4", "link5"),
    ("link4", "link6"),
    ("link5", "link6"),
    ("link6", "finger1"),
    ("link6", "finger2"),
    ("finger1", "finger2"),
)


@dataclass(frozen=True)
class ArmColours:
    """Colours of one arm, each "red green blue alpha"."""

    upper: str
    lower: str
    joint: str = "0.30 0.30 0.33 1"
    finger1: str = "0.9 0.05 0.75 1"
    finger2: str = "0.05 0.55 0.15 1"
    mark: str = "0.1 0.1 0.1 1"


ARM_COLOURS = {
    "left": ArmColours(upper="0.95 0.45 0.1 1", lower="0.95 0.85 0.2 1"),
    "right": ArmColours(upper="0.1 0.4 0.9 1", lower="0.2 0.85 0.85 1"),
}
ARM_BASE_X = {"left": -0.3, "right": 0.3}


def arm_bodies(arm: str, limits: JointLimits) -> str:
    """Return the MJCF body tree of one arm, joints named `{arm}_joint1` .. and `{arm}_finger1`, `2`."""
    colours = ARM_COLOURS[arm]
    joints = [
        f'<joint name="{arm}_joint{number}" axis="{axis}" range="{low} {high}"/>'
        for number, (axis, low, high) in enumerate(
            zip(
                ("0 0 1", "0 1 0", "0 -1 0", "0 1 0", "0 0 1", "1 0 0"),
                limits.position_low,
                limits.position_high,
                strict=True,
            ),
            start=1,
        )
    ]
    return f"""
<body name="{arm}_base" pos="{ARM_BASE_X[arm]} -0.45 0.07" quat="0.7071068 0 0 0.7071068">
 <geom name="{arm}_geom0" type="cylinder" size="0.05 0.08" pos="0 0 0.01" rgba="{colours.joint}" mass="1"/>
 <body name="{arm}_link1" pos="0 0 0.123" gravcomp="1">{joints[0]}
  <geom name="{arm}_geom1" type="box" size="0.045 0.04 0.04" rgba="{colours.joint}" mass="0.4"/>
  <body name="{arm}_link2" gravcomp="1">{joints[1]}
   <geom name="{arm}_geom2" type="capsule" fromto="-0.04 0 0 -0.285 0 0" size="0.032" rgba="{colours.upper}"
         mass="0.6"/>
   <body name="{arm}_link3" pos="-0.285 0 0" gravcomp="1">{joints[2]}
    <geom name="{arm}_geom3" type="capsule" fromto="0.03 0 0 0.19 0 0" size="0.027" rgba="{colours.lower}"
          mass="0.4"/>
    <geom name="{arm}_mark3" type="box" size="0.03 0.01 0.02" pos="0.11 0 0.032" rgba="{colours.mark}"
          mass="0.01"/>
    <body name="{arm}_link4" pos="0.2517 0 0" gravcomp="1">{joints[3]}
     <geom name="{arm}_geom4" type="box" size="0.025 0.034 0.018" rgba="{colours.joint}" mass="0.15"/>
     <body name="{arm}_link5" gravcomp="1">{joints[4]}
      <geom name="{arm}_geom5" type="capsule" fromto="0.02 0 0 0.07 0 0" size="0.022" rgba="{colours.upper}"
            mass="0.15"/>
      <body name="{arm}_link6" pos="0.091 0 0" gravcomp="1">{joints[5]}{_gripper(arm, colours)}
      </body></body></body></body></body></body></body>"""


def _gripper(arm: str, colours: ArmColours) -> str:
    """Return the MJCF of the palm, the tool point between the finger tips, and the two sliding fingers."""
    fingers = "".join(
        f"""
       <body name="{arm}_finger{number}" pos="0.09 0 0" gravcomp="1">
        <joint name="{arm}_finger{number}" type="slide" axis="0 {side} 0" range="0 {GRIPPER_OPENING_M}"
               damping="20" armature="0.05"/>
        <geom name="{arm}_finger{number}" type="box" size="0.055 0.013 0.02" pos="0 {0.013 * side} 0"
              rgba="{rgba}" mass="0.05" {FINGER_CONTACT}/></body>"""
        for number, side, rgba in ((1, 1, colours.finger1), (2, -1, colours.finger2))
    )
    return f"""
       <geom name="{arm}_palm" type="box" size="0.024 0.070 0.024" pos="0.02 0 0" rgba="{colours.lower}"
             mass="0.2"/>
       <geom name="{arm}_palm_mark" type="box" size="0.018 0.03 0.012" pos="0.02 0 0.03"
             rgba="0.05 0.05 0.05 1" mass="0.02" contype="0" conaffinity="0"/>
       <site name="{arm}_tool" pos="0.135 0 0" size="0.004" group="4"/>{fingers}"""


def arm_actuators(arm: str, limits: JointLimits) -> str:
    """Return the position servos of one arm: joints 1.., then the two fingers."""
    servos = "".join(
        f'<position name="{arm}_joint{number}" joint="{arm}_joint{number}" kp="{stiffness}" kv="{damping}" '
        f'forcerange="-{force} {force}" ctrlrange="{low} {high}"/>'
        for number, ((stiffness, damping, force), low, high) in enumerate(
            zip(JOINT_SERVOS, limits.position_low, limits.position_high, strict=True), start=1
        )
    )
    fingers = "".join(
        f'<position name="{arm}_finger{number}" joint="{arm}_finger{number}" kp="1500" kv="60" '
        f'forcerange="-15 15" ctrlrange="0 {GRIPPER_OPENING_M}"/>'
        for number in (1, 2)
    )
    return servos + fingers


def arm_contact_exclusions(arm: str) -> str:
    """Return the MJCF that lets an arm's neighbouring links overlap."""
    return "".join(f'<exclude body1="{arm}_{one}" body2="{arm}_{other}"/>' for one, other in TOUCHING_LINKS)

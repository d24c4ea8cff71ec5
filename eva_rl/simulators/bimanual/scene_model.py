"""The MuJoCo model of the whole scene: table, head camera, two arms and a task's objects."""

from collections.abc import Sequence

import numpy as np

from eva_rl.embodiments import EMBODIMENTS
from eva_rl.simulators.bimanual.arm_model import arm_actuators, arm_bodies, arm_contact_exclusions
from eva_rl.simulators.bimanual.mujoco_engine import MjModel
from eva_rl.simulators.bimanual.scene_object import COLOURS, SceneObject

EMBODIMENT = EMBODIMENTS["bimanual"]
PHYSICS_STEP_S = 0.004
CAMERA = "head"
OBJECT_CONTACT = 'friction="1.2 0.02 0.001" condim="4" solref="0.008 1" solimp="0.95 0.99 0.001"'


def build_model(objects: Sequence[SceneObject]) -> MjModel:
    """Compile the scene with these objects on the table."""
    arms = dict(zip(EMBODIMENT.arm_names, EMBODIMENT.arms, strict=True))
    return MjModel.from_xml_string(f"""
<mujoco model="bimanual">
 <compiler angle="radian"/>
 <option timestep="{PHYSICS_STEP_S}" integrator="implicitfast" cone="elliptic" impratio="5" iterations="20"/>
 <default><joint damping="1" armature="0.05" limited="true"/></default>
 <visual>
  <global offwidth="1280" offheight="960"/>
  <quality shadowsize="1024" offsamples="2"/>
  <headlight ambient="0.5 0.5 0.5" diffuse="0.5 0.5 0.5"/>
 </visual>
 <worldbody>
  <light directional="true" pos="0 0 2" dir="0.2 0.3 -1" diffuse="0.4 0.4 0.4"/>
  <geom name="table" type="box" size="0.62 0.45 0.02" pos="0 -0.1 -0.02" rgba="0.93 0.91 0.87 1"
        friction="1 0.02 0.001"/>
  {_camera(CAMERA, position=(0, -0.8, 1.1), target=(0, -0.21, 0.1), fovy_degrees=34)}
  {"".join(arm_bodies(name, limits) for name, limits in arms.items())}
  {"".join(_object_body(thing) for thing in objects)}
 </worldbody>
 <contact>{"".join(arm_contact_exclusions(name) for name in arms)}</contact>
 <actuator>{"".join(arm_actuators(name, limits) for name, limits in arms.items())}</actuator>
</mujoco>""")


def _camera(name: str, *, position: Sequence[float], target: Sequence[float], fovy_degrees: float) -> str:
    """Return a fixed camera that looks at a target, with the world's z axis upwards in the picture."""
    backward = np.subtract(position, target).astype(float)
    backward /= np.linalg.norm(backward)
    right = np.cross((0.0, 0.0, 1.0), backward)
    right /= np.linalg.norm(right)
    up = np.cross(backward, right)
    axes = _numbers([*right, *up])
    return f'<camera name="{name}" pos="{_numbers(position)}" xyaxes="{axes}" fovy="{fovy_degrees}"/>'


def _object_body(thing: SceneObject) -> str:
    """Return the MJCF of one object."""
    joint = f'<freejoint name="{thing.name}"/>' if thing.is_movable else ""
    mass = f'mass="{thing.mass}"' if thing.is_movable else ""
    collision = "" if thing.is_solid else 'contype="0" conaffinity="0"'
    return f"""
  <body name="{thing.name}" pos="{_numbers(thing.position)}" euler="0 0 {thing.yaw}">{joint}
   <geom name="{thing.name}" type="{thing.shape}" size="{_numbers(thing.size)}" {mass} {OBJECT_CONTACT}
         {collision} rgba="{_numbers(COLOURS[thing.colour])} 1"/>{thing.details}</body>"""


def _numbers(values: Sequence[float]) -> str:
    """Write numbers the way MJCF wants them."""
    return " ".join(repr(float(value)) for value in values)

import os
import subprocess
import sys

import numpy as np
import pytest

from eva_rl.simulators.bimanual import BimanualScene
from eva_rl.simulators.bimanual.inverse_kinematics import HOME_JOINTS
from eva_rl.simulators.bimanual.mujoco_engine import MjData
from eva_rl.simulators.bimanual.ray_renderer import BACKGROUND, RayRenderer
from eva_rl.simulators.bimanual.renderer import open_renderer
from eva_rl.simulators.bimanual.robot import Robot
from eva_rl.simulators.bimanual.scene_model import CAMERA, build_model
from eva_rl.simulators.bimanual.scene_object import SceneObject

HEIGHT, WIDTH = 48, 64


def block(colour: str, x: float, y: float) -> SceneObject:
    return SceneObject("block", "box", position=(x, y, 0.04), size=(0.04, 0.04, 0.04), colour=colour)


def data_at_start(model) -> MjData:
    data = MjData(model)
    home = np.concatenate([HOME_JOINTS, [1.0]])
    Robot(model).reset(data, np.concatenate([home, home]))
    return data


def projected_pixel(model, data, point) -> tuple[int, int]:
    """Return the (row, column) at which a pinhole camera sees a point of the world."""
    camera = model.camera(CAMERA).id
    in_camera = data.cam_xmat[camera].reshape(3, 3).T @ (np.asarray(point) - data.cam_xpos[camera])
    focal_length = HEIGHT / 2 / np.tan(np.deg2rad(model.cam_fovy[camera]) / 2)
    column, row = focal_length * in_camera[:2] * (1, -1) / -in_camera[2]
    return int(HEIGHT / 2 + row), int(WIDTH / 2 + column)


@pytest.mark.parametrize("place", [(0.0, 0.0), (0.1, 0.05), (-0.12, 0.08)])
@pytest.mark.parametrize(("colour", "channel"), [("red", 0), ("green", 1), ("blue", 2)])
def test_an_object_shows_in_its_colour_at_its_projected_place(colour, channel, place):
    model = build_model((block(colour, *place),))
    data = data_at_start(model)
    picture = RayRenderer(model, height=HEIGHT, width=WIDTH).render(data, CAMERA)
    pixel = picture[projected_pixel(model, data, (*place, 0.08))].astype(int)
    assert pixel.argmax() == channel
    assert pixel[channel] > 1.5 * np.delete(pixel, channel).max()


def test_pictures_are_rgb_bytes_of_the_size_asked_for_and_repeat():
    scene = BimanualScene("click_bell", 3, height=30, width=50)
    picture = scene.observe()
    assert picture.shape == (30, 50, 3)
    assert picture.dtype == np.uint8
    np.testing.assert_array_equal(picture, scene.observe())


def test_the_first_frame_of_an_execution_is_what_was_observed():
    scene = BimanualScene("place_empty_cup", 3)
    observed = scene.observe()
    np.testing.assert_array_equal(scene.execute(scene.expert().actions, render=True).frames[0], observed)


def test_rays_that_hit_nothing_show_the_background():
    model = build_model(())
    picture = RayRenderer(model, height=HEIGHT, width=WIDTH).render(data_at_start(model), CAMERA)
    np.testing.assert_array_equal(picture[0, 0], (BACKGROUND * 255 + 0.5).astype(np.uint8))


def test_supersampling_softens_edges_but_keeps_the_picture():
    model = build_model((block("red", 0.0, 0.0),))
    data = data_at_start(model)
    hard = RayRenderer(model, height=HEIGHT, width=WIDTH, supersampling=1).render(data, CAMERA)
    soft = RayRenderer(model, height=HEIGHT, width=WIDTH, supersampling=3).render(data, CAMERA)
    assert len(np.unique(soft.reshape(-1, 3), axis=0)) > len(np.unique(hard.reshape(-1, 3), axis=0))
    assert abs(hard.astype(float).mean() - soft.astype(float).mean()) < 2.0


def test_auto_casts_rays_for_small_pictures():
    assert isinstance(open_renderer("auto", build_model(()), height=HEIGHT, width=WIDTH), RayRenderer)


def test_an_unknown_renderer_is_refused():
    with pytest.raises(ValueError, match="renderer must be 'ray', 'gl' or 'auto', got 'vulkan'"):
        open_renderer("vulkan", build_model(()), height=HEIGHT, width=WIDTH)


def last_error_line(program: str, mujoco_gl: str) -> str:
    """Run a program with another MUJOCO_GL, which MuJoCo reads only when it is first imported."""
    environment = {name: value for name, value in os.environ.items() if name != "PYOPENGL_PLATFORM"}
    finished = subprocess.run(
        [sys.executable, "-c", program],
        env=environment | {"MUJOCO_GL": mujoco_gl},
        capture_output=True,
        text=True,
        check=False,
    )
    assert finished.returncode == 1
    return finished.stderr.strip().splitlines()[-1]


def test_missing_opengl_says_what_to_do():
    program = (
        "from eva_rl.simulators.bimanual import BimanualScene; "
        "BimanualScene('click_bell', 0, renderer='gl').observe()"
    )
    line = last_error_line(program, "disable")
    assert "RendererUnavailableError: OpenGL rendering is not available here" in line
    assert "Use renderer='ray', which needs no OpenGL; or install libegl1" in line


def test_a_wrong_mujoco_gl_says_what_to_do():
    line = last_error_line("import eva_rl.simulators.bimanual", "nonsense")
    assert "EngineUnavailableError: MuJoCo could not load the OpenGL library that MUJOCO_GL asks for" in line
    assert "unset MUJOCO_GL" in line

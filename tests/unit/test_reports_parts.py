"""The parts of the report: videos, curves, joints, times, listing."""

import subprocess

import imageio_ffmpeg
import numpy as np
import pytest

from eva_rl.reports.curves import reward_curve, smoothed, term_curves
from eva_rl.reports.joint_plots import joint_chart, joint_grid
from eva_rl.reports.listing import entries_of, readable_size
from eva_rl.reports.origin import duration_of, setting_rows
from eva_rl.reports.stages import stage_times
from eva_rl.reports.svg import PAGE_COLOURS
from eva_rl.reports.videos import GAP_PIXELS, SCALE, encode_mp4, side_by_side


def flat_clip(num_frames: int, colour: tuple[int, int, int]) -> np.ndarray:
    return np.full((num_frames, 10, 12, 3), colour, np.uint8)


def test_clips_are_enlarged_by_whole_pixels_next_to_each_other():
    clip = np.random.default_rng(0).integers(0, 256, (3, 10, 12, 3), np.uint8)
    frames = side_by_side([clip, clip])
    assert frames.shape == (3, 10 * SCALE, 2 * 12 * SCALE + GAP_PIXELS, 3)
    assert np.array_equal(frames[:, ::SCALE, : 12 * SCALE : SCALE], clip)
    assert np.array_equal(frames[:, :, : 12 * SCALE], frames[:, :, 12 * SCALE + GAP_PIXELS :])


def test_a_shorter_clip_holds_its_last_frame():
    short = np.concatenate([flat_clip(1, (7, 7, 7)), flat_clip(1, (8, 8, 8))])
    frames = side_by_side([flat_clip(4, (0, 0, 0)), short])
    assert [int(frame[0, -1, 0]) for frame in frames] == [7, 8, 8, 8]


def test_videos_are_what_every_browser_plays(tmp_path):
    colours = [(200, 40, 40), (40, 200, 40), (40, 40, 200)]
    frames = np.concatenate([side_by_side([flat_clip(1, colour)]) for colour in colours])
    file = tmp_path / "clip.mp4"
    file.write_bytes(encode_mp4(frames, frames_per_second=2.5))
    report = subprocess.run(
        [imageio_ffmpeg.get_ffmpeg_exe(), "-i", str(file)], capture_output=True, text=True, check=False
    ).stderr
    assert "h264" in report
    assert "yuv420p" in report
    assert "2.50 fps" in report
    decoded = imageio_ffmpeg.read_frames(str(file))
    metadata = next(decoded)
    columns, rows = metadata["size"]
    pictures = [np.frombuffer(frame, np.uint8).reshape(rows, columns, 3) for frame in decoded]
    assert len(pictures) == 3
    for picture, colour in zip(pictures, colours, strict=True):
        assert np.abs(picture[rows // 2, columns // 2].astype(int) - colour).max() < 25


def test_odd_sizes_are_refused():
    with pytest.raises(ValueError, match="even rows and columns, got 9x12"):
        encode_mp4(np.zeros((2, 9, 12, 3), np.uint8), frames_per_second=5)


def test_smoothing_keeps_lines_and_passes_over_gaps():
    assert smoothed(np.full(50, 3.0)) == pytest.approx(np.full(50, 3.0))
    gappy = np.full(50, 3.0)
    gappy[20] = np.nan
    assert np.isfinite(smoothed(gappy)).all()


def test_a_curve_takes_its_colours_from_the_page_and_ends_in_words():
    rows = [{"training_step": step, "reward/mean": 5 + step / 100} for step in range(100)]
    curve = reward_curve(rows)
    assert (curve.first, curve.last) == ("5.04", "5.95")
    assert "var(--after)" in curve.svg
    assert not any(colour in curve.svg for colour in PAGE_COLOURS.values())


def test_a_single_training_step_makes_a_curve_and_none_makes_none():
    assert reward_curve([{"training_step": 0, "reward/mean": 5.0}]).first == "5.00"
    assert reward_curve([]) is None
    assert reward_curve([{"training_step": 0, "reward/mean": None}]) is None


def test_every_term_that_was_written_gets_a_curve():
    rows = [{"training_step": step, "reward/term/jerk": 1.0, "reward/term/table": None} for step in range(3)]
    assert [curve.name for curve in term_curves(rows)] == ["jerk"]


def test_joints_are_named_after_the_robot_and_numbered_otherwise():
    grid = joint_grid("bimanual", 14)
    assert [len(row) for row in grid] == [7, 7]
    assert grid[1][0] == (7, "right joint 1")
    assert grid[0][-1] == (6, "left gripper")
    for unknown in (joint_grid("bimanual", 9), joint_grid(None, 9)):
        assert [index for row in unknown for index, _ in row] == list(range(9))


def test_joint_charts_stay_a_few_columns_wide():
    chart = joint_chart({"real": np.zeros((5, 14))}, frame_rate_hz=5.0, embodiment="somebody's")
    assert len(chart.plots) == 14
    assert max(right for _, right, _, _ in chart.plots) <= 1040


def test_times_of_stages_are_shares_of_the_whole_step():
    rows = [{"training_step": k, "time/step_s": 4.0, "time/learn_s": 1.0 + (k == 2)} for k in range(3)]
    whole, learn = stage_times(rows)
    assert (whole.label, whole.percent_of_step) == ("step", 100)
    assert (learn.median_s, learn.slowest_s, learn.total_s, learn.percent_of_step) == (1.0, 2.0, 4.0, 25)


def test_folders_of_many_files_are_one_line(tmp_path):
    for name in (
        "checkpoints/step_000001/a",
        "checkpoints/step_000001/b",
        "evaluation/before.parquet",
        ".hidden",
    ):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("12345")
    assert [(entry.path, entry.num_files, entry.size) for entry in entries_of(tmp_path)] == [
        ("checkpoints/", 2, "10 B"),
        ("evaluation/before.parquet", 1, "5 B"),
    ]


def test_sizes_are_readable():
    assert [readable_size(size) for size in (0, 999, 1500, 250_000, 3_200_000)] == [
        "0 B", "999 B", "1.5 kB", "250 kB", "3.2 MB"
    ]  # fmt: skip


def test_only_settings_that_differ_are_marked():
    rows = {row.name: row for row in setting_rows({"adapter": {"rank": 8, "alpha": 16.0}})}
    assert (rows["adapter.rank"].value, rows["adapter.rank"].default, rows["adapter.rank"].is_changed) == (
        "8", "16", True
    )  # fmt: skip
    assert not rows["adapter.alpha"].is_changed


def test_a_duration_needs_both_ends():
    times = {"started": "2026-03-02T10:00:00+00:00", "finished": "2026-03-02T12:05:00+00:00"}
    assert duration_of(times) == "2 h 5 min"
    assert duration_of({"started": times["started"]}) == ""

"""Machines agree with the run, and what is rendered from them with what operators' tools accept."""

import copy
import re
import shlex
import subprocess
import sys
import tomllib
from functools import cache
from pathlib import Path

import kubernetes_validate
import pytest
import yaml
from packaging.requirements import Requirement
from ray.autoscaler._private.kuberay.autoscaling_config import _derive_autoscaling_config_from_ray_cr
from ray.autoscaler._private.util import validate_config
from ray.scripts.scripts import start as ray_start

from eva_rl.cli.main import main
from eva_rl.config.align import AlignSettings
from eva_rl.config.loading import load_settings
from eva_rl.config.placement import PlacedSection
from eva_rl.config.section import ConfigError
from eva_rl.deployment.command import run_command
from eva_rl.deployment.demand import RoleDemand, actors_per_machine, machines_needed
from eva_rl.deployment.loading import load_deployment
from eva_rl.deployment.rendering import RENDERED_FILES, render
from eva_rl.deployment.validation import ManifestError, check_manifest

ROOT = Path(__file__).parents[2]
SETTINGS = sorted(Path("cluster/settings").glob("*.yaml"))
SCRIPTS = Path(sys.executable).parent
ROLES = ("generators", "scorers", "learner", "evaluators")


@pytest.fixture(autouse=True)
def _in_the_repository(monkeypatch):
    monkeypatch.chdir(ROOT)


@cache
def loaded(name):
    return load_deployment(Path(f"cluster/settings/{name}.yaml"))


@cache
def rendered(name):
    return render(loaded(name))


@cache
def parsed(name):
    kept = ("raycluster.yaml", "rayjob.yaml", "ray_up.yaml")
    return {file: yaml.safe_load(text) for file, text in rendered(name).items() if file in kept}


@pytest.fixture(params=["embedded", "wan_ti2v_5b"])
def deployment(request):
    return loaded(request.param)


@pytest.fixture
def texts(deployment):
    return rendered(Path(deployment.source).stem)


@pytest.fixture
def files(deployment):
    return copy.deepcopy(parsed(Path(deployment.source).stem))


def altered(tmp_path, change, name="wan_ti2v_5b"):
    """A deployment file with one thing changed."""
    values = yaml.safe_load(Path(f"cluster/settings/{name}.yaml").read_text())
    change(values)
    file = tmp_path / "altered.yaml"
    file.write_text(yaml.safe_dump(values))
    return file


def worker(spec):
    return spec["workerGroupSpecs"][0]


def problems_of(file):
    with pytest.raises(ConfigError) as caught:
        load_deployment(file)
    return caught.value.problems


def call(*words):
    with pytest.raises(SystemExit) as caught:
        main([str(word) for word in words])
    return caught.value.code


# ---- machines and run agree


@pytest.mark.parametrize(
    ("num_cpus", "num_gpus", "expected"),
    [
        (1, 1, 8),  # eight GPUs
        (24, 1, 4),  # cores run out first
        (0.1, 0.3, 24),  # three fit on a GPU, a tenth of one is left over on each
        (0.1, 0.1, 80),  # ten tenths are one, whatever the rounding
        (1, 3, 2),
        (1, 0, 96),
        (1, 16, 0),
    ],
)
def test_as_many_actors_as_cores_and_gpus_allow_share_a_machine(num_cpus, num_gpus, expected):
    machine = loaded("wan_ti2v_5b").settings.groups.learner
    assert (machine.cpus, machine.gpus) == (96, 8)
    each = PlacedSection(num_cpus=num_cpus, num_gpus=num_gpus)
    demand = RoleDemand(section="x", count_setting="x.count", num_actors=1, each=each)
    assert actors_per_machine(demand, machine) == expected


def test_more_generators_than_machines_is_refused_with_the_arithmetic(tmp_path):
    file = altered(tmp_path, lambda values: values["job"].update(overrides=["--generators.count=9"]))
    (problem,) = problems_of(file)
    assert "groups.generators.max_replicas = 8" in problem
    assert "generators.count = 9" in problem
    assert "needs 9 machines" in problem


def test_machines_that_nobody_uses_are_refused(tmp_path):
    file = altered(
        tmp_path, lambda values: values["groups"]["scorers"].update(min_replicas=3, max_replicas=3)
    )
    (problem,) = problems_of(file)
    assert "groups.scorers.min_replicas = 3" in problem
    assert "fills only 2" in problem


def test_a_machine_too_small_for_one_actor_is_refused(tmp_path):
    (problem,) = problems_of(altered(tmp_path, lambda values: values["groups"]["learner"].update(cpus=4)))
    assert "groups.learner: a machine with 4 CPUs, 8 GPUs and 1024 GiB holds no actor" in problem


@pytest.mark.parametrize(
    ("word", "problem"),
    [
        ("--generators.memory_mb=200000", "holds no actor of the role, which asks for .* 200000 MB"),
        ("--generators.custom_resources={rack: 1}", "holds no actor of the role, which asks for .* 1 rack"),
        ("--generators.accelerator_type=A100", "gpu_type = H100, but generators.accelerator_type = A100"),
        ("--generators.labels={zone: a}", "do not meet generators.labels = .*'zone': 'a'"),
        ("--generators.count=12", "generators.count = 12 .* needs 12 machines"),
        (
            "--generators.labels={eva-rl/role: scorers}",
            None,
        ),  # the role's own machines, whatever the file says
        ("--generators.labels={ray.io/accelerator-type: 'in(H100, H200)'}", None),
    ],
)
def test_whatever_a_role_asks_of_its_machines_is_held_against_the_group(tmp_path, word, problem):
    file = altered(tmp_path, lambda values: values["job"].update(overrides=[word]))
    if problem is None:
        assert load_deployment(file).run.generators.labels["eva-rl/role"] == "generators"
    else:
        (found,) = problems_of(file)
        assert re.search(problem, found), found


def test_labels_and_custom_resources_of_a_group_reach_every_way_to_get_machines(tmp_path):
    def change(values):
        values["groups"]["generators"].update(resources={"rack": 2}, labels={"zone": "a"})
        values["job"]["overrides"] = [
            "--generators.labels={zone: a}",
            "--generators.custom_resources={rack: 1}",
        ]

    texts = render(load_deployment(altered(tmp_path, change)))
    manifest = yaml.safe_load(texts["raycluster.yaml"])
    manifest["metadata"]["namespace"] = "default"
    seen = _derive_autoscaling_config_from_ray_cr(manifest)["available_node_types"]["generators"]
    machine = yaml.safe_load(texts["ray_up.yaml"])["available_node_types"]["generators"]
    for kind in (seen, machine):
        assert kind["labels"] == {"eva-rl/role": "generators", "ray.io/accelerator-type": "H100", "zone": "a"}
        assert kind["resources"]["rack"] == 2
    (line,) = [
        line for line in texts["slurm.sh"].splitlines() if "role=generators" in line and "workers " in line
    ]
    assert shlex.split(line)[-1] == '{"rack": 2}'


def test_every_problem_of_both_files_is_told_at_once_and_unknown_keys_with_the_nearest(tmp_path):
    def change(values):
        values["groups"]["head"]["cpu"] = values["groups"]["head"].pop("cpus")
        values["groups"]["generators"]["min_replicas"] = 9

    problems = problems_of(altered(tmp_path, change))
    assert any(
        "unknown setting groups.head.cpu; the nearest is groups.head.cpus" in text for text in problems
    )
    assert any("groups.head.cpus: field required" in text for text in problems)
    assert any("min_replicas must be at most max_replicas = 8, got 9" in text for text in problems)


def test_a_run_that_cannot_be_is_refused_before_any_machine(tmp_path):
    file = altered(tmp_path, lambda values: values["job"].update(overrides=["--learner.num_rank=4"]))
    (problem,) = problems_of(file)
    assert "unknown setting learner.num_rank; the nearest is learner.num_ranks" in problem


def test_a_credential_is_refused_before_it_is_rendered(tmp_path):
    words = ["--schedule.checkpoint_directory=s3://KEY:planted-secret@bucket/runs"]
    file = altered(tmp_path, lambda values: values["job"].update(overrides=words))
    (problem,) = problems_of(file)
    assert "job.overrides holds a credential" in problem
    assert "planted" not in problem


def test_no_credential_of_the_environment_reaches_a_manifest(monkeypatch):
    for name in ("RAY_AUTH_TOKEN", "AWS_SECRET_ACCESS_KEY", "WANDB_API_KEY"):
        monkeypatch.setenv(name, f"planted-{name}")
    for name in ("embedded", "wan_ti2v_5b"):
        texts = render(load_deployment(Path(f"cluster/settings/{name}.yaml")))
        assert not [file for file, text in texts.items() if "planted" in text]


def test_the_job_runs_the_recipe_with_the_settings_that_the_machines_were_counted_for(deployment):
    words = shlex.split(run_command(deployment))
    assert words[:2] == ["python", "recipes/robotwin_align.py"]
    assert Path(words[1]).is_file()
    run = load_settings(AlignSettings, file=Path(words[3]), overrides=words[4:-2])
    assert run.model_copy(update={"run": deployment.run.run}) == deployment.run
    assert words[-4:] == ["--run.directory", f"/runs/{deployment.settings.job.name}", "--run.resume", "auto"]


# ---- rendered files


def test_the_committed_files_are_what_rendering_gives(deployment, texts):
    directory = Path("cluster/rendered") / Path(deployment.source).stem
    assert {file.name for file in directory.iterdir()} == set(RENDERED_FILES)
    for name, text in texts.items():
        assert (directory / name).read_text() == text, f"render {deployment.source} again: {name}"


def test_every_deployment_file_is_tested_here():
    assert [file.stem for file in SETTINGS] == ["embedded", "wan_ti2v_5b"]


def test_the_command_writes_compares_and_prints(tmp_path, capsys):
    settings = "cluster/settings/embedded.yaml"
    assert call("cluster", "render", settings, "--out", tmp_path) == 0
    assert call("cluster", "render", settings, "--out", tmp_path, "--check") == 0
    (tmp_path / "rayjob.yaml").write_text("old")
    capsys.readouterr()
    assert call("cluster", "render", settings, "--out", tmp_path, "--check") == 1
    assert "rayjob.yaml is out of date" in capsys.readouterr().out
    assert call("cluster", "command", settings) == 0
    assert capsys.readouterr().out.startswith("python recipes/robotwin_align.py --config ")
    assert call("cluster", "render", tmp_path / "missing.yaml") == 2
    assert "give an existing YAML file" in capsys.readouterr().err


def test_the_manifests_have_kuberays_fields_and_every_pod_kubernetes_own(deployment, files, texts):
    version = deployment.settings.versions.kubernetes
    for name in ("raycluster.yaml", "rayjob.yaml"):
        check_manifest(files[name])
    cluster, job = files["raycluster.yaml"]["spec"], files["rayjob.yaml"]["spec"]
    assert job["rayClusterSpec"] == cluster
    groups = [cluster["headGroupSpec"], *cluster["workerGroupSpecs"]]
    templates = [group["template"] for group in groups] + [job["submitterPodTemplate"]]
    for template in templates:
        pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "pod"}, **template}
        kubernetes_validate.validate(pod, version, strict=True)
    for claim in yaml.safe_load_all(texts["volumes.yaml"]):
        kubernetes_validate.validate(claim, version, strict=True)


@pytest.mark.parametrize(
    ("change", "path"),
    [
        (lambda spec: worker(spec).update(maxReplicas="2"), "spec.workerGroupSpecs[0].maxReplicas: '2'"),
        (lambda spec: worker(spec).pop("groupName"), "spec.workerGroupSpecs[0]: 'groupName'"),
        (lambda spec: spec["authOptions"].update(mode="basic"), "spec.authOptions.mode: 'basic'"),
        (lambda spec: spec["headGroupSpec"].update(tempalte={}), "spec.headGroupSpec: .*'tempalte'"),
        (lambda spec: spec["autoscalerOptions"].update(version=2), "spec.autoscalerOptions.version: 2"),
    ],
)
def test_a_wrong_manifest_fails_with_the_fields_path(files, change, path):
    manifest = files["raycluster.yaml"]
    change(manifest["spec"])
    with pytest.raises(ManifestError, match=path.replace("[", r"\[").replace("]", r"\]")):
        check_manifest(manifest)


def test_a_wrong_pod_fails(deployment, files):
    template = files["raycluster.yaml"]["spec"]["headGroupSpec"]["template"]
    template["spec"]["containers"][0]["volumeMount"] = []
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "pod"}, **template}
    with pytest.raises(kubernetes_validate.ValidationError, match="volumeMount"):
        kubernetes_validate.validate(pod, deployment.settings.versions.kubernetes, strict=True)


def test_rays_kubernetes_autoscaler_reads_the_machines_that_the_settings_name(deployment, files):
    manifest = files["raycluster.yaml"]
    manifest["metadata"]["namespace"] = "default"
    config = _derive_autoscaling_config_from_ray_cr(manifest)
    groups = deployment.settings.groups
    assert config["idle_timeout_minutes"] * 60 == deployment.settings.kubernetes.idle_timeout_s
    assert config["available_node_types"]["headgroup"]["resources"]["CPU"] == 0
    for name in (*ROLES, "data"):
        group, seen = getattr(groups, name), config["available_node_types"][name]
        assert (seen["min_workers"], seen["max_workers"]) == (group.min_replicas, group.max_replicas)
        assert seen["resources"]["CPU"] == group.cpus
        assert seen["resources"].get("GPU", 0) == group.gpus
        assert seen["resources"]["memory"] == group.memory_gib * 2**30
        assert seen["labels"]["eva-rl/role"] == name


def test_no_pod_may_do_more_than_the_restricted_standard_allows(files):
    job = files["rayjob.yaml"]["spec"]
    cluster = job["rayClusterSpec"]
    groups = [cluster["headGroupSpec"], *cluster["workerGroupSpecs"]]
    pods = [group["template"]["spec"] for group in groups] + [job["submitterPodTemplate"]["spec"]]
    for pod in pods:
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert not {"hostNetwork", "hostPID", "hostIPC"} & set(pod)
        assert not [volume for volume in pod.get("volumes", []) if "hostPath" in volume]
    contexts = [container["securityContext"] for pod in pods for container in pod["containers"]]
    for context in [*contexts, cluster["autoscalerOptions"]["securityContext"]]:
        assert context == {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}


def test_no_cluster_is_rendered_without_a_token(files):
    assert files["raycluster.yaml"]["spec"]["authOptions"]["mode"] == "token"
    commands = (
        files["ray_up.yaml"]["head_start_ray_commands"] + files["ray_up.yaml"]["worker_start_ray_commands"]
    )
    assert all("RAY_AUTH_MODE=token" in command for command in commands if "ray start" in command)
    assert "--dashboard-host=127.0.0.1" in files["ray_up.yaml"]["head_start_ray_commands"][-1]


def test_the_ray_up_file_passes_rays_own_check_and_a_wrong_one_does_not(files):
    validate_config(files["ray_up.yaml"])
    wrong = files["ray_up.yaml"] | {"max_worker": 3}
    with pytest.raises(Exception, match="max_worker"):
        validate_config(wrong)


def test_the_slurm_script_is_good_bash_and_asks_for_every_actors_machine(deployment, texts, tmp_path):
    script = tmp_path / "slurm.sh"
    script.write_text(texts["slurm.sh"])
    subprocess.run(["bash", "-n", str(script)], check=True)
    subprocess.run([str(SCRIPTS / "shellcheck"), str(script), "cluster/submit.sh"], check=True)
    lines = script.read_text().splitlines()
    nodes = [int(line.partition("=")[2]) for line in lines if line.startswith("#SBATCH --nodes=")]
    needed = machines_needed(deployment.settings, deployment.run)
    assert nodes == [1, *(needed[name] for name in (*ROLES, "data"))]
    started = [shlex.split(line) for line in lines if line.startswith("workers ")]
    roles = [[words[2], words[5].partition(",")[0]] for words in started]
    assert roles == [[str(needed[name]), f"eva-rl/role={name}"] for name in (*ROLES, "data")]


def test_ray_start_knows_every_option_that_is_passed_to_it(files, texts):
    known = {name for option in ray_start.params for name in option.opts}
    script = texts["slurm.sh"].replace("\\\n", " ").splitlines()
    commands = [line for line in script if "ray start" in line]
    for part in ("head_start_ray_commands", "worker_start_ray_commands"):
        commands += [line for line in files["ray_up.yaml"][part] if "ray start" in line]
    options = {name for line in commands for name in re.findall(r"--[a-z-]+", line.partition("ray start")[2])}
    options |= {f"--{name}" for name in files["raycluster.yaml"]["spec"]["headGroupSpec"]["rayStartParams"]}
    assert len(commands) >= 4
    assert options <= known


# ---- images


def test_the_dockerfile_passes_its_linter_and_has_both_targets():
    subprocess.run([str(SCRIPTS / "hadolint"), "cluster/Dockerfile"], check=True)
    targets = [
        line.split()[-1]
        for line in Path("cluster/Dockerfile").read_text().splitlines()
        if line[:5] == "FROM "
    ]
    assert {"cpu", "cuda"} <= set(targets)


def test_the_images_versions_meet_the_projects_ranges_and_the_manifests():
    lines = Path("cluster/requirements.txt").read_text().splitlines()
    pins = dict(line.split("==") for line in lines if not line.startswith("#"))
    project = tomllib.loads(Path("pyproject.toml").read_text())["project"]
    for text in project["dependencies"] + project["optional-dependencies"]["embedded"]:
        wanted = Requirement(text)
        assert wanted.specifier.contains(pins[wanted.name.lower()]), text
    assert f"torch=={pins['torch']}" in Path("constraints-cpu.txt").read_text()
    dockerfile = Path("cluster/Dockerfile").read_text()
    for file in SETTINGS:
        versions = loaded(file.stem).settings.versions
        assert versions.ray == pins["ray"]
        assert f"FROM python:{versions.python}." in dockerfile

"""Machines for a run: one settings file -> KubeRay, `ray up` and Slurm files that agree with the recipe."""

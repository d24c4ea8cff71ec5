"""The cloud of the autoscaling tests: machines that are Ray nodes on this computer.

Ray's autoscaler imports this module in its own process, as `provider: {type: external}` names it.
"""

from ray.autoscaler._private.fake_multi_node.node_provider import FakeMultiNodeProvider


class LogicalMachines(FakeMultiNodeProvider):
    """Ray's own provider for tests; under `type: external` it does without a file that the wheel lacks."""

"""Logical nodes: real Ray nodes on this machine whose GPUs, labels and resources are only numbers."""

from contextlib import contextmanager

import ray
from ray.cluster_utils import Cluster

OBJECT_STORE = {"object_store_memory": 80 * 2**20}


@contextmanager
def joined_nodes(*nodes):
    """Adds one node per dictionary of `Cluster.add_node` arguments to the Ray that is running."""
    cluster = Cluster(shutdown_at_exit=False)
    head = ray._private.worker._global_node
    cluster.head_node, cluster.redis_address = head, head.redis_address
    try:
        for node in nodes:
            cluster.add_node(**OBJECT_STORE | node)
        yield cluster
    finally:
        for node in list(cluster.worker_nodes):
            cluster.remove_node(node)


def nodes_of(placement):
    """Node of every member, from Ray's own table."""
    table = ray.util.placement_group_table(placement.group)
    return [table["bundles_to_node_id"][bundle] for bundle in placement.bundles]


def bundles_of(placement):
    """Resources of every bundle of the group, from Ray's own table."""
    table = ray.util.placement_group_table(placement.group)
    return [table["bundles"][index] for index in sorted(table["bundles"])]


def node_with(**wanted):
    """The one living node whose resources or labels include the wanted ones."""
    (node,) = [
        node["NodeID"]
        for node in ray.nodes()
        if node["Alive"] and (node["Resources"] | node["Labels"]).items() >= wanted.items()
    ]
    return node

"""RL post-training that makes video world models produce motions a robot can execute."""

"""The network: theta_v, theta_r (backbone), theta_s (synergy) and the heads the losses read."""

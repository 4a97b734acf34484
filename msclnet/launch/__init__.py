"""Where a job runs: leases of GPUs, torchrun's agent, and what ends a job that stands still."""

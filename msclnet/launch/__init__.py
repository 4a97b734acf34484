"""Where a job runs: leases of GPUs, torchrun."""

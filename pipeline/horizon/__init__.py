"""The horizon search: at which length do half of the replicas still solve the task, asked with little training."""

"""Pure model of the environment: stacks, services, containers, networks, endpoints, and what changed."""

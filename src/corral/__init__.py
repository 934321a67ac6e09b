"""corral: the network-policy agent for Rancher 1.x environments and PastureStack."""

__version__ = "0.1.0"

"""The kernel tests, run on the kernels of other Debian releases in a virtual machine: `make test-kernels`."""

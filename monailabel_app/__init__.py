"""The MONAI Label app of IMIL: adapters between MONAI Label's server and the library `imil`, and nothing else."""

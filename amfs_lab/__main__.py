"""`python -m amfs_lab` is the same command as `amfs-lab`."""

import os
import sys

from amfs_lab.cli import main

if __name__ == "__main__":
    code = main()
    if "WORLD_SIZE" in os.environ:  # under torchrun, PyTorch sometimes aborts a process that ends in the usual way
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    raise SystemExit(code)

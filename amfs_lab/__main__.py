"""`python -m amfs_lab` is the same command as `amfs-lab`."""

from amfs_lab.cli import main

if __name__ == "__main__":
    raise SystemExit(main())

"""The course in JupyterLab: `run.py lab` starts `python -m amfs_lab.lab` inside `.venv`."""
